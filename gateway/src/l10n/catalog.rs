//! The texts, in Fluent: `locales/*.ftl`.
//!
//! A reason `TODO_NOT_FOUND` is the message `todo-not-found`: its value is the title, its attribute
//! `detail` the sentence about this occurrence. The detail may use the problem's metadata as
//! variables, and `message`, the English message. A rule `STRING_MAX_LEN` is the message
//! `rule-string-max-len`; its variables `a` and `b` are the numbers and quoted words of the English
//! description, in order.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

use super::Language;

const ENGLISH: &str = include_str!("../../locales/en.ftl");
const RUSSIAN: &str = include_str!("../../locales/ru.ftl");

type Bundle = FluentBundle<FluentResource>;

/// The title of a reason such as `TODO_NOT_FOUND`; `None` when the reason is unknown.
pub(crate) fn title(language: Language, reason: &str) -> Option<String> {
    format(language, &id(reason), None, &FluentArgs::new())
}

/// The detail of a reason. `None` when the reason has no text of its own, or its text needs a
/// variable that is not there.
pub(crate) fn detail(
    language: Language,
    reason: &str,
    message: &str,
    metadata: &BTreeMap<String, String>,
) -> Option<String> {
    let mut variables = FluentArgs::new();
    variables.set("message", message);
    for (name, value) in metadata {
        // A count is a number, so that plural forms can be chosen by it; anything else, such as a
        // user name of digits, is shown as it is.
        match value.parse::<u32>() {
            Ok(count) if name == "more" => variables.set(name.as_str(), count),
            _ => variables.set(name.as_str(), value.as_str()),
        }
    }
    let id = id(reason);
    // The variables depend on where the reason comes from: a layer that sees a status alone has
    // none. A cause may have a sentence of its own.
    let cause = metadata.get("cause").map(String::as_str);
    let sentences = cause.into_iter().chain(["detail", "bare"]);
    sentences
        .filter_map(|sentence| format(language, &id, Some(sentence), &variables))
        .next()
}

/// What a reason means, whatever the occurrence. `None` where every text is about an occurrence.
pub(crate) fn about(language: Language, reason: &str) -> Option<String> {
    let id = id(reason);
    let none = FluentArgs::new();
    let sentences = ["about", "detail", "bare"].into_iter();
    sentences
        .filter_map(|sentence| format(language, &id, Some(sentence), &none))
        .next()
}

/// The text of a broken rule such as `STRING_MAX_LEN`, whose English text is `description`. `None`
/// in English, where the description is the text, and for an unknown rule.
pub(crate) fn rule(language: Language, rule: &str, description: &str) -> Option<String> {
    if language == Language::English {
        return None;
    }
    let mut variables = FluentArgs::new();
    for (name, value) in ["a", "b", "c"].into_iter().zip(parameters(description)) {
        variables.set(name, value);
    }
    // What may be given, where the description lists it.
    let words: Vec<_> = description.split('`').skip(1).step_by(2).collect();
    if !words.is_empty() {
        variables.set("list", words.join(", "));
    }
    let id = format!("rule-{}", id(rule));
    // A description may have fewer parameters than the text needs: "at least 1" beside "between 1
    // and 100".
    format(language, &id, None, &variables).or_else(|| format(language, &id, Some("bare"), &variables))
}

/// A text of a page: the message `page-reset-password` for `reset-password`, its attribute `done` for
/// `reset-password.done`.
pub(crate) fn page_text(language: Language, key: &str) -> Option<String> {
    let (id, attribute) = match key.split_once('.') {
        Some((id, attribute)) => (id, Some(attribute)),
        None => (key, None),
    };
    format(language, &format!("page-{id}"), attribute, &FluentArgs::new())
}

