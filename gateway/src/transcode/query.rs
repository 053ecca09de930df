//! Query strings and forms: pairs of a dotted field name and a value.

use std::collections::HashSet;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};

use super::known::known;
use super::text;
use super::violations::{Broken, Violations, repeated};
use crate::problem::Problem;
use crate::routes::percent;

/// A query or form with more pairs is refused.
pub(crate) const MAX_PAIRS: usize = 500;
/// A dotted name of more fields is no name.
pub(crate) const MAX_CHAIN: usize = 64;
/// A query with more bytes is refused; forms are held to the limit of bodies.
pub(crate) const MAX_QUERY: usize = 32 * 1024;

/// Fields that pairs may not set: their paths from the message down, in field numbers, with all
/// that is below them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Excluded {
    /// Bound elsewhere, by the path or the body.
    pub(crate) chains: Vec<Vec<u32>>,
    /// Barred wherever they stand.
    pub(crate) barred: Vec<FieldDescriptor>,
    /// No pair may set anything.
    pub(crate) all: bool,
    /// Whether the pairs come in a body.
    pub(crate) is_form: bool,
}

/// Sets the fields of `message` that the pairs of `raw` name, and returns their paths in order.
///
/// # Errors
/// 400 `BAD_REQUEST` when there are too many pairs or one is not percent-encoded UTF-8, 422
/// `VALIDATION_FAILED` with every pair that names no field or holds no value of it.
pub(crate) fn apply(raw: &str, message: &mut DynamicMessage, excluded: &Excluded) -> Result<Vec<String>, Problem> {
    let mut pairs = Pairs {
        excluded,
        violations: Violations::default(),
        paths: Vec::new(),
        given: HashSet::new(),
    };
    for (index, pair) in raw.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if index == MAX_PAIRS {
            return Err(Problem::bad_request("too-many-parameters", "more than 500 parameters"));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value)) = (percent::decode_form(name), percent::decode_form(value)) else {
            return Err(Problem::bad_request(
                "parameters-encoding",
                "the parameters are not percent-encoded UTF-8",
            ));
        };
        pairs.set(message, &name, &value);
    }
    pairs.violations.check()?;
    Ok(pairs.paths)
}

/// The pairs of `raw` that name a field of a message, by either of its names.
pub(crate) fn of_known_fields(raw: &str, message: &MessageDescriptor) -> String {
    let is_known = |pair: &&str| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        // What is no text is refused where the pairs are read.
        percent::decode_form(name).is_none_or(|name| {
            let field = message.get_field_by_name(&name);
            field.or_else(|| message.get_field_by_json_name(&name)).is_some()
        })
    };
    let pairs: Vec<&str> = raw.split('&').filter(is_known).collect();
    pairs.join("&")
}

struct Pairs<'a> {
    excluded: &'a Excluded,
    violations: Violations,
    paths: Vec<String>,
    /// Fields that were given a value, so that a second one is refused.
    given: HashSet<String>,
}

impl Pairs<'_> {
    fn set(&mut self, message: &mut DynamicMessage, name: &str, value: &str) {
        self.violations.path.clear();
        let outcome = match self.resolve(message, name) {
            Some(chain) => self.assign(message, &chain, value),
            None => {
                self.violations.path.push_str(&repeated(name));
                Err(Broken::new("UNKNOWN", self.unknown(&message.descriptor())))
            }
        };
        if let Err(broken) = outcome {
            self.violations.add(broken);
        }
    }

    /// The rule that an unknown name breaks, with the names that there are.
    fn unknown(&self, message: &MessageDescriptor) -> String {
        let is_bound = |field: &FieldDescriptor| self.excluded.chains.contains(&vec![field.number()]);
        let is_known = |field: &FieldDescriptor| {
            !self.excluded.all && !self.excluded.barred.contains(field) && !field.is_map() && !is_bound(field)
        };
        let names: Vec<_> = message
            .fields()
            .filter(is_known)
            .map(|field| format!("`{}`", field.name()))
            .collect();
        let what = match self.excluded.is_form {
            true => "is not a known field of the form in the body",
            false => "is not a known parameter",
        };
        match names.is_empty() {
            true => format!("{what}; there is none"),
            false => format!("{what}; there are {}", names.join(", ")),
        }
    }

    /// The fields that a dotted name leads through.
    fn resolve(&self, message: &DynamicMessage, name: &str) -> Option<Vec<FieldDescriptor>> {
        if self.excluded.all {
            return None;
        }
        let mut descriptor = message.descriptor();
        let mut chain: Vec<FieldDescriptor> = Vec::new();
        let mut names = name.split('.').peekable();
        while let Some(name) = names.next() {
            let field = descriptor
                .get_field_by_name(name)
                .or_else(|| descriptor.get_field_by_json_name(name))?;
            if chain.len() == MAX_CHAIN || field.is_map() || self.excluded.barred.contains(&field) {
                return None;
            }
            if names.peek().is_some() {
                match field.kind() {
                    Kind::Message(inner) if !field.is_list() && known(&inner).is_none() => descriptor = inner,
                    _ => return None,
                }
            }
            chain.push(field);
        }
        let bound = |numbers: &Vec<u32>| {
            numbers.len() <= chain.len()
                && numbers
                    .iter()
                    .zip(&chain)
                    .all(|(number, field)| *number == field.number())
        };
        (!self.excluded.chains.iter().any(bound)).then_some(chain)
    }

    fn assign(&mut self, message: &mut DynamicMessage, chain: &[FieldDescriptor], text: &str) -> Result<(), Broken> {
        for field in chain {
            self.violations.enter(field.name());
        }
        let Some((field, parents)) = chain.split_last() else {
            return Ok(());
        };
        let again = !self.given.insert(self.violations.path.clone());
        if again && !field.is_list() {
            return Err(Broken::new("DUPLICATE", "is given twice"));
        }
        if !again {
            self.paths.push(self.violations.path.clone());
        }
        let value = text::value(&field.kind(), text)?;
        let mut at = message;
        for parent in parents {
            alone(at, parent)?;
            match at.get_field_mut(parent) {
                Value::Message(inner) => at = inner,
                _ => return Err(Broken::new("TYPE", "must not be given")),
            }
        }
        alone(at, field)?;
        if field.is_list() {
            if let Value::List(values) = at.get_field_mut(field) {
                values.push(value);
            }
        } else {
            at.set_field(field, value);
        }
        Ok(())
    }
}

