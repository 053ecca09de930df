//! Pages: by number for people, by opaque keyset token for programs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quartet_kernel::{Rule, Violations};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::{Database, Encode, QueryBuilder, Type};

/// Rows on a page by default.
pub const DEFAULT_SIZE: i32 = 10;
/// Rows on a page at the most.
pub const MAX_SIZE: i32 = 100;
/// Rows of a filtered list that are counted at the most. What is kept as a number has no such
/// bound.
pub const MAX_COUNTED: i64 = 10_000;

/// Which page is requested. `K` is the key that the list is ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<K> {
    /// Rows on the page: 1 to 100.
    pub size: i32,
    /// Where the page starts.
    pub start: Start<K>,
}

/// Where a page starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start<K> {
    /// At the page of this number, from 1.
    Number(i32),
    /// After the row of this key; the list had `total` rows when its first page was read.
    After {
        /// Key of the last row of the page before.
        key: K,
        /// Rows in all pages.
        total: i32,
        /// Whether `total` is all of them; else there are at least as many.
        total_is_exact: bool,
    },
}

/// The four fields of a list request that name a page.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    /// Number of the page.
    pub page: Option<i32>,
    /// Rows on it.
    pub items_per_page: Option<i32>,
    /// Rows on it, by the standard's name; it wins.
    pub page_size: Option<i32>,
    /// Token of the page before.
    pub page_token: &'a str,
}

/// A page that was read.
#[derive(Debug, Clone)]
pub struct PageResult<T> {
    /// Its rows.
    pub rows: Vec<T>,
    /// Rows in all pages, as counted for the first one.
    pub total: i32,
    /// Whether `total` is all of them; else there are at least as many.
    pub total_is_exact: bool,
    /// Whether another page follows.
    pub has_more: bool,
}

impl<K: DeserializeOwned> Page<K> {
    /// The page that `request` names. `list` identifies the list among all others: its name, owner,
    /// filters and order; a token of another list is refused. What breaks a rule is noted in
    /// `violations` and answered `None`.
    pub fn parse(request: PageRequest<'_>, list: &str, violations: &mut Violations) -> Option<Self> {
        let size_field = if request.page_size.is_some() {
            "page_size"
        } else {
            "items_per_page"
        };
        let size = request.page_size.or(request.items_per_page).unwrap_or(DEFAULT_SIZE);
        let size = violations.check(size_field, in_range(size, 1, MAX_SIZE));
        let start = if request.page_token.is_empty() {
            violations
                .check("page", in_range(request.page.unwrap_or(1), 1, i32::MAX))
                .map(Start::Number)
        } else if request.page.is_some() {
            violations.add(
                "page",
                Rule::new("PAGE_OR_TOKEN", "must not be given together with page_token"),
            );
            None
        } else {
            violations.check("page_token", decode(list, request.page_token))
        };
        Some(Self {
            size: size?,
            start: start?,
        })
    }
}

impl<K> Page<K> {
    /// Rows to skip: none when the page starts after a key.
    pub fn offset(&self) -> i64 {
        match self.start {
            Start::Number(number) => i64::from(number - 1) * i64::from(self.size),
            Start::After { .. } => 0,
        }
    }

    /// The key to start after, if the page was requested by token.
    pub fn after(&self) -> Option<&K> {
        match &self.start {
            Start::Number(_) => None,
            Start::After { key, .. } => Some(key),
        }
    }

    /// Rows in all pages, where the token has carried it along; otherwise they are yet to be
    /// counted.
    pub fn known_total(&self) -> Option<i32> {
        match self.start {
            Start::Number(_) => None,
            Start::After { total, .. } => Some(total),
        }
    }

    /// The total of a list that was counted up to [`MAX_COUNTED`]. `count` is of up to one more
    /// row, or `None` where the token has carried the total along.
    pub fn bounded_total(&self, count: Option<i64>) -> (i64, bool) {
        match (&self.start, count) {
            (
                Start::After {
                    total, total_is_exact, ..
                },
                _,
            ) => (i64::from(*total), *total_is_exact),
            (Start::Number(_), count) => {
                let count = count.unwrap_or_default();
                (count.min(MAX_COUNTED), count <= MAX_COUNTED)
            }
        }
    }

    /// The page's number in a reply: 0 when it was requested by token.
    pub fn number(&self) -> i32 {
        match self.start {
            Start::Number(number) => number,
            Start::After { .. } => 0,
        }
    }

    /// Rows to read: one more than the page has, which shows whether another page follows.
    pub fn fetch(&self) -> i64 {
        i64::from(self.size) + 1
    }

    /// Ends a list's SQL by the rows of this page, and one more.
    ///
    /// How many stands in the text. A number that is a parameter PostgreSQL takes for a tenth of all rows when it
    /// weighs a plan for every value against one for the values of a call; on a large table the latter wins for
    /// good, and each call is planned anew, which costs more than to read a page. Sizes are 1 to 100, so that
    /// there are few texts.
    pub fn push_bounds<D: Database>(&self, select: &mut QueryBuilder<D>)
    where
        i64: for<'q> Encode<'q, D> + Type<D>,
    {
        select.push(" limit ").push(self.fetch());
        if self.offset() > 0 {
            select.push(" offset ").push_bind(self.offset());
        }
    }

