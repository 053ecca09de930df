//! The frames of the WebSocket, type by type.

use serde_json::{Value, json};

/// Which side sends a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Client,
    Server,
}

/// A type of frame.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) from: From,
    kind: &'static str,
    summary: &'static str,
    /// Fields beside `type`: name, schema, whether it is always there.
    fields: Vec<(&'static str, Value, bool)>,
}

impl Frame {
    pub(super) fn id(&self) -> String {
        self.kind.to_owned()
    }

    pub(super) fn message(&self) -> Value {
        json!({
            "name": self.kind,
            "summary": self.summary,
            "payload": payload(self.kind, self.fields.clone()),
        })
    }
}

/// The schema of a frame with these fields beside `type`.
pub(super) fn payload(kind: &str, fields: Vec<(&str, Value, bool)>) -> Value {
    let mut properties = json!({"type": {"const": kind}});
    let mut required = vec!["type"];
    for (name, schema, always) in fields {
        properties[name] = schema;
        if always {
            required.push(name);
        }
    }
    json!({"type": "object", "properties": properties, "required": required})
}

/// The schema of a string.
pub(super) fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn reference() -> (&'static str, Value, bool) {
    ("ref", text("Chosen by the client; repeated in the answer."), false)
}

fn topic(always: bool) -> (&'static str, Value, bool) {
    ("topic", text("A topic, such as `todos` or `rooms/lobby`."), always)
}

fn to() -> (&'static str, Value, bool) {
    let schema = json!({"type": "string", "format": "uuid", "description": "Id of a user, in place of a topic."});
    ("to", schema, false)
}

/// The frames that clients send.
pub(super) fn client_frames() -> Vec<Frame> {
    let frame = |kind, summary, fields: Vec<_>| Frame {
        from: From::Client,
        kind,
        summary,
        fields: [fields, vec![reference()]].concat(),
    };
    let after = text("Id of the last event that the client has; the topic goes on after it.");
    vec![
        frame(
            "auth",
            "Signs in, or renews the token. Answer: `ready`.",
            vec![("token", text("An access token."), true)],
        ),
        frame(
            "subscribe",
            "Subscribes to a topic. Answer: `subscribed`, then its events, or `error`.",
            vec![topic(true), ("after", after, false)],
        ),
        frame(
            "unsubscribe",
            "Ends a subscription. Answer: `unsubscribed`, after which no event of the topic comes.",
            vec![topic(true)],
        ),
        frame(
            "publish",
            "Publishes a message in a room, in which the client need not be, or sends one to a user: to all of their \
             connections. With a `ref`, the answer is `published`.",
            vec![topic(false), to(), ("data", json!({"description": "Any JSON."}), true)],
        ),
        frame("ping", "Requests a `pong`.", Vec::new()),
    ]
}

/// The frames that the gateway sends.
pub(super) fn server_frames() -> Vec<Frame> {
    let frame = |kind, summary, fields| Frame {
        from: From::Server,
        kind,
        summary,
        fields,
    };
    let timestamp = |description: &str| json!({"type": "string", "format": "date-time", "description": description});
    let user_id = |description: &str| json!({"type": "string", "format": "uuid", "description": description});
    let problem = || json!({"$ref": "#/components/schemas/Problem"});
    vec![
        frame(
            "ready",
            "The client is signed in.",
            vec![
                reference(),
                ("user_id", user_id("The user of the connection."), true),
                (
                    "expires_at",
                    timestamp("When the connection ends unless the token is renewed."),
                    true,
                ),
            ],
        ),
        frame(
            "subscribed",
            "The topic's events follow. A topic that cannot go on from where it was sends it again after a break.",
            vec![topic(true), reference()],
        ),
        frame(
            "unsubscribed",
            "No more events of the topic come.",
            vec![topic(true), reference(), ("problem", problem(), false)],
        ),
        frame(
            "message",
            "A message in a room or, with the topic `messages`, to the user of the connection, which needs no \
             subscription. It is not stored: a client that is not there misses it.",
            vec![
                topic(true),
                ("id", text("UUIDv7."), true),
                ("user_id", user_id("The user who has published it."), true),
                ("at", timestamp("When it was published."), true),
                ("data", json!({"description": "The `data` of the `publish`."}), true),
            ],
        ),
        frame(
            "published",
            "The message was published.",
            vec![topic(false), to(), ("id", text("The message's id."), true), reference()],
        ),
        frame(
            "error",
            "A frame was refused; the connection goes on.",
            vec![topic(false), reference(), ("problem", problem(), true)],
        ),
        frame("pong", "The answer to a `ping`.", vec![reference()]),
    ]
}
