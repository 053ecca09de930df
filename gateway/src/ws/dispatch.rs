//! Frames of a client, each handled by its type.

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::StatusCode;
use quartet_proto::options::Reason;
use uuid::Uuid;

use super::client::Client;
use super::close::{Close, End};
use super::frame::{ClientFrame, ServerFrame, timestamp};
use super::limits;
use super::rooms::PERSONAL;
use super::subscription::{self, Ended, Missed, Topic};
use crate::call::limit;
use crate::problem::Problem;

/// The topics that are rooms.
const ROOMS: &str = "rooms/";
/// The topic of what others send to the user of the connection, which every connection follows from its
/// sign-in on.
pub(super) const MESSAGES: &str = "messages";

impl Client {
    /// Handles a frame.
    pub(super) async fn dispatch(&mut self, text: &str) -> Result<(), End> {
        let frame: ClientFrame<'_> = serde_json::from_str(text).map_err(|_| End::Close(Close::malformed()))?;
        let is_long = |name: &Option<String>| name.as_ref().is_some_and(|name| name.len() > limits::NAME);
        if is_long(&frame.r#ref) || is_long(&frame.topic) || is_long(&frame.to) {
            return Err(End::Close(Close::malformed()));
        }
        if !self.is_signed_in() && frame.kind != "auth" {
            return Err(End::Close(Close::token_missing()));
        }
        match frame.kind {
            "auth" => self.authenticate(frame).await,
            "subscribe" => self.subscribe(frame).await,
            "unsubscribe" => self.unsubscribe(frame),
            "publish" => self.publish(frame),
            "ping" => self.reply(&ServerFrame {
                kind: "pong",
                r#ref: frame.r#ref.as_deref(),
                ..ServerFrame::default()
            }),
            _ => {
                let problem = bad_request("there is no frame of this type");
                self.refuse(&frame, &problem)
            }
        }
    }

    async fn authenticate(&mut self, frame: ClientFrame<'_>) -> Result<(), End> {
        let token = frame.token.as_deref().unwrap_or_default();
        let session = self
            .sockets
            .verify(token)
            .await
            .map_err(|problem| End::Close(Close::session_over(&problem)))?;
        let current = self.session.borrow().as_ref().map(|session| session.user.id);
        if current.is_some_and(|current| current != session.user.id) {
            return Err(End::Close(Close::other_user()));
        }
        self.sign_in(session, frame.r#ref.as_deref())
    }

    async fn subscribe(&mut self, frame: ClientFrame<'_>) -> Result<(), End> {
        let name = frame.topic.clone().unwrap_or_default();
        if name == MESSAGES && self.confirms_messages() {
            return self.reply(&ServerFrame {
                kind: "subscribed",
                topic: Some(MESSAGES),
                r#ref: frame.r#ref.as_deref(),
                ..ServerFrame::default()
            });
        }
        if self.is_subscribed(&name) {
            return self.refuse(&frame, &bad_request("the topic is subscribed to already"));
        }
        if self.subscriptions() >= self.sockets.limits.subscriptions {
            let message = format!("{} topics at a time are the limit", self.sockets.limits.subscriptions);
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, Reason::RateLimited, message);
            return self.refuse(&frame, &problem);
        }
        // It is a call like any other.
        let user = self.session.borrow().as_ref().map(|session| session.user.clone());
        if let Err(problem) = limit::count_user(&self.sockets.calls, user.as_ref()).await {
            return self.refuse(&frame, &problem);
        }
        match self.subscription(&name, &frame) {
            Ok(subscription) => self.start(name, subscription),
            Err(problem) => return self.refuse(&frame, &problem),
        }
        Ok(())
    }