/// `TODO_NOT_FOUND` → `todo-not-found`.
fn id(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

fn format(language: Language, id: &str, attribute: Option<&str>, variables: &FluentArgs<'_>) -> Option<String> {
    let bundle = bundle(language);
    let message = bundle.get_message(id)?;
    let pattern = match attribute {
        Some(name) => message.get_attribute(name)?.value(),
        None => message.value()?,
    };
    let mut errors = Vec::new();
    let text = bundle
        .format_pattern(pattern, Some(variables), &mut errors)
        .into_owned();
    // A missing variable would leave its bare name in the text.
    errors.is_empty().then_some(text)
}

fn bundle(language: Language) -> &'static Bundle {
    static BUNDLES: LazyLock<[Bundle; 2]> =
        LazyLock::new(|| [load(Language::English, ENGLISH), load(Language::Russian, RUSSIAN)]);
    match language {
        Language::English => &BUNDLES[0],
        Language::Russian => &BUNDLES[1],
    }
}

#[expect(
    clippy::expect_used,
    reason = "the files are part of the program, and a test loads them"
)]
fn load(language: Language, source: &str) -> Bundle {
    let resource = FluentResource::try_new(source.to_owned())
        .map_err(|(_, errors)| errors)
        .expect("the texts parse");
    let mut bundle = Bundle::new_concurrent(vec![language.id().clone()]);
    // The marks that isolate mixed writing directions would break programs that compare texts.
    bundle.set_use_isolating(false);
    bundle.add_resource(resource).expect("every text has its own name");
    bundle
}

/// The numbers and the words in backticks or double quotes of a description, in order.
fn parameters(description: &str) -> Vec<FluentValue<'static>> {
    let mut found = Vec::new();
    let mut rest = description;
    while let Some(start) = rest.find(|c: char| c == '`' || c == '"' || c.is_ascii_digit()) {
        let quote = rest[start..].chars().next().filter(|c| !c.is_ascii_digit());
        let begin = start + usize::from(quote.is_some());
        let tail = &rest[begin..];
        let end = match quote {
            Some(quote) => tail.find(quote),
            None => Some(tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len())),
        };
        let Some(end) = end else { break };
        // Numbers stay numbers, so that plural forms can be chosen; a quoted word stays a word.
        let number = tail[..end].parse::<u32>().ok().filter(|_| quote.is_none());
        found.push(number.map_or_else(|| FluentValue::from(tail[..end].to_owned()), FluentValue::from));
        rest = &tail[end + usize::from(quote.is_some())..];
    }
    found
}

#[cfg(test)]
mod tests {
    use quartet_proto::options::Reason;

    use super::*;

