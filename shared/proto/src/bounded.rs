//! The codec of every method: lists are counted on the wire before a message is made of it.
//!
//! An empty message of a list takes two bytes on the wire and some two hundred once it is decoded,
//! so that a request of a few MiB would take hundreds. A list that is longer than its rule
//! (`buf.validate`) is refused instead, by the same error with which a service refuses it. What is
//! not counted, such as the reply of a service, is decoded as it comes.

use std::collections::HashMap;
use std::fmt::Write;
use std::marker::PhantomData;
use std::sync::LazyLock;

use prost::bytes::Buf;
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, MessageDescriptor, ReflectMessage, Value};
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic::{Code, Status};
use tonic_prost::{ProstDecoder, ProstEncoder};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::descriptors;
use crate::options::Reason;

/// The `domain` of every `google.rpc.ErrorInfo` of the suite.
pub const DOMAIN: &str = "quartet";
/// Paths of a `google.protobuf.FieldMask` at the most: more than any resource has fields.
pub const MAX_PATHS: usize = 100;
/// Elements of all lists of a message that have no rule, together.
const MAX_WITHOUT_RULE: usize = 1_000;
/// Bytes up to which a message is not looked at: whatever it holds takes less than a MiB.
const SMALL: usize = 4 << 10;
/// Depth up to which messages are looked at. Decoding refuses what is deeper.
const MAX_DEPTH: usize = 100;
/// The message whose lists of paths are named by the field that holds it.
const MASK: &str = "google.protobuf.FieldMask";

/// A [`tonic_prost::ProstCodec`] that refuses lists which are too long before it decodes them.
#[derive(Debug)]
pub struct BoundedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Name + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> ProstEncoder<T> {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> BoundedDecoder<U> {
        BoundedDecoder(ProstDecoder::default())
    }
}

/// Decodes a message once its lists were counted.
#[derive(Debug)]
pub struct BoundedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Name + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        if buffer.remaining() > SMALL
            && let Some(shape) = SHAPES.requests.get(&U::full_name())
        {
            // A message waits in one piece until it is complete.
            check(shape, buffer.chunk()).map_err(TooLong::into_status)?;
        }
        self.0.decode(buffer)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

/// What is counted of every request, by the full name of its message.
static SHAPES: LazyLock<Shapes> = LazyLock::new(|| Shapes::of(descriptors::pool()));

struct Shapes {
    requests: HashMap<String, Shape>,
}

/// The lists of a message, and the messages inside it that have some, by the numbers of their
/// fields.
type Shape = HashMap<u32, Part>;

struct Part {
    /// Empty for the paths of a mask: their path is that of the mask.
    name: String,
    /// Elements at the most, where it is a list.
    list: Option<Most>,
    /// The messages in it, where they have lists.
    inner: Option<Shape>,
}

#[derive(Clone, Copy)]
enum Most {
    Rule(usize),
    /// There is no rule: the element counts with those of other such lists.
    Shared,
}

impl Shapes {
    fn of(pool: &DescriptorPool) -> Self {
        let requests = pool
            .services()
            .filter(|service| service.full_name().starts_with("quartet."))
            .flat_map(|service| service.methods().collect::<Vec<_>>())
            .map(|method| method.input());
        Self {
            requests: requests
                .filter_map(|message| Some((message.full_name().to_owned(), shape(&message, &mut Vec::new())?)))
                .collect(),
        }
    }
}

/// The shape of a message; `None` when there is nothing to count. A message inside itself counts
/// once: contracts have none.
fn shape(message: &MessageDescriptor, above: &mut Vec<String>) -> Option<Shape> {
    if above.iter().any(|name| name == message.full_name()) {
        return None;
    }
    above.push(message.full_name().to_owned());
    let parts = message.fields().filter_map(|field| {
        let inner = field.kind().as_message().and_then(|inner| shape(inner, above));
        let list = most(&field, message.full_name() == MASK);
        let name = if message.full_name() == MASK { "" } else { field.name() };
        (list.is_some() || inner.is_some()).then(|| {
            let part = Part {
                name: name.to_owned(),
                list,
                inner,
            };
            (field.number(), part)
        })
    });
    let parts: Shape = parts.collect();
    above.pop();
    (!parts.is_empty()).then_some(parts)
}

/// Elements of a field at the most, if it is a list. Numbers that stand together take no more than
/// a few times what they are.
fn most(field: &FieldDescriptor, is_mask: bool) -> Option<Most> {
    if !(field.is_list() || field.is_map()) || field.is_packed() {
        return None;
    }
    if is_mask {
        return Some(Most::Rule(MAX_PATHS));
    }
    Some(max_items(field).map_or(Most::Shared, Most::Rule))
}

/// The rule `max_items` of a list.
fn max_items(field: &FieldDescriptor) -> Option<usize> {
    let extension = field.parent_pool().get_extension_by_name("buf.validate.field")?;
    let options = field.options();
    if !options.has_extension(&extension) {
        return None;
    }
    let rules = options.get_extension(&extension);
    let repeated = get(rules.as_message()?, "repeated")?;
    usize::try_from(get(repeated.as_message()?, "max_items")?.as_u64()?).ok()
}