    /// The subscription to the topic or room of that name.
    fn subscription(&self, name: &str, frame: &ClientFrame<'_>) -> Result<BoxFuture<'static, Ended>, Problem> {
        let own = self.session.borrow().as_ref().map(|session| session.user.id);
        let reference = frame.r#ref.as_deref();
        if let (MESSAGES, Some(user)) = (name, own) {
            let confirmation = subscription::subscribed(name, reference);
            return Ok(self.messages(user, Some(confirmation)));
        }
        if let Some(room) = room(name) {
            let member = self.sockets.rooms.join(room);
            let confirmation = subscription::subscribed(name, reference);
            return Ok(subscription::follow_room(member, self.queue.clone(), Some(confirmation), Missed::Ends).boxed());
        }
        let source = self.sockets.transcoder.topics().find(name).ok_or_else(no_topic)??;
        let topic = Topic {
            name: name.to_owned(),
            source,
            context: self.context.clone(),
            session: self.session.subscribe(),
            after: frame.after.clone().filter(|after| !after.is_empty()),
            queue: self.queue.clone(),
            reference: frame.r#ref.clone(),
        };
        Ok(topic.run().boxed())
    }

    /// What others send to `user`. Whoever sends a lot to somebody does not end their connections: what
    /// does not fit is missed.
    pub(super) fn messages(&self, user: Uuid, confirmation: Option<Utf8Bytes>) -> BoxFuture<'static, Ended> {
        let member = self.sockets.rooms.join(&personal(user));
        subscription::follow_room(member, self.queue.clone(), confirmation, Missed::Skips).boxed()
    }

    fn unsubscribe(&mut self, frame: ClientFrame<'_>) -> Result<(), End> {
        let name = frame.topic.as_deref().unwrap_or_default();
        let confirmation = ServerFrame {
            kind: "unsubscribed",
            topic: Some(name),
            r#ref: frame.r#ref.as_deref(),
            ..ServerFrame::default()
        };
        if self.stop(name, &confirmation) {
            Ok(())
        } else {
            self.refuse(&frame, &bad_request("the topic is not subscribed to"))
        }
    }

    fn publish(&self, frame: ClientFrame<'_>) -> Result<(), End> {
        let (name, room) = match (frame.topic.as_deref(), frame.to.as_deref()) {
            (Some(topic), None) => (topic, room(topic).map(str::to_owned)),
            (None, Some(to)) => (MESSAGES, Uuid::try_parse(to).ok().map(personal)),
            _ => ("", None),
        };
        let (Some(room), Some(data)) = (room, frame.data) else {
            let problem =
                bad_request("a `publish` needs a room as its `topic` or the id of a user as `to`, and `data`");
            return self.refuse(&frame, &problem);
        };
        let id = self.sockets.clock.new_id().to_string();
        let message = ServerFrame {
            kind: "message",
            topic: Some(name),
            id: Some(&id),
            user_id: self.session.borrow().as_ref().map(|session| session.user.id),
            at: timestamp(self.sockets.clock.now()),
            data: Some(data),
            ..ServerFrame::default()
        };
        self.sockets.rooms.publish(&room, Bytes::from(message.text()));
        if frame.r#ref.is_none() {
            return Ok(());
        }
        self.reply(&ServerFrame {
            kind: "published",
            topic: frame.topic.as_deref(),
            to: frame.to.as_deref(),
            id: Some(&id),
            r#ref: frame.r#ref.as_deref(),
            ..ServerFrame::default()
        })
    }

    fn refuse(&self, frame: &ClientFrame<'_>, problem: &Problem) -> Result<(), End> {
        let rendered = subscription::render(problem, &self.context);
        self.reply(&ServerFrame {
            kind: "error",
            topic: frame.topic.as_deref(),
            r#ref: frame.r#ref.as_deref(),
            problem: Some(&rendered),
            ..ServerFrame::default()
        })
    }
}

/// The room that a topic is: 1 to 64 letters, digits, dots, hyphens and underscores.
fn room(topic: &str) -> Option<&str> {
    let name = topic.strip_prefix(ROOMS)?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    ((1..=limits::ROOM_NAME).contains(&name.len()) && name.bytes().all(is_name)).then_some(name)
}

/// The room in which a user's own connections are.
fn personal(user: Uuid) -> String {
    format!("{PERSONAL}{user}")
}

fn no_topic() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, Reason::RouteNotFound, "there is no such topic")
}

fn bad_request(message: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, Reason::BadRequest, message)
}
