//! The languages that problems are written in, and the choice among them.

use http::header::ACCEPT_LANGUAGE;
use http::{HeaderMap, HeaderValue};

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

    /// The language's tag (BCP 47), as `Content-Language` carries it.
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

    /// The language that the client likes best (RFC 9110 §12.5.4): the highest weight wins, the earlier one among equals, and English when
    /// none is known.
    pub fn preferred(headers: &HeaderMap) -> Self {
        let ranges = headers
            .get_all(ACCEPT_LANGUAGE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut best = (Self::default(), 0);
        for (range, weight) in ranges.flat_map(|line| line.split(',')).filter_map(parse_range) {
            let language = if range == "*" {
                Some(Self::default())
            } else {
                Self::of_range(range)
            };
            if let Some(language) = language.filter(|_| weight > best.1) {
                best = (language, weight);
            }
        }
        best.0
    }

    /// The language of a range as `ru-RU`: its first subtag decides (RFC 4647 §3.4).
    fn of_range(range: &str) -> Option<Self> {
        let primary = range.split('-').next()?;
        Self::ALL
            .into_iter()
            .find(|language| language.tag().eq_ignore_ascii_case(primary))
    }
}

/// A language range and its weight in thousandths; `None` when it is malformed.
fn parse_range(item: &str) -> Option<(&str, u32)> {
    let mut parts = item.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let weight = match parts.next() {
        None => 1_000,
        Some(parameter) => {
            let quality: f32 = parameter
                .strip_prefix("q=")
                .or_else(|| parameter.strip_prefix("Q="))?
                .trim()
                .parse()
                .ok()?;
            if !(0.0..=1.0).contains(&quality) {
                return None;
            }
            // Bounded above, so the cast keeps the value.
            (quality * 1_000.0).round() as u32
        }
    };
    Some((range, weight))
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
        assert_eq!(preferred("RU"), Language::Russian);
    }

    #[test]
    fn english_is_the_answer_to_nonsense_and_to_unknown_languages() {
        for text in ["", "de", "ru;q=0", "ru;q=x", "*", "ru;q=2", ";;,", "russian"] {
            assert_eq!(preferred(text), Language::English, "{text}");
        }
        assert_eq!(Language::preferred(&HeaderMap::new()), Language::English);
    }
}
