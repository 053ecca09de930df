//! What a client asks for, frame by frame.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::StatusCode;
use quartet_proto::options::Reason;
use tokio::task::Id;

use super::close::Close;
use super::connection::{End, Serving};
use super::frame::{ClientFrame, ServerFrame, moment};
use super::subscription::{self, Ended, Topic};
use super::{Session, limits};
use crate::problem::Problem;

/// The topics that are rooms.
const ROOMS: &str = "rooms/";

impl Serving {
    /// Does what a frame asks for.
    pub(super) async fn obey(&mut self, text: &str) -> Result<(), End> {
        let frame: ClientFrame<'_> = serde_json::from_str(text).map_err(|_| End::Close(Close::malformed()))?;
        let is_long = |name: &Option<String>| name.as_ref().is_some_and(|name| name.len() > limits::NAME);
        if is_long(&frame.r#ref) || is_long(&frame.topic) {
            return Err(End::Close(Close::malformed()));
        }
        if self.unwelcome.is_none() && frame.kind != "auth" {
            return Err(End::Close(Close::token_missing()));
        }
        match frame.kind {
            "auth" => self.authenticate(frame).await,
            "subscribe" => self.subscribe(frame),
            "unsubscribe" => self.unsubscribe(frame),
            "publish" => self.publish(frame),
            "ping" => self.answer(&ServerFrame {
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
            .map_err(|failure| End::Close(Close::unwelcome(&self.sockets.problem(failure))))?;
        let known = self.session.borrow().as_ref().map(|session| session.user.id);
        if known.is_some_and(|known| known != session.user.id) {
            return Err(End::Close(Close::other_user()));
        }
        self.sign_in(session, frame.r#ref.as_deref())
    }

    pub(super) fn sign_in(&mut self, session: Session, reference: Option<&str>) -> Result<(), End> {
        let user = session.user.clone();
        let verifier = self.sockets.verifier.clone();
        self.session.send_replace(Some(session));
        let answer = self.answer(&ServerFrame {
            kind: "ready",
            r#ref: reference,
            user_id: Some(user.id),
            expires_at: moment(user.expires_at),
            ..ServerFrame::default()
        });
        self.unwelcome = Some(async move { verifier.until_unwelcome(&user, false).await }.boxed());
        answer
    }

    fn subscribe(&mut self, frame: ClientFrame<'_>) -> Result<(), End> {
        let name = frame.topic.clone().unwrap_or_default();
        if self.topics.contains_key(&name) {
            return self.refuse(&frame, &bad_request("the topic is subscribed to already"));
        }
        if self.topics.len() >= self.sockets.limits.subscriptions {
            let message = format!("{} topics at a time are the limit", self.sockets.limits.subscriptions);
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, Reason::RateLimited, message);
            return self.refuse(&frame, &problem);
        }
        let task: BoxFuture<'static, Ended> = match self.listener(&name, &frame) {
            Ok(task) => task,
            Err(problem) => return self.refuse(&frame, &problem),
        };
        let handle = self.tasks.spawn(task);
        self.names.insert(handle.id(), name.clone());
        self.topics.insert(name, handle);
        Ok(())
    }

    /// What listens to the topic of that name.
    fn listener(&self, name: &str, frame: &ClientFrame<'_>) -> Result<BoxFuture<'static, Ended>, Problem> {
        if let Some(room) = room(name) {
            let member = self.sockets.rooms.enter(room);
            let outgoing = self.outgoing.clone();
            return Ok(subscription::listen(name.to_owned(), member, outgoing, frame.r#ref.clone()).boxed());
        }
        let source = self.sockets.transcoder.topics().find(name).ok_or_else(no_topic)??;
        let topic = Topic {
            name: name.to_owned(),
            source,
            origin: self.origin.clone(),
            session: self.session.subscribe(),
            after: frame.after.clone().filter(|after| !after.is_empty()),
            outgoing: self.outgoing.clone(),
            reference: frame.r#ref.clone(),
        };
        let transcoder = self.sockets.transcoder.clone();
        Ok(async move { topic.run(&transcoder).await }.boxed())
    }

    fn unsubscribe(&mut self, frame: ClientFrame<'_>) -> Result<(), End> {
        let name = frame.topic.clone().unwrap_or_default();
        let Some(handle) = self.topics.remove(&name) else {
            return self.refuse(&frame, &bad_request("the topic is not subscribed to"));
        };
        handle.abort();
        self.names.remove(&handle.id());
        let text = ServerFrame {
            kind: "unsubscribed",
            topic: Some(&name),
            r#ref: frame.r#ref.as_deref(),
            ..ServerFrame::default()
        }
        .text();
        let outgoing = self.outgoing.clone();
        // In its turn, so that no event of the topic comes after it.
        self.tasks.spawn(async move {
            let _ = outgoing.tell(text).await;
            Ended::Quietly
        });
        Ok(())
    }

    fn publish(&self, frame: ClientFrame<'_>) -> Result<(), End> {
        let name = frame.topic.as_deref().unwrap_or_default();
        let (Some(room), Some(data)) = (room(name), frame.data) else {
            return self.refuse(
                &frame,
                &bad_request("a `publish` needs a room as its `topic`, and `data`"),
            );
        };
        let id = self.sockets.clock.new_id().to_string();
        let message = ServerFrame {
            kind: "message",
            topic: Some(name),
            id: Some(&id),
            user_id: self.session.borrow().as_ref().map(|session| session.user.id),
            at: moment(self.sockets.clock.now()),
            data: Some(data),
            ..ServerFrame::default()
        };
        self.sockets.rooms.say(room, Bytes::from(message.text()));
        if frame.r#ref.is_none() {
            return Ok(());
        }
        self.answer(&ServerFrame {
            kind: "published",
            topic: Some(name),
            id: Some(&id),
            r#ref: frame.r#ref.as_deref(),
            ..ServerFrame::default()
        })
    }

    pub(super) fn subscription_ended(&mut self, ended: Result<(Id, Ended), tokio::task::JoinError>) -> Result<(), End> {
        let (id, ended) = match ended {
            Ok((id, ended)) => (id, ended),
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(%error, "a subscription panicked");
                }
                (error.id(), Ended::Quietly)
            }
        };
        if let Some(name) = self.names.remove(&id) {
            self.topics.remove(&name);
        }
        match ended {
            Ended::Quietly => Ok(()),
            Ended::Slow => Err(End::Close(Close::slow_consumer())),
        }
    }

    fn refuse(&self, frame: &ClientFrame<'_>, problem: &Problem) -> Result<(), End> {
        let rendered = subscription::render(&self.sockets.transcoder, problem, &self.origin);
        self.answer(&ServerFrame {
            kind: "error",
            topic: frame.topic.as_deref(),
            r#ref: frame.r#ref.as_deref(),
            problem: Some(&rendered),
            ..ServerFrame::default()
        })
    }

    fn answer(&self, frame: &ServerFrame<'_>) -> Result<(), End> {
        self.outgoing
            .answer(frame.text())
            .map_err(|_| End::Close(Close::slow_consumer()))
    }
}

/// The room that a topic is: 1 to 64 letters, digits, dots, hyphens and underscores.
fn room(topic: &str) -> Option<&str> {
    let name = topic.strip_prefix(ROOMS)?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    ((1..=limits::ROOM_NAME).contains(&name.len()) && name.bytes().all(is_name)).then_some(name)
}

fn no_topic() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, Reason::RouteNotFound, "there is no such topic")
}

fn bad_request(message: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, Reason::BadRequest, message)
}
