//! How often the users of a tier may call a path.

use quartet_kernel::{Etag, Rule, text};
use time::OffsetDateTime;
use uuid::Uuid;

/// A rate limit, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    /// UUIDv7.
    pub id: Uuid,
    /// Name of its tier.
    pub tier_name: String,
    /// Unique within the tier.
    pub name: String,
    /// Path pattern, such as `/api/v1/todos/{todo_id}`; unique within the tier.
    pub path: String,
    /// Requests allowed in a period.
    pub amount: i32,
    /// Length of the period in seconds.
    pub period: i32,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

impl RateLimit {
    /// Its version.
    pub fn etag(&self) -> Etag {
        let Self {
            id,
            tier_name,
            name,
            path,
            amount,
            period,
            created_at,
            updated_at,
        } = self;
        Etag::of(&(id, tier_name, name, path, amount, period, created_at, updated_at))
    }
}

/// A rate limit to be made.
#[derive(Debug, Clone)]
pub struct NewRateLimit {
    /// Id to give it.
    pub id: Uuid,
    /// Unique within the tier.
    pub name: LimitName,
    /// Unique within the tier.
    pub path: LimitPath,
    /// Requests allowed in a period.
    pub amount: Amount,
    /// Length of the period.
    pub period: Period,
}

/// The fields to write; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct RateLimitEdit {
    /// Unique within the tier.
    pub name: Option<LimitName>,
    /// Unique within the tier.
    pub path: Option<LimitPath>,
    /// Requests allowed in a period.
    pub amount: Option<Amount>,
    /// Length of the period.
    pub period: Option<Period>,
}

/// 1 to 100 characters, not all blank, without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitName(String);

impl LimitName {
    /// Parses a name; blanks around it are dropped.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        text::line(raw, 1, 100).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Path pattern of 1 to 200 characters without control characters: a path with a slash in front, or
/// an HTTP method, a blank and such a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitPath(String);

impl LimitPath {
    /// Parses a path pattern.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        let path = text::length(raw, 1, 200)?;
        let verb = path.bytes().take_while(u8::is_ascii_alphabetic).count();
        let after_verb = path[verb..].strip_prefix(' ').filter(|_| verb > 0);
        if !after_verb.unwrap_or(&path).starts_with('/') {
            return Err(Rule::new(
                "STRING_PATTERN",
                "must be a path that starts with /, such as `/api/v1/todos`, or a method and a path",
            ));
        }
        if path.chars().any(char::is_control) {
            return Err(Rule::new("CONTROL_CHARACTERS", "must not contain control characters"));
        }
        Ok(Self(path))
    }

    /// The path pattern.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Requests allowed in a period: 1 to 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(i32);

impl Amount {
    /// Parses a number of requests.
    pub fn parse(number: i32) -> Result<Self, Rule> {
        in_range(number, 1_000_000).map(Self)
    }

    /// The number.
    pub fn get(self) -> i32 {
        self.0
    }
}

/// Length of a period in seconds: 1 to 86,400, a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(i32);

impl Period {
    /// Parses a number of seconds.
    pub fn parse(seconds: i32) -> Result<Self, Rule> {
        in_range(seconds, 86_400).map(Self)
    }

    /// The number of seconds.
    pub fn seconds(self) -> i32 {
        self.0
    }
}

/// Zero is what an unset number looks like, and both bounds exclude it.
fn in_range(number: i32, most: i32) -> Result<i32, Rule> {
    match number {
        0 => Err(Rule::required()),
        number if (1..=most).contains(&number) => Ok(number),
        _ => Err(Rule::new("INT32_RANGE", format!("must be between 1 and {most}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_starts_with_a_slash() {
        for path in ["/api/v1/todos/{todo_id}", "POST /api/v1/todos", "/with a blank"] {
            assert_eq!(LimitPath::parse(path).unwrap().as_str(), path);
        }
        for (wrong, rule) in [
            ("", "REQUIRED"),
            ("api/v1/todos", "STRING_PATTERN"),
            (" /api", "STRING_PATTERN"),
            ("P0ST /api", "STRING_PATTERN"),
            ("/a\0b", "CONTROL_CHARACTERS"),
            (&*format!("/{}", "x".repeat(200)), "STRING_MAX_LEN"),
        ] {
            assert_eq!(LimitPath::parse(wrong).unwrap_err().name, rule, "{wrong:?}");
        }
    }

    #[test]
    fn numbers_have_bounds_on_both_sides() {
        assert_eq!(Amount::parse(1_000_000).map(Amount::get), Ok(1_000_000));
        assert_eq!(Amount::parse(1_000_001).unwrap_err().name, "INT32_RANGE");
        assert_eq!(Period::parse(86_400).map(Period::seconds), Ok(86_400));
        assert_eq!(Period::parse(86_401).unwrap_err().name, "INT32_RANGE");
        assert_eq!(Period::parse(-1).unwrap_err().name, "INT32_RANGE");
        assert_eq!(Period::parse(0).unwrap_err().name, "REQUIRED");
    }
}
