//! What is computed of a type before any message.

use std::collections::HashMap;

use prost::encoding::WireType;
use prost_reflect::{EnumDescriptor, FieldDescriptor, MessageDescriptor};

use crate::transcode::json;
use crate::transcode::known::{Known, known};
use crate::transcode::text::printed;

/// Numbers of fields up to this one are looked up in a table.
const MAX_DENSE: u32 = 1_024;
const NO_FIELD: u16 = u16::MAX;

/// How the messages of a type are written.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The type and all that it holds.
    pub(super) messages: Vec<Message>,
    pub(super) root: usize,
    /// The only field of the root to write.
    pub(super) body: Option<usize>,
    /// Fields to leave out.
    pub(super) omitted: Vec<FieldDescriptor>,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) form: Form,
    /// In the order of their numbers.
    pub(super) fields: Box<[Field]>,
    /// The index of each field by its number.
    dense: Box<[u16]>,
    /// The entry of a map, which protobuf does not count as a level of nesting.
    pub(super) is_entry: bool,
}

/// What a message is in JSON.
#[derive(Debug)]
pub(super) enum Form {
    /// An object of its fields.
    Object,
    /// Seconds and nanoseconds in the first two fields.
    Timestamp,
    Duration,
    /// Paths in the only field.
    FieldMask,
    /// The value of the only field.
    Only,
    /// The value of the field that is set.
    Value,
    /// What only the message itself decides.
    Any(MessageDescriptor),
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    /// `,"name":`
    pub(super) member: Box<[u8]>,
    /// What stands there when it is unset.
    pub(super) default: Box<[u8]>,
    pub(super) has_presence: bool,
    pub(super) is_omitted: bool,
    pub(super) kind: Kind,
    pub(super) shape: Shape,
    /// The wire type of one value.
    pub(super) wire: WireType,
    /// The other fields of its oneof, by index.
    pub(super) rivals: Box<[usize]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Single,
    List,
    /// A list whose values may stand together in one.
    PackableList,
    /// A list of entries.
    Map,
}

#[derive(Debug)]
pub(super) enum Kind {
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Float,
    Double,
    String,
    Bytes,
    /// `google.protobuf.NullValue`
    Null,
    Enum(Names),
    /// The message at this index of the plan.
    Message(usize),
}

/// The names of an enum's values with quotes around them, in the order of their numbers.
#[derive(Debug)]
pub(super) struct Names(Box<[(i32, Box<[u8]>)]>);

impl Plan {
    /// The plan of the messages of type `root`, of which only the field `body` is written, if one is
    /// given, and `omitted` never. `None` where they cannot be written without decoding them: where
    /// something in them is a group, or has extensions.
    pub(crate) fn compile(
        root: &MessageDescriptor,
        body: Option<&FieldDescriptor>,
        omitted: &[FieldDescriptor],
    ) -> Option<Self> {
        let mut compiler = Compiler {
            messages: Vec::new(),
            indexes: HashMap::new(),
            omitted,
        };
        let index = compiler.message(root)?;
        let messages = compiler.messages.into_iter().collect::<Option<Vec<_>>>()?;
        let body = match body {
            Some(field) => Some(messages[index].find(field.number())?),
            None => None,
        };
        Some(Self {
            messages,
            root: index,
            body,
            omitted: omitted.to_vec(),
        })
    }
}

impl Message {
    /// The index of the field with this number.
    #[inline]
    pub(super) fn find(&self, number: u32) -> Option<usize> {
        match self.dense.get(number as usize) {
            Some(&NO_FIELD) => None,
            Some(index) => Some(usize::from(*index)),
            None => self.fields.binary_search_by_key(&number, |field| field.number).ok(),
        }
    }
}

impl Names {
    fn of(descriptor: &EnumDescriptor) -> Self {
        let mut names: Vec<_> = printed(descriptor)
            .map(|value| (value.number(), format!("\"{}\"", value.name()).into_bytes().into()))
            .collect();
        names.sort_unstable();
        Self(names.into())
    }

    pub(super) fn get(&self, number: i32) -> Option<&[u8]> {
        // Most enums count from zero without a gap.
        let guess = usize::try_from(number).ok().and_then(|index| self.0.get(index));
        let found = guess.filter(|(found, _)| *found == number).or_else(|| {
            let index = self.0.binary_search_by_key(&number, |(number, _)| *number).ok()?;
            self.0.get(index)
        });
        found.map(|(_, name)| &**name)
    }
}

struct Compiler<'o> {
    /// `None` while one is compiled, since it may hold itself.
    messages: Vec<Option<Message>>,
    indexes: HashMap<String, usize>,
    omitted: &'o [FieldDescriptor],
}

