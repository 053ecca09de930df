//! Random JSON and pairs that fill messages of a type, or nearly so: keys in any order and in both
//! spellings, values in each of their forms, and now and then something that is refused.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::routes::percent;
pub(crate) use crate::transcode::wire::tests::random::Random;
use crate::transcode::wire::tests::random::TEXTS;

/// An object, or whatever the message is in JSON, with at most `depth` messages in it.
pub(crate) fn message(random: &mut Random, descriptor: &MessageDescriptor, depth: usize) -> String {
    let mut text = Text {
        random,
        out: String::new(),
    };
    text.message(descriptor, depth);
    let mut out = text.out;
    if random.breaks() {
        let cut = (0..=random.below(out.len() + 1))
            .rev()
            .find(|at| out.is_char_boundary(*at));
        out.truncate(cut.unwrap_or_default());
    }
    out
}

/// A value of the field.
pub(crate) fn field(random: &mut Random, field: &FieldDescriptor, depth: usize) -> String {
    let mut text = Text {
        random,
        out: String::new(),
    };
    text.field(field, depth);
    text.out
}

/// A query or a form.
pub(crate) fn pairs(random: &mut Random, descriptor: &MessageDescriptor) -> String {
    let mut pairs = String::new();
    let mut used = Vec::new();
    for _ in 0..random.below(5) {
        let Some((name, value)) = pair(random, descriptor, 3, &mut used) else {
            continue;
        };
        if !pairs.is_empty() {
            pairs.push('&');
        }
        pairs.push_str(&name);
        pairs.push('=');
        percent::encode_into(&value, &mut pairs);
        if random.breaks() {
            pairs.push_str(["%ff", "&&", "&x=1", "+", "&="][random.below(5)]);
        }
    }
    pairs
}

fn pair(
    random: &mut Random,
    descriptor: &MessageDescriptor,
    depth: usize,
    used: &mut Vec<FieldDescriptor>,
) -> Option<(String, String)> {
    let fields: Vec<_> = descriptor.fields().collect();
    let field = fields.get(random.below(fields.len()))?;
    let name = name(random, field);
    let is_used = |used: &[FieldDescriptor]| used.iter().any(|other| other == field || excludes(other, field));
    match field.kind() {
        Kind::Message(inner) if !field.is_list() && depth > 0 && !inner.full_name().starts_with("google.protobuf.") => {
            if used.iter().any(|other| excludes(other, field)) && !random.breaks() {
                return None;
            }
            used.push(field.clone());
            let (rest, value) = pair(random, &inner, depth - 1, used)?;
            Some((format!("{name}.{rest}"), value))
        }
        kind => {
            if !field.is_list() && is_used(used) && !random.breaks() {
                return None;
            }
            used.push(field.clone());
            Some((name, plain(random, &kind)))
        }
    }
}

/// A value as text outside of JSON.
fn plain(random: &mut Random, kind: &Kind) -> String {
    let mut text = Text {
        random,
        out: String::new(),
    };
    match kind {
        Kind::Message(inner) => text.message(inner, 0),
        kind => text.single(kind, 0),
    }
    // What is a string in JSON stands there without its quotes.
    serde_json::from_str::<String>(&text.out).unwrap_or(text.out)
}

fn excludes(one: &FieldDescriptor, other: &FieldDescriptor) -> bool {
    one != other && one.containing_oneof().is_some() && one.containing_oneof() == other.containing_oneof()
}

fn name(random: &mut Random, field: &FieldDescriptor) -> String {
    match random.below(3) {
        0 => field.json_name().to_owned(),
        _ => field.name().to_owned(),
    }
}

/// JSON that is being written.
struct Text<'r> {
    random: &'r mut Random,
    out: String,
}

