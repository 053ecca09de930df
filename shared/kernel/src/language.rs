//! The languages that the suite writes to people in, and the choice among them.

use std::cmp::Reverse;

use fluent_langneg::{NegotiationStrategy, convert_vec_str_to_langids_lossy, negotiate_languages};

/// A language that the suite writes to people in.
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

    /// Its tag (BCP 47).
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Russian => "ru",
        }
    }

    /// The language that a list of ranges prefers: the value of `Accept-Language` (RFC 9110
    /// §12.5.4), or a single tag such as `ru-RU`. The highest weight wins, the earlier range among
    /// equals, and English if none of ours is listed.
    pub fn preferred(ranges: &str) -> Self {
        let mut ranges: Vec<_> = ranges.split(',').filter_map(weighted).collect();
        // Stable, so ranges of the same weight keep their order. The library reads the order and no
        // weights.
        ranges.sort_by_key(|(_, weight)| Reverse(*weight));
        let requested = ranges.into_iter().map(|(range, _)| match range {
            "*" => Self::default().tag(),
            range => range,
        });
        let requested = convert_vec_str_to_langids_lossy(requested);
        let available = convert_vec_str_to_langids_lossy(Self::ALL.map(Self::tag));
        let found = negotiate_languages(&requested, &available, None, NegotiationStrategy::Lookup);
        let is_found = |language: &Self| {
            found
                .first()
                .is_some_and(|found| found.language.as_str() == language.tag())
        };
        Self::ALL.into_iter().find(is_found).unwrap_or_default()
    }
}

/// A language range and its weight in thousandths; `None` when it is malformed, or not acceptable
/// at all (`q=0`).
fn weighted(item: &str) -> Option<(&str, u16)> {
    let (range, parameter) = item.split_once(';').unwrap_or((item, "q=1"));
    let quality = parameter
        .trim()
        .strip_prefix(['q', 'Q'])?
        .trim_start()
        .strip_prefix('=')?;
    let quality: f32 = quality.trim().parse().ok()?;
    // In bounds, so the cast keeps the value.
    let weight = (0.0..=1.0)
        .contains(&quality)
        .then(|| (quality * 1_000.0).round() as u16)?;
    (weight > 0).then_some((range.trim(), weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_with_the_highest_weight_is_preferred() {
        for (ranges, language) in [
            ("ru", Language::Russian),
            ("RU", Language::Russian),
            ("ru-RU", Language::Russian),
            ("ru-RU,ru;q=0.9,en;q=0.8", Language::Russian),
            ("de, en;q=0.5, ru;q=0.7", Language::Russian),
            ("en;q=0.5, ru;q=0.9", Language::Russian),
            ("de, ru;q=0.3", Language::Russian),
            ("ru;q=0.5, *;q=0.1", Language::Russian),
            ("en;q=0.5, ru;q=0.5", Language::English),
            ("en, ru", Language::English),
            ("en-GB", Language::English),
            ("*, ru;q=0.5", Language::English),
        ] {
            assert_eq!(Language::preferred(ranges), language, "{ranges}");
        }
    }

    #[test]
    fn english_answers_nonsense_and_unknown_languages() {
        for ranges in [
            "",
            "de",
            "fr, de",
            "ru;q=0",
            "ru;q=x",
            "ru;q=2",
            "ru;level=1",
            "*",
            ";;,",
            "russian",
            "uk",
        ] {
            assert_eq!(Language::preferred(ranges), Language::English, "{ranges}");
        }
    }
}
