//! What is computed of a type before any request.

use std::collections::HashMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use super::names::Names;
use crate::transcode::known::{Known, known};
use crate::transcode::most;

/// How requests of a type are written.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The type and all that it holds.
    pub(super) messages: Vec<Message>,
    pub(super) root: usize,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) form: Form,
    /// The fields that a client can set.
    pub(super) fields: Box<[Field]>,
    /// Indexes of fields by both of their names.
    names: Names<usize>,
}

/// What a message is in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An object of its fields.
    Object,
    /// An object without any.
    Empty,
    Timestamp,
    Duration,
    FieldMask,
    /// The value of the only field.
    Wrapper,
    Struct,
    List,
    Value,
}

#[derive(Debug)]
pub(super) struct Field {
    /// In the proto.
    pub(super) name: Box<str>,
    pub(super) number: u32,
    pub(super) has_presence: bool,
    pub(super) shape: Shape,
    pub(super) of: Type,
    /// Elements that are passed on at the most, of a list with a bound.
    pub(super) most: Option<usize>,
    /// The other fields of its oneof, by index.
    pub(super) rivals: Box<[usize]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Single,
    List,
    /// A list whose values stand together in one.
    Packed,
    /// A list of entries.
    Map,
}

/// What one value of a field is.
#[derive(Debug)]
pub(super) enum Type {
    Scalar(Kind),
    Enum(Values),
    /// The message at this index of the plan.
    Message(usize),
}

/// The values of an enum.
#[derive(Debug)]
pub(super) struct Values {
    pub(super) descriptor: EnumDescriptor,
    pub(super) names: Names<i32>,
    /// `google.protobuf.NullValue`
    pub(super) is_null: bool,
}

/// What a body fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The message.
    Whole,
    /// The fields of the message in this field.
    Inside(usize),
    /// The field.
    Field(usize),
}

/// The fields that a dotted name leads through, by their indexes in the messages of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain(pub(super) Vec<usize>);

impl Plan {
    /// The plan of requests of type `root` in which a client cannot set `barred`. `None` where they
    /// have to be made as messages: where something in them is an `Any` or a group.
    pub(crate) fn compile(root: &MessageDescriptor, barred: &[FieldDescriptor]) -> Option<Self> {
        let mut compiler = Compiler {
            messages: Vec::new(),
            indexes: HashMap::new(),
            barred,
        };
        let root = compiler.message(root)?;
        Some(Self {
            messages: compiler.messages.into_iter().collect::<Option<_>>()?,
            root,
        })
    }

    /// The index of a field of the root that no other field of a oneof excludes.
    pub(crate) fn field(&self, field: &FieldDescriptor) -> Option<usize> {
        let fields = &self.messages[self.root].fields;
        let found = fields.iter().position(|candidate| candidate.number == field.number())?;
        fields[found].rivals.is_empty().then_some(found)
    }

    /// The chain of `fields`, each a single one that no other field of a oneof excludes, and the last
    /// one no message: whatever was set before, a value of it takes its place.
    pub(crate) fn chain(&self, fields: &[FieldDescriptor]) -> Option<Chain> {
        let mut chain = Vec::with_capacity(fields.len());
        let mut at = Some(self.root);
        for field in fields {
            let fields = &self.messages[at?].fields;
            let index = fields.iter().position(|candidate| candidate.number == field.number())?;
            let field = &fields[index];
            if field.shape != Shape::Single || !field.rivals.is_empty() {
                return None;
            }
            at = match field.of {
                Type::Message(inner) => Some(inner),
                _ => None,
            };
            chain.push(index);
        }
        at.is_none().then_some(Chain(chain))
    }
}

impl Message {
    /// The index of the field of that name. Most clients name fields in the order of the proto:
    /// `guess` is the one that may come next.
    #[inline]
    pub(super) fn find(&self, name: &str, guess: usize) -> Option<usize> {
        match self.fields.get(guess) {
            Some(field) if *field.name == *name => Some(guess),
            _ => self.names.get(name),
        }
    }
}

