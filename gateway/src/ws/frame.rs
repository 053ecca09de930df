//! What is sent over a connection: JSON objects with a `type`.

use axum::extract::ws::Utf8Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::call::topic_stream::Event;

/// A frame of the client. Which fields it needs depends on `kind`; others are ignored.
#[derive(Debug, Deserialize)]
pub(super) struct ClientFrame<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    /// Repeated in the answer.
    #[serde(default)]
    pub(super) r#ref: Option<String>,
    #[serde(default)]
    pub(super) token: Option<String>,
    #[serde(default)]
    pub(super) topic: Option<String>,
    /// The user whom a message is for.
    #[serde(default)]
    pub(super) to: Option<String>,
    #[serde(default)]
    pub(super) after: Option<String>,
    #[serde(default, borrow)]
    pub(super) data: Option<&'a RawValue>,
}

/// A frame of the gateway.
#[derive(Debug, Default, Serialize)]
pub(super) struct ServerFrame<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) r#ref: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<&'a RawValue>,
}

impl ServerFrame<'_> {
    pub(super) fn text(&self) -> Utf8Bytes {
        // Strings and JSON always have a JSON form.
        serde_json::to_string(self).unwrap_or_default().into()
    }
}

/// An event of a topic. Its JSON was written by the transcoder and is not read again.
pub(super) fn event(topic: &str, event: &Event) -> Utf8Bytes {
    let head = ServerFrame {
        kind: "event",
        topic: Some(topic),
        id: event.id.as_deref(),
        ..ServerFrame::default()
    };
    let mut text = serde_json::to_vec(&head).unwrap_or_default();
    text.pop();
    text.extend_from_slice(b",\"data\":");
    text.extend_from_slice(&event.json);
    text.push(b'}');
    // The transcoder writes UTF-8 alone.
    Utf8Bytes::try_from(text).unwrap_or_default()
}

/// A timestamp in RFC 3339.
pub(super) fn timestamp(at: OffsetDateTime) -> Option<String> {
    at.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_json_object() {
        let written = event(
            "todos",
            &Event {
                id: Some("7".into()),
                json: b"{\"kind\":\"KIND_READY\"}".to_vec(),
            },
        );
        assert_eq!(
            written.as_str(),
            "{\"type\":\"event\",\"topic\":\"todos\",\"id\":\"7\",\"data\":{\"kind\":\"KIND_READY\"}}"
        );
    }

    #[test]
    fn a_frame_needs_a_type_and_its_unknown_fields_are_ignored() {
        let frame: ClientFrame<'_> =
            serde_json::from_str("{\"type\":\"publish\",\"topic\":\"rooms/a\",\"data\":{\"x\":[1]},\"new\":1}")
                .unwrap();
        assert_eq!((frame.kind, frame.data.unwrap().get()), ("publish", "{\"x\":[1]}"));
        assert!(serde_json::from_str::<ClientFrame<'_>>("{\"topic\":\"todos\"}").is_err());
    }
}