impl Compiler<'_> {
    fn message(&mut self, descriptor: &MessageDescriptor) -> Option<usize> {
        if let Some(index) = self.indexes.get(descriptor.full_name()) {
            return Some(*index);
        }
        if descriptor.extensions().next().is_some() {
            return None;
        }
        let index = self.messages.len();
        self.messages.push(None);
        self.indexes.insert(descriptor.full_name().to_owned(), index);
        let descriptors: Vec<_> = descriptor.fields().collect();
        let fields = descriptors.iter().map(|field| self.field(field, &descriptors));
        let fields: Box<[_]> = fields.collect::<Option<_>>()?;
        self.messages[index] = Some(Message {
            form: form(descriptor, &fields)?,
            dense: dense(&fields),
            fields,
            is_entry: descriptor.is_map_entry(),
        });
        Some(index)
    }

    fn field(&mut self, field: &FieldDescriptor, all: &[FieldDescriptor]) -> Option<Field> {
        if field.is_group() {
            return None;
        }
        let descriptor = field.kind();
        let kind = self.kind(&descriptor)?;
        let is_delimited = matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_));
        let shape = match (field.is_map(), field.is_list()) {
            (true, _) => Shape::Map,
            (_, true) if is_delimited => Shape::List,
            (_, true) => Shape::PackableList,
            _ => Shape::Single,
        };
        let mut default = Vec::new();
        if !(shape == Shape::Single && matches!(kind, Kind::Message(_))) {
            let mut writer = json::Writer::new(&mut default, &[]);
            writer.field(field, &field.default_value()).ok()?;
        }
        let oneof = field.containing_oneof();
        let is_rival = |other: &FieldDescriptor| other != field && other.containing_oneof() == oneof;
        let rivals = all.iter().enumerate().filter(|(_, other)| is_rival(other));
        Some(Field {
            number: field.number(),
            // The names of fields are identifiers: nothing in them needs escaping.
            member: format!(",\"{}\":", field.name()).into_bytes().into(),
            default: default.into(),
            has_presence: field.supports_presence(),
            is_omitted: self.omitted.contains(field),
            wire: descriptor.wire_type(),
            kind,
            shape,
            rivals: match &oneof {
                Some(_) => rivals.map(|(index, _)| index).collect(),
                None => Box::default(),
            },
        })
    }

    fn kind(&mut self, kind: &prost_reflect::Kind) -> Option<Kind> {
        use prost_reflect::Kind as Of;
        Some(match kind {
            Of::Bool => Kind::Bool,
            Of::Int32 => Kind::Int32,
            Of::Int64 => Kind::Int64,
            Of::Uint32 => Kind::Uint32,
            Of::Uint64 => Kind::Uint64,
            Of::Sint32 => Kind::Sint32,
            Of::Sint64 => Kind::Sint64,
            Of::Fixed32 => Kind::Fixed32,
            Of::Fixed64 => Kind::Fixed64,
            Of::Sfixed32 => Kind::Sfixed32,
            Of::Sfixed64 => Kind::Sfixed64,
            Of::Float => Kind::Float,
            Of::Double => Kind::Double,
            Of::String => Kind::String,
            Of::Bytes => Kind::Bytes,
            Of::Enum(descriptor) if descriptor.full_name() == "google.protobuf.NullValue" => Kind::Null,
            Of::Enum(descriptor) => Kind::Enum(Names::of(descriptor)),
            Of::Message(descriptor) => Kind::Message(self.message(descriptor)?),
        })
    }
}

/// The form of a message; `None` where one of the well-known types is not as it is known.
fn form(descriptor: &MessageDescriptor, fields: &[Field]) -> Option<Form> {
    let is_span = || {
        matches!(
            fields,
            [
                Field {
                    number: 1,
                    kind: Kind::Int64,
                    shape: Shape::Single,
                    ..
                },
                Field {
                    number: 2,
                    kind: Kind::Int32,
                    shape: Shape::Single,
                    ..
                },
            ]
        )
    };
    let is_only = || matches!(fields, [Field { number: 1, .. }]);
    let (form, is_as_known) = match known(descriptor) {
        None => (Form::Object, true),
        Some(Known::Empty) => (Form::Object, fields.is_empty()),
        Some(Known::Timestamp) => (Form::Timestamp, is_span()),
        Some(Known::Duration) => (Form::Duration, is_span()),
        Some(Known::FieldMask) => (
            Form::FieldMask,
            matches!(
                fields,
                [Field {
                    number: 1,
                    kind: Kind::String,
                    shape: Shape::List,
                    ..
                }]
            ),
        ),
        Some(Known::Wrapper | Known::Struct | Known::List) => (Form::Only, is_only()),
        Some(Known::Value) => (
            Form::Value,
            fields.iter().all(|field| field.rivals.len() + 1 == fields.len()),
        ),
        Some(Known::Any) => (Form::Any(descriptor.clone()), true),
    };
    is_as_known.then_some(form)
}

fn dense(fields: &[Field]) -> Box<[u16]> {
    let Some(last) = fields.last().filter(|last| last.number <= MAX_DENSE) else {
        return Box::default();
    };
    let mut dense = vec![NO_FIELD; last.number as usize + 1];
    for (index, field) in (0..NO_FIELD).zip(fields) {
        dense[field.number as usize] = index;
    }
    dense.into()
}
