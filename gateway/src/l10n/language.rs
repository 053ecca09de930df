//! The languages that problems are written in, and the choice among them.

use std::cmp::Reverse;
use std::sync::LazyLock;

use fluent_langneg::{NegotiationStrategy, negotiate_languages};
use http::header::ACCEPT_LANGUAGE;
use http::{HeaderMap, HeaderValue};
use unic_langid::{LanguageIdentifier, LanguageIdentifierError};

/// A language that problems are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Russian.
    Russian,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::English, Self::Russian];

    /// The language's tag (BCP 47) for `Content-Language`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Russian => "ru",
        }
    }

    /// The tag as a header.
    pub fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.tag())
    }

    /// The tag, parsed.
    pub(super) fn id(self) -> &'static LanguageIdentifier {
        match self {
            Self::English => &IDS[0],
            Self::Russian => &IDS[1],
        }
    }

    /// The language that the client prefers (RFC 9110 §12.5.4): the one of the highest weight, the
    /// earlier one among equals, and English when the client accepts neither.
    pub fn preferred(headers: &HeaderMap) -> Self {
        if !headers.contains_key(ACCEPT_LANGUAGE) {
            return Self::default();
        }
        let lines = headers.get_all(ACCEPT_LANGUAGE).iter();
        let lines = lines.filter_map(|value| value.to_str().ok());
        let mut ranges: Vec<(LanguageIdentifier, u32)> = lines
            .flat_map(|line| line.split(','))
            .filter_map(weighted_range)
            .collect();
        ranges.sort_by_key(|(_, weight)| Reverse(*weight));
        let requested: Vec<_> = ranges.into_iter().map(|(range, _)| range).collect();
        let best = negotiate_languages(&requested, &*IDS, None, NegotiationStrategy::Lookup);
        let is_best = |language: &Self| best.first() == Some(&language.id());
        Self::ALL.into_iter().find(is_best).unwrap_or_default()
    }
}

/// The parsed tags, in the order of [`Language::ALL`].
static IDS: LazyLock<[LanguageIdentifier; 2]> =
    LazyLock::new(|| Language::ALL.map(|language| language.tag().parse().unwrap_or_default()));

/// A language range and its weight in thousandths; `None` when it is malformed or excluded by a
/// weight of zero. `fluent_langneg` reads ranges in their order and leaves out the weights.
fn weighted_range(item: &str) -> Option<(LanguageIdentifier, u32)> {
    let mut parts = item.split(';').map(str::trim);
    let range = match parts.next()? {
        "*" => Language::default().id().clone(),
        // Extensions and wildcards in a range do not matter to the choice.
        range => range.parse().or_else(|_| primary_subtag(range)).ok()?,
    };
    let weight = match parts.next() {
        None => 1_000,
        Some(parameter) => {
            let text = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))?;
            let weight: f32 = text.trim().parse().ok()?;
            if !(0.0..=1.0).contains(&weight) {
                return None;
            }
            // Bounded above, so the cast keeps the value.
            (weight * 1_000.0).round() as u32
        }
    };
    (weight > 0).then_some((range, weight))
}

fn primary_subtag(range: &str) -> Result<LanguageIdentifier, LanguageIdentifierError> {
    range.split('-').next().unwrap_or_default().parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preferred(text: &str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, text.parse().unwrap());
        Language::preferred(&headers)
    }

    #[test]
    fn the_highest_weight_wins() {
        assert_eq!(preferred("en;q=0.5, ru;q=0.9"), Language::Russian);
        assert_eq!(preferred("ru-RU,ru;q=0.9,en;q=0.8"), Language::Russian);
        assert_eq!(preferred("de, ru;q=0.3"), Language::Russian);
        assert_eq!(preferred("en, ru"), Language::English);
        assert_eq!(preferred("ru, en"), Language::Russian);
        assert_eq!(preferred("RU"), Language::Russian);
        assert_eq!(preferred("*;q=0.2, ru;q=0.1"), Language::English);
    }

    #[test]
    fn script_region_and_extensions_do_not_matter() {
        for text in ["ru-Cyrl-BY", "ru-u-ca-gregory", "ru-*-RU", "ru-Latn"] {
            assert_eq!(preferred(text), Language::Russian, "{text}");
        }
    }

    #[test]
    fn malformed_and_unknown_languages_lead_to_english() {
        for text in ["", "de", "ru;q=0", "ru;q=x", "*", "ru;q=2", ";;,", "russian", "und"] {
            assert_eq!(preferred(text), Language::English, "{text}");
        }
        assert_eq!(Language::preferred(&HeaderMap::new()), Language::English);
    }
}
