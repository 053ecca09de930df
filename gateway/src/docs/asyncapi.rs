//! The AsyncAPI 3.0 description of the WebSocket: its frames, its topics with the messages that
//! they carry, its limits and close codes.
//!
//! The data of a topic's events is the same as on the stream's HTTP route, so that its schema
//! stands in the OpenAPI description alone.

mod frames;

use prost_reflect::MethodDescriptor;
use serde_json::{Map, Value, json};

use crate::call::topics::{Topic, Topics};
use crate::comments::Comments;
use crate::docs::openapi::Info;
use crate::ws::limits::{self, Limits};
use crate::ws::{PATH, PROTOCOL, close};

use frames::{Frame, From, client_frames, payload, server_frames, text};

/// Describes the socket. `openapi` is the description of the HTTP interface.
pub(super) fn document(topics: &Topics, limits: &Limits, comments: &Comments, openapi: &Value, info: &Info) -> Value {
    let frames = [client_frames(), server_frames()].concat();
    let mut messages = Map::new();
    for frame in &frames {
        messages.insert(frame.id(), frame.message());
    }
    for topic in topics.iter() {
        messages.insert(event_id(topic), event(topic, comments, openapi));
    }
    let references: Map<String, Value> = messages
        .keys()
        .map(|id| (id.clone(), json!({"$ref": format!("#/components/messages/{id}")})))
        .collect();
    let of = |from: From| -> Vec<Value> {
        let ids = frames.iter().filter(|frame| frame.from == from).map(Frame::id);
        let events = topics.iter().filter(|_| from == From::Server).map(event_id);
        ids.chain(events)
            .map(|id| json!({"$ref": format!("#/channels/socket/messages/{id}")}))
            .collect()
    };
    let channel = json!({"$ref": "#/channels/socket"});
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": format!("{}: WebSocket", info.title),
            "version": info.version,
            "description": description(topics, limits, comments),
            "license": {"name": info.license},
        },
        "defaultContentType": "application/json",
        "channels": {
            "socket": {
                "address": PATH,
                "description": format!(
                    "A WebSocket (RFC 6455) with the subprotocol `{PROTOCOL}`. \
                     Frames are text: JSON objects with a `type`."
                ),
                "messages": references,
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            },
        },
        "operations": {
            "receiveClientFrame": {
                "action": "receive",
                "channel": channel,
                "summary": "Frames that a client sends.",
                "messages": of(From::Client),
            },
            "sendServerFrame": {
                "action": "send",
                "channel": channel,
                "summary": "Frames that the gateway sends.",
                "messages": of(From::Server),
            },
        },
        "components": {
            "messages": messages,
            "schemas": {"Problem": {"$ref": "/openapi.json#/components/schemas/Problem"}},
        },
    })
}

fn description(topics: &Topics, limits: &Limits, comments: &Comments) -> String {
    let mut text = format!(
        "Changes as they happen, and rooms to exchange messages in.\n\n\
         **Signing in.** With the header `Authorization: Bearer …`; in a page, with the subprotocols `{PROTOCOL}` \
         and `bearer.<token>`, with a cookie `access_token` (from pages of this host and of allowed origins alone), \
         or with a first frame `auth` within {} s. A later `auth` frame with a new token of the same user keeps the \
         connection past the old token's end.\n\n\
         **Topics.** ",
        limits.sign_in.as_secs_f64()
    );
    for topic in topics.iter() {
        text.push_str(&format!(
            "`{}`: {} ",
            topic.template,
            first_sentence(comments.method(topic.method()))
        ));
    }
    text.push_str(&format!(
        "`messages`: what others send to the user alone; it comes without a subscription as well. \
         `rooms/{{name}}`: the messages of the room; a name has 1 to {} letters, digits, dots, hyphens and \
         underscores.\n\n\
         **Limits.** Messages of at most {} bytes, {} a second, {} topics and rooms at a time, `topic` and `ref` of at \
         most {} bytes. A connection whose client does not read for {} s, or sends nothing for {} s, is closed.\n\n\
         **Close codes.**\n",
        limits::ROOM_NAME,
        limits.message_bytes,
        limits.rate,
        limits.subscriptions,
        limits::NAME,
        limits.send_timeout.as_secs_f64(),
        limits.idle.as_secs_f64(),
    ));
    for (code, meaning) in close::CODES {
        text.push_str(&format!("- {code}: {meaning}\n"));
    }
    text
}

fn first_sentence(comment: &str) -> String {
    let text = comment.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = text.find(". ").map_or(text.len(), |end| end + 1);
    text[..end].to_owned()
}

/// The id of the message for the events of a topic, such as `event.tasks`.
fn event_id(topic: &Topic) -> String {
    let name = topic.template.split('/').next().unwrap_or_default();
    format!("event.{name}.{}", topic.method().name())
}

fn event(topic: &Topic, comments: &Comments, openapi: &Value) -> Value {
    let data = match schema(openapi, topic.method()) {
        Some(reference) => json!({"$ref": format!("/openapi.json{reference}")}),
        None => json!({}),
    };
    let fields = vec![
        ("topic", text(&format!("`{}`", topic.template)), true),
        (
            "id",
            text("To subscribe `after`, where the topic can go on from there."),
            false,
        ),
        ("data", data, true),
    ];
    json!({
        "name": "event",
        "title": format!("event of {}", topic.template),
        "summary": first_sentence(comments.method(topic.method())),
        "payload": payload("event", fields),
    })
}

/// Where the OpenAPI description has the messages of the method's stream.
fn schema<'a>(openapi: &'a Value, method: &MethodDescriptor) -> Option<&'a str> {
    let id = format!("{}_{}", method.parent_service().name(), method.name());
    let operations = openapi["paths"].as_object()?.values().filter_map(Value::as_object);
    let mut operations = operations.flat_map(|path| path.values());
    let operation = operations.find(|operation| operation["operationId"] == id.as_str())?;
    operation["responses"]["200"]["content"]["application/x-ndjson"]["schema"]["$ref"].as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_sentence_ends_at_its_stop() {
        assert_eq!(first_sentence("Sends\nchanges. To follow, read on."), "Sends changes.");
        assert_eq!(first_sentence("One"), "One");
    }
}
