//! Requests that break one rule of their contract.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};

use crate::message::{Known, is_own, valid};
use crate::rules::{Rules, Text};

/// A request that breaks one rule.
pub struct Violation {
    /// The request.
    pub message: DynamicMessage,
    /// The path of the field that breaks its rule, such as `todos[0].title`.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

/// Every way to break one rule of a request of this kind.
pub fn of(request: &MessageDescriptor, known: &Known) -> Vec<Violation> {
    let mut violations = Vec::new();
    for field in request.fields() {
        for (what, value) in wrong(&field) {
            let mut message = valid(request, known);
            set(&mut message, &field, value);
            violations.push(Violation {
                message,
                path: field.name().to_owned(),
                what,
            });
        }
        if !is_own(&field.kind()) {
            continue;
        }
        let Kind::Message(inner) = field.kind() else { continue };
        for violation in of(&inner, &Known::new()) {
            let mut message = valid(request, known);
            let Violation {
                message: inner,
                path,
                what,
            } = violation;
            let (value, path) = if field.is_list() {
                (
                    Value::List(vec![Value::Message(inner)]),
                    format!("{}[0].{path}", field.name()),
                )
            } else {
                (Value::Message(inner), format!("{}.{path}", field.name()))
            };
            message.set_field(&field, value);
            violations.push(Violation { message, path, what });
        }
    }
    violations
}

/// Sets a field, or clears it.
fn set(message: &mut DynamicMessage, field: &FieldDescriptor, value: Option<Value>) {
    match value {
        Some(value) => message.set_field(field, value),
        None => message.clear_field(field),
    }
    debug_assert_eq!(message.descriptor(), *field.parent_message());
}

/// Invalid values of a field.
fn wrong(field: &FieldDescriptor) -> Vec<(String, Option<Value>)> {
    let rules = Rules::of(field);
    let mut wrong = Vec::new();
    if rules.required {
        wrong.push(("missing".to_owned(), None));
    }
    if let Some(list) = &rules.list {
        let item = |rules: &Rules| match field.kind() {
            Kind::Message(message) => Value::Message(valid(&message, &Known::new())),
            _ => valid_item(rules),
        };
        if list.min > 0 {
            wrong.push(("too few".to_owned(), None));
        }
        if let Some(max) = list.max {
            wrong.push((
                "too many".to_owned(),
                Some(Value::List(vec![item(&list.items); max + 1])),
            ));
        }
        for (what, value) in wrong_scalars(&list.items) {
            wrong.push((format!("an item {what}"), Some(Value::List(vec![value]))));
        }
        return wrong;
    }
    wrong.extend(
        wrong_scalars(&rules)
            .into_iter()
            .map(|(what, value)| (what, Some(value))),
    );
    wrong
}

fn valid_item(rules: &Rules) -> Value {
    let text = rules
        .text
        .as_ref()
        .expect("lists of the contracts hold texts or messages");
    Value::String(if text.uuid {
        "01890000-0000-7000-8000-000000000000".into()
    } else {
        "x".repeat(text.min.max(1))
    })
}

fn wrong_scalars(rules: &Rules) -> Vec<(String, Value)> {
    let mut wrong = Vec::new();
    if let Some(text) = &rules.text {
        wrong.extend(
            wrong_texts(text, rules.required || rules.may_be_empty)
                .into_iter()
                .map(|(what, text)| (what.to_owned(), Value::String(text))),
        );
    }
    if let Some((least, greatest)) = rules.number {
        if let Some(less) = least.checked_sub(1) {
            wrong.push((format!("{less}"), Value::I32(less)));
        }
        if let Some(more) = greatest.checked_add(1) {
            wrong.push((format!("{more}"), Value::I32(more)));
        }
    }
    if rules.choice.is_some() {
        wrong.push(("an unknown choice".to_owned(), Value::EnumNumber(999)));
    }
    wrong
}

fn wrong_texts(text: &Text, empty_is_reported: bool) -> Vec<(&'static str, String)> {
    let mut wrong = Vec::new();
    if text.min > 1 {
        wrong.push(("too short", format!("{}{}", text.prefix, "x".repeat(text.min - 1))));
    }
    if text.refuses_empty() && !empty_is_reported {
        wrong.push(("empty", String::new()));
    }
    if let Some(max) = text.max {
        let fill = "x".repeat(max + 1 - text.prefix.len());
        let long = if text.email {
            format!("{fill}@example.org")
        } else {
            format!("{}{fill}", text.prefix)
        };
        wrong.push((
            "too long",
            if text.uri {
                format!("https://example.org/{fill}")
            } else {
                long
            },
        ));
    }
    if text.email || text.uuid || text.uri || text.ip || !text.one_of.is_empty() {
        wrong.push(("of another form", "not it".to_owned()));
    }
    if text.pattern {
        wrong.push(("against its pattern", "Not It!".to_owned()));
    }
    if !text.prefix.is_empty() {
        wrong.push(("without its prefix", "no-prefix".to_owned()));
    }
    wrong
}