impl Text<'_> {
    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.random.below(of.len())]
    }

    fn space(&mut self) {
        if self.random.one_in(8) {
            let space = self.pick(&[" ", "\n", "\t", "\r\n", "  "]);
            self.out.push_str(space);
        }
    }

    /// A string, some characters of which are escaped without need.
    fn string(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            let short = match character {
                '"' => Some("\\\""),
                '\\' => Some("\\\\"),
                '\n' => Some("\\n"),
                '\t' => Some("\\t"),
                '/' if self.random.one_in(2) => Some("\\/"),
                _ => None,
            };
            match short {
                Some(short) if !self.random.one_in(4) => self.out.push_str(short),
                _ if short.is_some() || character < ' ' || self.random.one_in(15) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        self.out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                _ => self.out.push(character),
            }
        }
        self.out.push('"');
    }

    fn text(&mut self) {
        let text = self.pick(&TEXTS);
        self.string(text);
    }

    fn object(&mut self, descriptor: &MessageDescriptor, depth: usize) {
        let fields: Vec<_> = descriptor.fields().collect();
        let mut used: Vec<FieldDescriptor> = Vec::new();
        self.out.push('{');
        for _ in 0..self.random.below(6) {
            let Some(field) = fields.get(self.random.below(fields.len())) else {
                break;
            };
            let is_used = used.iter().any(|other| other == field || excludes(other, field));
            if is_used && !self.random.breaks() {
                continue;
            }
            if !used.is_empty() {
                self.out.push(',');
            }
            used.push(field.clone());
            self.space();
            let name = name(self.random, field);
            let name = if self.random.breaks() {
                name.to_uppercase()
            } else {
                name
            };
            self.string(&name);
            self.space();
            self.out.push(':');
            self.space();
            self.field(field, depth);
            self.space();
        }
        self.out.push('}');
    }

    fn field(&mut self, field: &FieldDescriptor, depth: usize) {
        if self.random.one_in(14) {
            self.out.push_str("null");
            return;
        }
        if self.random.breaks() {
            let wrong = self.pick(&[
                "{}",
                "[]",
                "true",
                "\"x\"",
                "1.5",
                "[null]",
                "-",
                "\"\\ud800\"",
                "1e400",
                "nul",
            ]);
            self.out.push_str(wrong);
            return;
        }
        let kind = field.kind();
        if let (true, Kind::Message(entry)) = (field.is_map(), &kind) {
            return self.map(entry, depth);
        }
        if field.is_list() {
            return self.list(|text| text.single(&kind, depth));
        }
        self.single(&kind, depth);
    }

    fn list(&mut self, mut element: impl FnMut(&mut Self)) {
        self.out.push('[');
        for index in 0..self.random.below(4) {
            if index > 0 {
                self.out.push(',');
            }
            self.space();
            element(self);
        }
        self.space();
        self.out.push(']');
    }

    fn map(&mut self, entry: &MessageDescriptor, depth: usize) {
        let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        self.out.push('{');
        for index in 0..self.random.below(3) {
            if index > 0 {
                self.out.push(',');
            }
            self.space();
            // Few keys, so that some come twice.
            let key = match (&key, self.random.below(12)) {
                (Kind::Bool, number) => ["true", "false"][number % 2].to_owned(),
                (Kind::String, number) => TEXTS[number % TEXTS.len()].to_owned(),
                (_, 0) => "1.0".to_owned(),
                (_, 1) if self.random.breaks() => "one".to_owned(),
                (_, number) => number.to_string(),
            };
            self.string(&key);
            self.out.push(':');
            self.single(&value, depth);
        }
        self.out.push('}');
    }

    fn single(&mut self, kind: &Kind, depth: usize) {
        match kind {
            Kind::Message(inner) => self.message(inner, depth.saturating_sub(1)),
            Kind::Bool => {
                let word = self.pick(&["true", "false"]);
                self.out.push_str(word);
            }
            Kind::String => self.text(),
            Kind::Bytes => {
                let bytes: Vec<u8> = (0..self.random.below(6))
                    .map(|_| self.random.below(256) as u8)
                    .collect();
                let text = match self.random.below(4) {
                    0 => STANDARD.encode(bytes),
                    1 => STANDARD_NO_PAD.encode(bytes),
                    2 => URL_SAFE.encode(bytes),
                    _ => URL_SAFE_NO_PAD.encode(bytes),
                };
                self.string(&text);
            }
            Kind::Enum(descriptor) => {
                let values: Vec<_> = descriptor.values().collect();
                let value = &values[self.random.below(values.len())];
                match self.random.below(6) {
                    0 => self.out.push_str(&value.number().to_string()),
                    1 => self.out.push_str("77"),
                    2 => self.string(&value.name().to_lowercase()),
                    3 => {
                        let short = value.name().rsplit('_').next().unwrap().to_owned();
                        self.string(&short);
                    }
                    _ => self.string(value.name()),
                }
            }
            kind => self.number(kind),
        }
    }

    fn number(&mut self, kind: &Kind) {
        let is_float = matches!(kind, Kind::Float | Kind::Double);
        let is_wide = matches!(
            kind,
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64
        );
        let is_unsigned = matches!(kind, Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64);
        let number = match self.random.below(9) {
            0 => "0",
            1 => "-0",
            2 => "7.0",
            3 => "1.5e1",
            4 => "2147483647",
            5 if !is_unsigned => "-12",
            6 if is_wide => "9223372036854775807",
            7 if is_float => self.pick(&["0.1", "-0.0", "1e-7", "3.4e38", "-2.5"]),
            8 if self.random.breaks() => self.pick(&["1.5", "1e30", "99999999999999999999", "01", "+1", ""]),
            _ => "300",
        };
        if is_float && self.random.one_in(8) {
            let name = self.pick(&["NaN", "Infinity", "-Infinity"]);
            self.string(name);
        } else if self.random.one_in(3) {
            self.string(number);
        } else {
            self.out.push_str(number);
        }
    }

    fn message(&mut self, descriptor: &MessageDescriptor, depth: usize) {
        let broken = self.random.breaks();
        match descriptor.full_name() {
            "google.protobuf.Timestamp" => {
                let text = match broken {
                    true => self.pick(&["2026-02-30T00:00:00Z", "today", "2026-01-31T00:00:00"]),
                    false => self.pick(&[
                        "1970-01-01T00:00:00Z",
                        "2026-01-31T12:00:00.5+01:00",
                        "0001-01-01T00:00:00Z",
                    ]),
                };
                self.string(text);
            }
            "google.protobuf.Duration" => {
                let text = match broken {
                    true => self.pick(&["1", "315576000001s", "1.0000000001s"]),
                    false => self.pick(&["0s", "1.5s", "-0.25s", "315576000000.5s", "-315576000000s"]),
                };
                self.string(text);
            }
            "google.protobuf.FieldMask" => {
                let text = match broken {
                    true => self.pick(&["a,,b", "a b"]),
                    false => self.pick(&["", "a", "a,fooBar.baz_qux", "*"]),
                };
                self.string(text);
            }
            "google.protobuf.Empty" => self.out.push_str(if broken { "{\"a\":1}" } else { "{}" }),
            "google.protobuf.Any" => self.out.push_str("{}"),
            "google.protobuf.Struct" => self.structure(depth),
            "google.protobuf.ListValue" => self.list(|text| text.anything(depth.saturating_sub(1))),
            "google.protobuf.Value" => self.anything(depth),
            name if name.starts_with("google.protobuf.")
                && name.ends_with("Value")
                && descriptor.fields().len() == 1 =>
            {
                let field = descriptor.get_field(1).unwrap();
                self.single(&field.kind(), 0);
            }
            _ if depth == 0 => self.out.push_str("{}"),
            _ => self.object(descriptor, depth),
        }
    }

    fn structure(&mut self, depth: usize) {
        self.out.push('{');
        for index in 0..self.random.below(3) {
            if index > 0 {
                self.out.push(',');
            }
            self.text();
            self.out.push(':');
            self.anything(depth.saturating_sub(1));
        }
        self.out.push('}');
    }

    fn anything(&mut self, depth: usize) {
        match self.random.below(if depth == 0 { 5 } else { 7 }) {
            0 => self.out.push_str("null"),
            1 => self.text(),
            2 => self.out.push_str("true"),
            3 => self.out.push_str("false"),
            4 => {
                let number = self.pick(&["0", "-0", "1.5", "1e300", "12"]);
                self.out.push_str(number);
            }
            5 => self.structure(depth - 1),
            _ => self.list(|text| text.anything(depth - 1)),
        }
    }
}