    /// The page out of what [`Page::fetch`] brought.
    pub fn cut<T>(&self, mut rows: Vec<T>, total: i64) -> PageResult<T> {
        let has_more = rows.len() > self.size as usize;
        rows.truncate(self.size as usize);
        PageResult {
            rows,
            total: i32::try_from(total).unwrap_or(i32::MAX),
            total_is_exact: true,
            has_more,
        }
    }
}

impl<T> PageResult<T> {
    /// Token of the page that follows; empty when none does. `key` gives a row's key, `list` is as
    /// for [`Page::parse`].
    pub fn next_token<K: Serialize>(&self, list: &str, key: impl FnOnce(&T) -> K) -> String {
        match self.rows.last() {
            Some(last) if self.has_more => encode(list, (self.total, self.total_is_exact), &key(last)),
            _ => String::new(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Token<K> {
    /// Digest of the list.
    l: String,
    /// Rows in all pages.
    t: i32,
    /// Whether they were all counted.
    #[serde(default = "exact", skip_serializing_if = "is_exact")]
    e: bool,
    /// Key of the last row.
    k: K,
}

fn exact() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_exact(exact: &bool) -> bool {
    *exact
}

fn encode<K: Serialize>(list: &str, (total, exact): (i32, bool), key: &K) -> String {
    let token = Token {
        l: digest(list),
        t: total,
        e: exact,
        k: key,
    };
    // Keys are numbers, texts and ids: JSON takes them all.
    serde_json::to_vec(&token)
        .map(|json| URL_SAFE_NO_PAD.encode(json))
        .unwrap_or_default()
}

fn decode<K: DeserializeOwned>(list: &str, token: &str) -> Result<Start<K>, Rule> {
    let wrong = || {
        Rule::new(
            "PAGE_TOKEN",
            "must be the next_page_token of this list with the same filters and order",
        )
    };
    let json = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
    let token: Token<K> = serde_json::from_slice(&json).map_err(|_| wrong())?;
    if token.l != digest(list) || token.t < 0 {
        return Err(wrong());
    }
    Ok(Start::After {
        key: token.k,
        total: token.t,
        total_is_exact: token.e,
    })
}

fn digest(list: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(list)[..6])
}

fn in_range(value: i32, low: i32, high: i32) -> Result<i32, Rule> {
    if (low..=high).contains(&value) {
        return Ok(value);
    }
    let text = if high == i32::MAX {
        format!("must be at least {low}")
    } else {
        format!("must be between {low} and {high}")
    };
    Err(Rule::new("INT32_RANGE", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(page_token: &str) -> PageRequest<'_> {
        PageRequest {
            page: None,
            items_per_page: Some(2),
            page_size: None,
            page_token,
        }
    }

    #[test]
    fn a_token_leads_to_the_row_after_the_last_one() {
        let mut violations = Violations::new();
        let first: Page<i64> = Page::parse(request(""), "numbers", &mut violations).unwrap();
        let rows = first.cut(vec![1, 2, 3], 9);
        assert!(rows.has_more);
        let token = rows.next_token("numbers", |number| *number);
        let second: Page<i64> = Page::parse(request(&token), "numbers", &mut violations).unwrap();
        assert_eq!(
            second.start,
            Start::After {
                key: 2,
                total: 9,
                total_is_exact: true
            }
        );
    }

    #[test]
    fn a_token_that_was_changed_is_refused_or_a_token_of_the_list() {
        let good = encode("numbers", (9, true), &2_i64);
        let parts = [
            good.as_str(),
            &good[..8],
            &good[8..],
            "=",
            "{}",
            "e30",
            "A",
            "_",
            "-",
            "\u{0}",
        ];
        quartet_testkit::random::rounds(5_000, |random| {
            let text = random.text(&parts, 4);
            let mut violations = Violations::new();
            let page: Option<Page<i64>> = Page::parse(request(&text), "numbers", &mut violations);
            if let Some(page) = page {
                assert!(page.known_total().unwrap_or_default() >= 0, "{text:?}");
            }
        });
    }

    #[test]
    fn a_token_of_another_list_is_refused() {
        let token = encode("numbers of A", (9, true), &2_i64);
        let mut violations = Violations::new();
        assert!(Page::<i64>::parse(request(&token), "numbers of B", &mut violations).is_none());
        assert!(violations.finish().is_err());
    }

    #[test]
    fn page_and_token_exclude_each_other() {
        let token = encode("numbers", (9, true), &2_i64);
        let both = PageRequest {
            page: Some(2),
            ..request(&token)
        };
        assert!(Page::<i64>::parse(both, "numbers", &mut Violations::new()).is_none());
    }

    #[test]
    fn the_last_possible_page_does_not_overflow() {
        let last = PageRequest {
            page: Some(i32::MAX),
            items_per_page: Some(100),
            page_size: None,
            page_token: "",
        };
        let page: Page<i64> = Page::parse(last, "numbers", &mut Violations::new()).unwrap();
        assert_eq!(page.offset(), (i64::from(i32::MAX) - 1) * 100);
    }
}
