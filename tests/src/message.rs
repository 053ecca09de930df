//! Requests that obey every rule of their contract.

use std::collections::BTreeMap;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use quartet_clock::Clock;

use crate::app::unique;
use crate::rules::{Rules, Text};

/// Values of fields by name, such as ids of resources that exist.
pub type Known = BTreeMap<&'static str, String>;

/// A message with every required field, and with the values of `known` in fields of these names.
pub fn valid(descriptor: &MessageDescriptor, known: &Known) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        if let Some(value) = value(&field, known) {
            message.set_field(&field, value);
        }
    }
    message
}

/// Whether messages of this kind are the suite's own, so that the rules of their fields apply.
pub fn is_own(kind: &Kind) -> bool {
    matches!(kind, Kind::Message(message) if message.full_name().starts_with("quartet."))
}

fn value(field: &FieldDescriptor, known: &Known) -> Option<Value> {
    let rules = Rules::of(field);
    if let Some(known) = known.get(field.name()) {
        return Some(Value::String(known.clone()));
    }
    if field.is_list() {
        let list = rules.list?;
        let known_item = singular(field.name()).and_then(|name| known.get(name).cloned());
        let item = match (known_item, field.kind()) {
            (Some(known), _) => return Some(Value::List(vec![Value::String(known); list.min.max(1)])),
            (None, _) if list.min == 0 => return None,
            (None, Kind::Message(message)) => Value::Message(valid(&message, known)),
            (None, _) => scalar(&list.items)?,
        };
        return Some(Value::List(vec![item; list.min]));
    }
    match field.kind() {
        Kind::Message(message) if is_own(&field.kind()) => Some(Value::Message(valid(&message, known))),
        Kind::Message(_) => None,
        _ if rules.required || (!field.supports_presence() && refuses_default(&rules)) => scalar(&rules),
        _ => None,
    }
}

/// Whether the default value of a field breaks a rule.
fn refuses_default(rules: &Rules) -> bool {
    let text = rules.text.as_ref().is_some_and(Text::refuses_empty);
    let number = rules.number.is_some_and(|(least, _)| least > 0);
    !rules.may_be_empty && (text || number)
}

/// `todo_id` for `todo_ids`.
fn singular(name: &str) -> Option<&str> {
    name.strip_suffix('s')
}

fn scalar(rules: &Rules) -> Option<Value> {
    if let Some(text) = &rules.text {
        return Some(Value::String(self::text(text)));
    }
    if let Some((least, greatest)) = rules.number {
        return Some(Value::I32(least.max(1).min(greatest)));
    }
    let choices = rules.choice.as_ref()?;
    Some(Value::EnumNumber(choices.first().copied().unwrap_or(1)))
}

fn text(rules: &Text) -> String {
    let text = match rules {
        Text { one_of, .. } if !one_of.is_empty() => return one_of[0].clone(),
        Text { uuid: true, .. } => return Clock::system().new_id().to_string(),
        Text { ip: true, .. } => return "2001:db8::1".to_owned(),
        Text { email: true, .. } => return format!("{}@example.org", unique("e")),
        Text { uri: true, .. } => return format!("https://example.org/{}", unique("u")),
        _ => format!("{}{}", rules.prefix, unique("x")),
    };
    let longest = rules.max.unwrap_or(usize::MAX);
    text.chars().take(longest).collect()
}
