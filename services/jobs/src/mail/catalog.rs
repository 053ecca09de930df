//! The texts of mails, in Fluent: `locales/*.ftl`.

use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use quartet_kernel::Language;

const ENGLISH: &str = include_str!("../../locales/en.ftl");
const RUSSIAN: &str = include_str!("../../locales/ru.ftl");

type Bundle = FluentBundle<FluentResource>;

/// A text is not in the catalogue, or wants a variable that was not given.
#[derive(Debug, thiserror::Error)]
#[error("the text `{key}` is not complete in `{}`", language.tag())]
pub(super) struct MissingText {
    key: String,
    language: Language,
}

/// The text of a key: the name of a message, such as `token`, or of an attribute, such as
/// `welcome.subject`.
pub(super) fn text(language: Language, key: &str, variables: &[(&str, &str)]) -> Result<String, MissingText> {
    let missing = || MissingText {
        key: key.to_owned(),
        language,
    };
    find(language, key, variables)?.ok_or_else(missing)
}

/// The text of a key that not every mail has; `None` when it is not in the catalogue.
pub(super) fn find(language: Language, key: &str, variables: &[(&str, &str)]) -> Result<Option<String>, MissingText> {
    let bundle = bundle(language);
    let (id, attribute) = match key.split_once('.') {
        Some((id, attribute)) => (id, Some(attribute)),
        None => (key, None),
    };
    let message = bundle.get_message(id);
    let pattern = message.and_then(|message| match attribute {
        Some(attribute) => message.get_attribute(attribute).map(|attribute| attribute.value()),
        None => message.value(),
    });
    let Some(pattern) = pattern else { return Ok(None) };
    let variables: FluentArgs<'_> = variables.iter().copied().collect();
    let mut errors = Vec::new();
    let text = bundle.format_pattern(pattern, Some(&variables), &mut errors);
    match errors.is_empty() {
        true => Ok(Some(text.into_owned())),
        // The text would show the bare name of the variable.
        false => Err(MissingText {
            key: key.to_owned(),
            language,
        }),
    }
}

fn bundle(language: Language) -> &'static Bundle {
    static BUNDLES: LazyLock<[Bundle; 2]> = LazyLock::new(|| [load("en", ENGLISH), load("ru", RUSSIAN)]);
    match language {
        Language::English => &BUNDLES[0],
        Language::Russian => &BUNDLES[1],
    }
}

#[expect(
    clippy::expect_used,
    reason = "the files are part of the program, and a test loads them"
)]
fn load(tag: &str, source: &str) -> Bundle {
    let resource = FluentResource::try_new(source.to_owned())
        .map_err(|(_, errors)| errors)
        .expect("the texts parse");
    let mut bundle = Bundle::new_concurrent(vec![tag.parse().expect("a language tag")]);
    // Some mail programs show the marks that isolate writing directions as boxes. What comes from
    // users is rid of characters that change the direction of what follows (see `page::one_line`).
    bundle.set_use_isolating(false);
    bundle.add_resource(resource).expect("every text has its own name");
    bundle
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// Every key of a file, with the variables of its text.
    fn keys(source: &str) -> BTreeMap<String, BTreeSet<&str>> {
        let mut keys = BTreeMap::new();
        let mut id = "";
        for line in source.lines() {
            let Some((name, text)) = line.split_once(" =") else {
                continue;
            };
            let variables = text.split("{ $").skip(1).filter_map(|rest| rest.split_once(" }"));
            let variables = variables.map(|(name, _)| name).collect();
            let key = match name.trim_start().strip_prefix('.') {
                Some(attribute) => format!("{id}.{attribute}"),
                None => {
                    id = name;
                    name.to_owned()
                }
            };
            let is_text = !text.is_empty();
            if is_text {
                keys.insert(key, variables);
            }
        }
        keys
    }

    #[test]
    fn both_languages_have_the_same_texts_with_the_same_variables() {
        let english = keys(ENGLISH);
        assert!(english.len() > 20, "{english:?}");
        assert_eq!(english, keys(RUSSIAN));
    }

    #[test]
    fn every_text_is_translated() {
        for (key, variables) in keys(ENGLISH) {
            let values: Vec<_> = variables.iter().map(|name| (*name, "value")).collect();
            let [english, russian] = Language::ALL.map(|language| text(language, &key, &values).unwrap());
            assert_ne!(english, russian, "{key}");
            for text in [english, russian] {
                assert_eq!(text.matches("value").count(), variables.len(), "{key}: {text}");
            }
        }
    }

    #[test]
    fn a_text_without_its_variables_is_no_text() {
        assert!(text(Language::English, "greeting-named", &[]).is_err());
        assert!(text(Language::English, "no-such-text", &[]).is_err());
        assert!(find(Language::English, "welcome.note", &[]).unwrap().is_none());
    }
}