fn get(rules: &DynamicMessage, name: &str) -> Option<Value> {
    let field = rules.descriptor().get_field_by_name(name)?;
    rules.has_field(&field).then(|| rules.get_field(&field).into_owned())
}

/// A list that is too long.
#[derive(Debug, PartialEq, Eq)]
struct TooLong {
    field: String,
    most: usize,
}

impl TooLong {
    fn into_status(self) -> Status {
        let description = format!("must have at most {} items", self.most);
        let message = format!("{}: {description}", self.field);
        let mut details = ErrorDetails::new();
        details.set_error_info(Reason::ValidationFailed.code(), DOMAIN, HashMap::new());
        details.set_bad_request(vec![FieldViolation {
            field: self.field,
            description,
            reason: "REPEATED_MAX_ITEMS".to_owned(),
            localized_message: None,
        }]);
        Status::with_error_details(Code::InvalidArgument, message, details)
    }
}

/// Where a message stands in the request.
struct Path<'a> {
    above: Option<&'a Path<'a>>,
    name: &'a str,
    position: Option<usize>,
}

impl Path<'_> {
    fn write(&self, into: &mut String) {
        if let Some(above) = self.above {
            above.write(into);
        }
        if !self.name.is_empty() {
            if !into.is_empty() {
                into.push('.');
            }
            into.push_str(self.name);
        }
        if let Some(position) = self.position {
            let _ = write!(into, "[{position}]");
        }
    }
}

/// What was counted of one message. A message that stands alone may come in parts, which are
/// merged.
#[derive(Default)]
struct Counts {
    lists: Vec<(u32, usize)>,
    inner: Vec<(u32, Counts)>,
}

fn entry<T: Default>(entries: &mut Vec<(u32, T)>, number: u32) -> &mut T {
    let index = entries.iter().position(|(known, _)| *known == number);
    let index = index.unwrap_or_else(|| {
        entries.push((number, T::default()));
        entries.len() - 1
    });
    &mut entries[index].1
}

/// Counts the lists of a message. One that cannot be read is left to the decoder, which refuses it.
fn check(shape: &Shape, bytes: &[u8]) -> Result<(), TooLong> {
    let mut shared = 0;
    count(shape, bytes, &mut Counts::default(), None, &mut shared, 0)
}

fn count(
    shape: &Shape,
    mut bytes: &[u8],
    counts: &mut Counts,
    above: Option<&Path<'_>>,
    shared: &mut usize,
    depth: usize,
) -> Result<(), TooLong> {
    while !bytes.is_empty() {
        let Some((number, payload)) = field(&mut bytes) else {
            return Ok(());
        };
        let Some(part) = shape.get(&number) else {
            continue;
        };
        let mut path = Path {
            above,
            name: &part.name,
            position: None,
        };
        if let Some(list) = part.list {
            let length = entry(&mut counts.lists, number);
            let position = *length;
            *length += 1;
            let (length, most) = match list {
                Most::Rule(most) => (*length, most),
                Most::Shared => {
                    *shared += 1;
                    (*shared, MAX_WITHOUT_RULE)
                }
            };
            if length > most {
                let mut field = String::new();
                path.write(&mut field);
                return Err(TooLong { field, most });
            }
            path.position = Some(position);
        }
        let (Some(inner), Some(payload)) = (&part.inner, payload) else {
            continue;
        };
        if depth >= MAX_DEPTH {
            return Ok(());
        }
        if part.list.is_some() {
            count(inner, payload, &mut Counts::default(), Some(&path), shared, depth + 1)?;
        } else {
            let counts = entry(&mut counts.inner, number);
            count(inner, payload, counts, Some(&path), shared, depth + 1)?;
        }
    }
    Ok(())
}