struct Compiler<'b> {
    /// `None` while one is compiled, since it may hold itself.
    messages: Vec<Option<Message>>,
    indexes: HashMap<String, usize>,
    barred: &'b [FieldDescriptor],
}

impl Compiler<'_> {
    fn message(&mut self, descriptor: &MessageDescriptor) -> Option<usize> {
        if let Some(index) = self.indexes.get(descriptor.full_name()) {
            return Some(*index);
        }
        let form = form(descriptor)?;
        let index = self.messages.len();
        self.messages.push(None);
        self.indexes.insert(descriptor.full_name().to_owned(), index);
        // The fields of these are known without a plan.
        let is_built_in = matches!(form, Form::Struct | Form::List | Form::Value);
        let mut descriptors: Vec<_> = descriptor.fields().filter(|_| !is_built_in).collect();
        descriptors.retain(|field| !self.barred.contains(field));
        let fields = descriptors.iter().map(|field| self.field(field, &descriptors));
        let fields: Box<[_]> = fields.collect::<Option<_>>()?;
        self.messages[index] = Some(Message {
            form,
            names: names(descriptor, &descriptors),
            fields,
        });
        Some(index)
    }

    fn field(&mut self, field: &FieldDescriptor, all: &[FieldDescriptor]) -> Option<Field> {
        if field.is_group() {
            return None;
        }
        let kind = field.kind();
        let of = match &kind {
            Kind::Message(descriptor) => Type::Message(self.message(descriptor)?),
            Kind::Enum(descriptor) => Type::Enum(Values {
                names: Names::of(
                    descriptor
                        .values()
                        .map(|value| (value.name().to_owned(), value.number())),
                ),
                is_null: descriptor.full_name() == "google.protobuf.NullValue",
                descriptor: descriptor.clone(),
            }),
            _ => Type::Scalar(kind),
        };
        let oneof = field.containing_oneof();
        let is_rival = |other: &FieldDescriptor| oneof.is_some() && other != field && other.containing_oneof() == oneof;
        let rivals = all.iter().enumerate().filter(|(_, other)| is_rival(other));
        Some(Field {
            name: field.name().into(),
            number: field.number(),
            has_presence: field.supports_presence(),
            most: most::of(field),
            shape: match () {
                () if field.is_map() => Shape::Map,
                () if field.is_packed() => Shape::Packed,
                () if field.is_list() => Shape::List,
                () => Shape::Single,
            },
            of,
            rivals: rivals.map(|(index, _)| index).collect(),
        })
    }
}

/// Each name of a message's fields, with the index of the one that it leads to.
fn names(descriptor: &MessageDescriptor, fields: &[FieldDescriptor]) -> Names<usize> {
    let candidates = fields
        .iter()
        .flat_map(|field| [field.name().to_owned(), field.json_name().to_owned()]);
    Names::of(candidates.filter_map(|name| {
        let found = descriptor.get_field_by_name(&name);
        let found = found.or_else(|| descriptor.get_field_by_json_name(&name))?;
        // None where the field is barred.
        let index = fields.iter().position(|field| *field == found)?;
        Some((name, index))
    }))
}

fn form(descriptor: &MessageDescriptor) -> Option<Form> {
    Some(match known(descriptor) {
        None => Form::Object,
        Some(Known::Empty) => Form::Empty,
        Some(Known::Timestamp) => Form::Timestamp,
        Some(Known::Duration) => Form::Duration,
        Some(Known::FieldMask) => Form::FieldMask,
        Some(Known::Wrapper) => Form::Wrapper,
        Some(Known::Struct) => Form::Struct,
        Some(Known::List) => Form::List,
        Some(Known::Value) => Form::Value,
        Some(Known::Any) => return None,
    })
}
