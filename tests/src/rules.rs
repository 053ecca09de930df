//! The rules of a field in its contract (`buf.validate`).

use prost_reflect::{DynamicMessage, FieldDescriptor, Value};

/// The rules of a field. Only kinds of rules that the contracts use are read; [`Rules::of`] panics
/// on any other.
#[derive(Debug, Default)]
pub struct Rules {
    /// It must be set, and must not be empty.
    pub required: bool,
    /// Its other rules do not apply while it is empty.
    pub may_be_empty: bool,
    /// Rules of a text.
    pub text: Option<Text>,
    /// The least and the greatest number.
    pub number: Option<(i32, i32)>,
    /// The valid numbers of an enum; empty for all that are defined.
    pub choice: Option<Vec<i32>>,
    /// Rules of a list.
    pub list: Option<List>,
}

/// Rules of a text.
#[derive(Debug, Default)]
pub struct Text {
    /// Least length in characters.
    pub min: usize,
    /// Greatest length in characters, where there is one.
    pub max: Option<usize>,
    /// It starts with this.
    pub prefix: String,
    /// It is one of these, unless empty.
    pub one_of: Vec<String>,
    /// It matches a pattern.
    pub pattern: bool,
    /// It is an e-mail address.
    pub email: bool,
    /// It is a UUID.
    pub uuid: bool,
    /// It is a URI.
    pub uri: bool,
    /// It is an IP address.
    pub ip: bool,
}

impl Text {
    /// Whether an empty text breaks its rules.
    pub fn refuses_empty(&self) -> bool {
        self.min > 0 || self.email || self.uuid || self.uri || !self.one_of.is_empty() || !self.prefix.is_empty()
    }
}

/// Rules of a list.
#[derive(Debug)]
pub struct List {
    /// Least number of items.
    pub min: usize,
    /// Greatest number of items.
    pub max: Option<usize>,
    /// Rules of each item.
    pub items: Box<Rules>,
}

impl Rules {
    /// The rules of `field`.
    pub fn of(field: &FieldDescriptor) -> Self {
        let extension = field
            .parent_pool()
            .get_extension_by_name("buf.validate.field")
            .expect("the contracts import buf.validate");
        let options = field.options();
        match &*options.get_extension(&extension) {
            Value::Message(rules) if options.has_extension(&extension) => Self::read(rules, field.full_name()),
            _ => Self::default(),
        }
    }

    fn read(rules: &DynamicMessage, field: &str) -> Self {
        let mut read = Self::default();
        for (descriptor, value) in rules.fields() {
            match (descriptor.name(), value) {
                ("required", value) => read.required = value.as_bool() == Some(true),
                // `IGNORE_IF_ZERO_VALUE`. `IGNORE_ALWAYS` is for updates, whose fields are checked
                // where the mask has them.
                ("ignore", value) => read.may_be_empty = value.as_enum_number() == Some(1),
                ("string", Value::Message(rules)) => read.text = Some(Text::read(rules, field)),
                ("int32", Value::Message(rules)) => read.number = Some(numbers(rules, field)),
                ("enum", Value::Message(rules)) => read.choice = Some(choices(rules, field)),
                ("repeated", Value::Message(rules)) => read.list = Some(List::read(rules, field)),
                (other, _) => {
                    panic!("{field}: rules `{other}` are new; the tests must learn to read and to break them")
                }
            }
        }
        read
    }
}

impl Text {
    fn read(rules: &DynamicMessage, field: &str) -> Self {
        let mut read = Self::default();
        for (descriptor, value) in rules.fields() {
            let size = || usize::try_from(value.as_u64().expect("a length")).expect("a length");
            match descriptor.name() {
                "min_len" => read.min = size(),
                "max_len" => read.max = Some(size()),
                "prefix" => value.as_str().expect("a prefix").clone_into(&mut read.prefix),
                "in" => {
                    read.one_of = value
                        .as_list()
                        .expect("a list")
                        .iter()
                        .map(|one| one.as_str().expect("text").to_owned())
                        .collect()
                }
                "pattern" => read.pattern = true,
                "email" => read.email = true,
                "uuid" => read.uuid = true,
                "uri" => read.uri = true,
                "ip" => read.ip = true,
                other => {
                    panic!("{field}: the rule `string.{other}` is new; the tests must learn to read and to break it")
                }
            }
        }
        read
    }
}

impl List {
    fn read(rules: &DynamicMessage, field: &str) -> Self {
        let mut read = Self {
            min: 0,
            max: None,
            items: Box::default(),
        };
        for (descriptor, value) in rules.fields() {
            let size = || usize::try_from(value.as_u64().expect("a length")).expect("a length");
            match (descriptor.name(), value) {
                ("min_items", _) => read.min = size(),
                ("max_items", _) => read.max = Some(size()),
                ("items", Value::Message(rules)) => *read.items = Rules::read(rules, field),
                (other, _) => {
                    panic!("{field}: the rule `repeated.{other}` is new; the tests must learn to read and to break it")
                }
            }
        }
        read
    }
}

fn numbers(rules: &DynamicMessage, field: &str) -> (i32, i32) {
    let mut range = (i32::MIN, i32::MAX);
    for (descriptor, value) in rules.fields() {
        match descriptor.name() {
            "gte" => range.0 = value.as_i32().expect("a number"),
            "lte" => range.1 = value.as_i32().expect("a number"),
            other => panic!("{field}: the rule `int32.{other}` is new; the tests must learn to read and to break it"),
        }
    }
    range
}

fn choices(rules: &DynamicMessage, field: &str) -> Vec<i32> {
    let mut numbers = Vec::new();
    for (descriptor, value) in rules.fields() {
        match descriptor.name() {
            "defined_only" => {}
            "in" => {
                numbers = value
                    .as_list()
                    .expect("a list")
                    .iter()
                    .map(|one| one.as_i32().expect("a number"))
                    .collect()
            }
            other => panic!("{field}: the rule `enum.{other}` is new; the tests must learn to read and to break it"),
        }
    }
    numbers
}
