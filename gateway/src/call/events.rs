//! Server-sent events that a client can resume (WHATWG HTML, "Server-sent events"): the options
//! `event_id` and `last_event_id`.

use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use http::HeaderMap;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value};
use quartet_proto::options;

use crate::transcode::received::Received;

const LAST_EVENT_ID: &str = "last-event-id";
/// A longer id was not made by a service.
const MAX_ID: usize = 1_024;
/// How soon a browser connects again, in milliseconds, and by how much that differs from stream to
/// stream, so that the streams of an instance that stops do not all come back at once.
const RETRY: u64 = 1_000;
const RETRY_SPREAD: u64 = 2_000;

/// The fields that make a method's event stream resumable.
#[derive(Debug)]
pub(super) struct Fields {
    id: Option<FieldDescriptor>,
    last_id: Option<FieldDescriptor>,
}

impl Fields {
    /// # Errors
    /// A field that cannot be what its option declares.
    pub(super) fn of(method: &MethodDescriptor) -> Result<Self, String> {
        if !method.is_server_streaming() {
            return Ok(Self {
                id: None,
                last_id: None,
            });
        }
        Ok(Self {
            id: only(&method.output(), options::event_id)?,
            last_id: only(&method.input(), options::last_event_id)?,
        })
    }

    /// Whether a client that connects again can go on after the last event that it has.
    pub(super) fn can_resume(&self) -> bool {
        self.id.is_some() && self.last_id.is_some()
    }

    /// The id of the event that `message` becomes.
    pub(super) fn id_of(&self, message: &Received) -> Option<String> {
        let id = message.get(self.id.as_ref()?)?.into_text()?;
        // A line break would end the field, and a NUL makes browsers drop the id.
        let is_id = !id.is_empty() && !id.contains(['\n', '\r', '\0']);
        is_id.then(|| id.into_owned())
    }

    /// What the header that a browser sends when it connects again sets in the request.
    pub(super) fn resumed<'a>(&'a self, headers: &'a HeaderMap) -> Option<(&'a FieldDescriptor, &'a str)> {
        let field = self.last_id.as_ref()?;
        let id = headers.get(LAST_EVENT_ID)?.to_str().ok()?;
        is_id(id).then_some((field, id))
    }

    /// Has the stream begin after the event `id`.
    pub(super) fn resume_after(&self, message: &mut DynamicMessage, id: &str) {
        if let Some(field) = &self.last_id
            && is_id(id)
        {
            message.set_field(field, Value::String(id.to_owned()));
        }
    }
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len())
}

/// The field that sets how soon a browser connects again.
pub(super) fn retry() -> Bytes {
    // Each `RandomState` is keyed anew.
    let spread = RandomState::new().hash_one(0_u8) % RETRY_SPREAD;
    Bytes::from(format!("retry: {}\n\n", RETRY + spread))
}

fn only(message: &MessageDescriptor, option: fn(&FieldDescriptor) -> bool) -> Result<Option<FieldDescriptor>, String> {
    let mut fields = message.fields().filter(option);
    let Some(field) = fields.next() else {
        return Ok(None);
    };
    if fields.next().is_some() || field.kind() != Kind::String || field.is_list() {
        return Err(format!(
            "{} has no single string as the id of its events",
            message.full_name()
        ));
    }
    Ok(Some(field))
}
