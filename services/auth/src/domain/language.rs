//! The languages that mails are written in.

/// A language that mails are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Russian.
    Russian,
}

impl Language {
    /// Its tag (BCP 47).
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Russian => "ru",
        }
    }

    /// The language that `Accept-Language` (RFC 9110 §12.5.4) prefers among ours; English when it names none of them.
    pub fn preferred(accept_language: &str) -> Self {
        let weighed = accept_language.split(',').filter_map(|range| {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = match parameters.trim().strip_prefix("q=") {
                Some(weight) => weight.trim().parse::<f32>().ok()?,
                None => 1.0,
            };
            let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            let language = match primary.as_str() {
                "en" | "*" => Self::English,
                "ru" => Self::Russian,
                _ => return None,
            };
            (weight > 0.0).then_some((weight, language))
        });
        // The first of equals, as it was written.
        let best = weighed.fold(None, |best: Option<(f32, Self)>, (weight, language)| match best {
            Some((top, _)) if top >= weight => best,
            _ => Some((weight, language)),
        });
        best.map_or(Self::English, |(_, language)| language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_language_that_we_have_is_preferred() {
        for (header, language) in [
            ("", Language::English),
            ("ru", Language::Russian),
            ("ru-RU,ru;q=0.9,en;q=0.8", Language::Russian),
            ("de, en;q=0.5, ru;q=0.7", Language::Russian),
            ("en;q=0.5, ru;q=0.5", Language::English),
            ("ru;q=0", Language::English),
            ("fr, de", Language::English),
        ] {
            assert_eq!(Language::preferred(header), language, "{header}");
        }
    }
}