/// The next field's number, and what it holds where its length stands before it. `None` when there
/// is no such thing.
fn field<'b>(bytes: &mut &'b [u8]) -> Option<(u32, Option<&'b [u8]>)> {
    let key = varint(bytes)?;
    let number = u32::try_from(key >> 3).ok()?;
    let payload = match key & 7 {
        0 => varint(bytes).map(|_| None)?,
        1 => take(bytes, 8).map(|_| None)?,
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Some(take(bytes, length)?)
        }
        // Groups have no length; what is in them is counted as if it stood outside.
        3 | 4 => None,
        5 => take(bytes, 4).map(|_| None)?,
        _ => return None,
    };
    Some((number, payload))
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    prost::encoding::decode_varint(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::todos::v1 as todos;

    /// What is wrong with a request of the message `name`.
    fn wrong(name: &str, bytes: &[u8]) -> Option<(String, usize)> {
        let shape = SHAPES.requests.get(&format!("quartet.{name}"))?;
        check(shape, bytes).err().map(|long| (long.field, long.most))
    }

    /// A field that holds `payload`, `times` over.
    fn fields(number: u32, payload: &[u8], times: usize) -> Vec<u8> {
        let mut one = Vec::new();
        prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut one);
        prost::encoding::encode_varint(payload.len() as u64, &mut one);
        one.extend_from_slice(payload);
        one.repeat(times)
    }

    #[test]
    fn a_list_that_is_longer_than_its_rule_is_refused_with_its_name_before_it_is_decoded() {
        let batch = |number| fields(1, b"", number);
        assert_eq!(wrong("todos.v1.BatchCreateTodosRequest", &batch(100)), None);
        assert_eq!(
            wrong("todos.v1.BatchCreateTodosRequest", &batch(2_000_000)),
            Some(("todos".into(), 100))
        );
        let tags = |number| todos::BatchCreateTodosRequest {
            todos: vec![
                todos::CreateTodoRequest::default(),
                todos::CreateTodoRequest {
                    tag_ids: vec![String::new(); number],
                    ..Default::default()
                },
            ],
        };
        let inner = |number: usize| wrong("todos.v1.BatchCreateTodosRequest", &tags(number).encode_to_vec());
        assert_eq!(inner(20), None);
        assert_eq!(inner(21), Some(("todos[1].tag_ids".into(), 20)));
        let status = TooLong {
            field: "todos".into(),
            most: 100,
        };
        let status = status.into_status();
        assert_eq!(
            (status.code(), status.message()),
            (Code::InvalidArgument, "todos: must have at most 100 items")
        );
        assert_eq!(status.get_details_error_info().unwrap().reason, "VALIDATION_FAILED");
        let bad = status.get_details_bad_request().unwrap().field_violations.remove(0);
        assert_eq!(
            (bad.field.as_str(), bad.reason.as_str()),
            ("todos", "REPEATED_MAX_ITEMS")
        );
    }

    #[test]
    fn what_comes_in_parts_is_counted_together() {
        let update = pool_message("quartet.todos.v1.UpdateTodoRequest");
        let (todo, mask) = (number(&update, "todo"), number(&update, "update_mask"));
        let edit = update.get_field(todo).unwrap().kind().as_message().unwrap().clone();
        let part = fields(todo, &fields(number(&edit, "tag_ids"), b"", 7), 3);
        assert_eq!(
            wrong("todos.v1.UpdateTodoRequest", &part),
            Some(("todo.tag_ids".into(), 20))
        );
        let part = fields(mask, &fields(1, b"", 60), 2);
        assert_eq!(
            wrong("todos.v1.UpdateTodoRequest", &part),
            Some(("update_mask".into(), MAX_PATHS))
        );
    }

    fn pool_message(name: &str) -> MessageDescriptor {
        descriptors::pool().get_message_by_name(name).unwrap()
    }

    fn number(message: &MessageDescriptor, field: &str) -> u32 {
        message.get_field_by_name(field).unwrap().number()
    }

    /// Every list of a message, with what leads to it.
    fn lists(message: &MessageDescriptor, above: &[u32], found: &mut Vec<Vec<u32>>) {
        for field in message.fields() {
            let path = [above, &[field.number()]].concat();
            if (field.is_list() || field.is_map()) && !field.is_packed() {
                found.push(path.clone());
            }
            if let Some(inner) = field.kind().as_message()
                && above.len() < 5
            {
                lists(inner, &path, found);
            }
        }
    }

    #[test]
    fn every_list_of_every_request_has_a_bound() {
        let mut checked = 0;
        let services = descriptors::pool().services();
        for service in services.filter(|service| service.full_name().starts_with("quartet.")) {
            for method in service.methods() {
                let mut found = Vec::new();
                lists(&method.input(), &[], &mut found);
                for path in found {
                    let (last, above) = path.split_last().unwrap();
                    let bytes = fields(*last, b"", 2_000);
                    let bytes = above
                        .iter()
                        .rev()
                        .fold(bytes, |inner, number| fields(*number, &inner, 1));
                    let shape = &SHAPES.requests[method.input().full_name()];
                    assert!(check(shape, &bytes).is_err(), "{} {path:?}", method.full_name());
                    checked += 1;
                }
            }
        }
        assert!(checked > 10, "{checked} lists");
    }

    #[test]
    fn a_message_whose_bytes_changed_is_counted_without_a_panic() {
        let good = todos::BatchCreateTodosRequest {
            todos: vec![
                todos::CreateTodoRequest {
                    title: "a title".into(),
                    tag_ids: vec!["x".into(); 3],
                    ..Default::default()
                };
                4
            ],
        };
        let good = good.encode_to_vec();
        let shape = &SHAPES.requests["quartet.todos.v1.BatchCreateTodosRequest"];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..=next() % 4 {
                let at = next() as usize % bytes.len();
                bytes[at] = next() as u8;
            }
            bytes.truncate(next() as usize % (bytes.len() + 1));
            // What is refused here is a list in what decodes, or does not decode at all.
            let _ = check(shape, &bytes);
            if let Ok(message) = todos::BatchCreateTodosRequest::decode(bytes.as_slice()) {
                assert!(message.todos.len() <= 100 || check(shape, &bytes).is_err());
            }
        }
    }
}