    fn reasons() -> Vec<&'static str> {
        let known = (1..1_000).filter_map(|number| Reason::try_from(number).ok());
        known.map(Reason::code).collect()
    }

    #[test]
    fn every_reason_has_a_title_and_a_detail_in_every_language() {
        assert!(reasons().len() > 40);
        // What the edge and the services put into a problem of that reason.
        let metadata = [
            ("method", "PUT"),
            ("first", "title: is required"),
            ("more", "2"),
            ("what", "users"),
            ("limit", "2 MiB"),
            ("quota", "tasks"),
        ];
        let metadata = metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        for language in Language::ALL {
            for reason in reasons() {
                assert!(title(language, reason).is_some(), "{reason} in {}", language.tag());
                assert!(
                    detail(language, reason, "the message", &metadata).is_some(),
                    "{reason} in {}",
                    language.tag()
                );
            }
        }
    }

    #[test]
    fn nothing_is_half_translated() {
        for reason in reasons() {
            for cause in [None, Some("timeout"), Some("path-encoding"), Some("unknown-cause")] {
                let cause = cause.map(|cause| ("cause".to_owned(), cause.to_owned()));
                let detail = detail(Language::Russian, reason, "the message", &cause.into_iter().collect());
                assert!(detail.is_none_or(|detail| !detail.contains("the message")), "{reason}");
            }
        }
    }

    #[test]
    fn the_details_of_a_malformed_request_are_in_both_languages() {
        let text = |language, reason, values: &[(&str, &str)]| {
            let values = values
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            detail(language, reason, "in English", &values.collect()).unwrap()
        };
        for (reason, values, parts) in [
            (
                "MALFORMED_JSON",
                &[("line", "2"), ("column", "23"), ("expected", "expected `:`")][..],
                &["2", "23"][..],
            ),
            (
                "UNSUPPORTED_MEDIA_TYPE",
                &[("taken", "application/json")],
                &["application/json"],
            ),
            (
                "BAD_REQUEST",
                &[("cause", "timeout"), ("header", "X-Request-Timeout")],
                &["X-Request-Timeout", "500ms"],
            ),
        ] {
            for language in Language::ALL {
                let shown = text(language, reason, values);
                assert!(parts.iter().all(|part| shown.contains(part)), "{shown}");
            }
        }
        let causes = [
            "body-unread",
            "host",
            "form-encoding",
            "query-too-long",
            "body-refused",
            "path-encoding",
            "parameters-encoding",
            "too-many-parameters",
        ];
        for language in Language::ALL {
            let other = text(language, "BAD_REQUEST", &[("cause", "unknown-cause")]);
            for cause in causes {
                assert_ne!(text(language, "BAD_REQUEST", &[("cause", cause)]), other, "{cause}");
            }
        }
    }

    #[test]
    fn no_text_is_left_without_a_reason() {
        for source in [ENGLISH, RUSSIAN] {
            let ids = source
                .lines()
                .filter_map(|line| line.split_once(" ="))
                .map(|(id, _)| id);
            for id in ids
                .filter(|id| !id.starts_with([' ', '#', '.']))
                .filter(|id| !["rule-", "status-", "page-"].iter().any(|kind| id.starts_with(kind)))
            {
                assert!(reasons().iter().any(|reason| super::id(reason) == id), "{id}");
            }
        }
    }

    #[test]
    fn the_texts_of_both_languages_differ() {
        for reason in reasons() {
            assert_ne!(
                title(Language::English, reason),
                title(Language::Russian, reason),
                "{reason}"
            );
        }
    }

    #[test]
    fn a_rule_takes_its_parameters_from_the_description() {
        assert_eq!(
            rule(Language::English, "STRING_MAX_LEN", "must be at most 100 characters"),
            None
        );
        let russian = |name, description| rule(Language::Russian, name, description).unwrap();
        assert_eq!(
            russian("STRING_MAX_LEN", "must be at most 100 characters"),
            "не больше 100 символов"
        );
        assert_eq!(
            russian("STRING_MAX_LEN", "must be at most 21 characters"),
            "не больше 21 символа"
        );
        assert_eq!(russian("UNKNOWN", "is not a known field"), "неизвестное поле");
        assert_eq!(
            russian("UNKNOWN", "is not a known field; there are `title`, `tag_ids`"),
            "неизвестное поле; есть title, tag_ids"
        );
        assert_eq!(
            russian("ENUM", "must be one of `PRIORITY_LOW`, `PRIORITY_HIGH`"),
            "нет среди допустимых значений: PRIORITY_LOW, PRIORITY_HIGH"
        );
        assert_eq!(russian("INT32_RANGE", "must be between 1 and 100"), "от 1 до 100");
        assert_eq!(russian("INT32_RANGE", "must be at least 1"), "не меньше 1");
        assert_eq!(rule(Language::Russian, "SOMETHING_NEW", "is odd"), None);
        assert_eq!(rule(Language::Russian, "STRING_MAX_LEN", "is too long"), None);
    }

    #[test]
    fn parameters_are_numbers_and_quoted_words() {
        let words = |text| {
            let words = parameters(text).into_iter().map(|value| match value {
                FluentValue::String(word) => format!("`{word}`"),
                FluentValue::Number(number) => number.as_string().into_owned(),
                other => panic!("{other:?}"),
            });
            words.collect::<Vec<_>>()
        };
        assert_eq!(words("must be 1 to 100, or `a 7`"), ["1", "100", "`a 7`"]);
        assert!(words("an `open quote").is_empty());
    }
}