/// Checks that no other field of the same oneof is set.
fn alone(message: &DynamicMessage, field: &FieldDescriptor) -> Result<(), Broken> {
    match rival(message, field) {
        Some(other) => Err(together(&other)),
        None => Ok(()),
    }
}

/// The field of the same oneof that is set in place of `field`.
fn rival(message: &DynamicMessage, field: &FieldDescriptor) -> Option<FieldDescriptor> {
    let oneof = field.containing_oneof()?;
    oneof.fields().find(|other| other != field && message.has_field(other))
}

fn together(other: &FieldDescriptor) -> Broken {
    let rule = format!("cannot be given together with `{}`", other.name());
    Broken::new("ONE_OF", rule)
}

/// Sets a field that the path binds. `violations` then is at the field that breaks the rule: a field
/// that the path's own one excludes is the other part's.
///
/// # Errors
/// The rule that is broken.
pub(crate) fn bind(
    message: &mut DynamicMessage,
    chain: &[FieldDescriptor],
    text: &str,
    violations: &mut Violations,
) -> Result<(), Broken> {
    let mut at = message;
    let mut chain = chain.iter().peekable();
    while let Some(field) = chain.next() {
        if let Some(other) = rival(at, field) {
            violations.enter(other.name());
            return Err(together(field));
        }
        violations.enter(field.name());
        if chain.peek().is_none() {
            at.set_field(field, text::value(&field.kind(), text)?);
            return Ok(());
        }
        match at.get_field_mut(field) {
            Value::Message(inner) => at = inner,
            _ => return Err(Broken::new("TYPE", "must not be given")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    const QUERIES: &str = concat!(
        "((menu|menu\\.next\\.id|tag|taste|since|by_name|%[0-9a-f]{0,2}|\\.|[a-z]{0,2})",
        "=?[&+%a-z0-9.:-]{0,6}&?){0,6}"
    );

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_query_is_read_or_refused_without_a_panic(raw in QUERIES) {
            let _ = apply(&raw, &mut testing::empty("GetDishRequest"), &Excluded::default());
        }

        #[test]
        fn any_text_reaches_its_field_through_a_query(
            text in any::<String>(),
            tags in prop::collection::vec(any::<String>(), 0..4)
        ) {
            let mut raw = "menu.id=".to_owned();
            percent::encode_into(&text, &mut raw);
            for tag in &tags {
                raw.push_str("&tag=");
                percent::encode_into(tag, &mut raw);
            }
            let mut message = testing::empty("GetDishRequest");
            let paths = apply(&raw, &mut message, &Excluded::default());
            let paths = paths.map_err(|problem| TestCaseError::fail(problem.message))?;
            let menu = message.get_field_by_name("menu").unwrap().into_owned();
            let id = menu.as_message().unwrap().get_field_by_name("id").unwrap().into_owned();
            prop_assert_eq!(id.as_str(), Some(text.as_str()));
            let read = message.get_field_by_name("tag").unwrap().into_owned();
            let read: Vec<_> = read.as_list().unwrap().iter().filter_map(Value::as_str).collect();
            prop_assert_eq!(read, tags.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(paths.len(), 1 + usize::from(!tags.is_empty()));
        }
    }

    #[test]
    fn names_nest_no_deeper_than_values() {
        let name = |levels: usize| format!("menu{}.id=x", ".next".repeat(levels));
        assert!(apply(&name(62), &mut testing::empty("GetDishRequest"), &Excluded::default()).is_ok());
        assert!(apply(&name(63), &mut testing::empty("GetDishRequest"), &Excluded::default()).is_err());
    }
}
