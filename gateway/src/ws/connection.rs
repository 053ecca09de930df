//! One client, from its handshake to its goodbye.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{SplitSink, SplitStream};
use futures::{FutureExt, SinkExt, StreamExt};
use http::StatusCode;
use quartet_proto::options::Reason;
use quartet_rpc::Failure;
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite;

use super::close::Close;
use super::frame::{ClientFrame, ServerFrame, moment};
use super::outgoing::{Outgoing, Writer, Written};
use super::rate::Rate;
use super::subscription::{self, Ended, Topic};
use super::{Session, Sockets, limits};
use crate::call::topics::Origin;
use crate::problem::Problem;

/// Time for the goodbye: the close frame out, and the client's own in.
const GOODBYE: Duration = Duration::from_secs(2);
/// The topics that are rooms.
const ROOMS: &str = "rooms/";

/// A client.
pub(super) struct Connection {
    sockets: Sockets,
    origin: Origin,
    /// What became of the token in the handshake; `None` when there was none.
    signed_in: Option<Result<Session, Problem>>,
}

/// How a connection ends.
enum End {
    /// With these words.
    Close(Close),
    /// The client has said goodbye, or is gone.
    Left,
}

impl Connection {
    pub(super) fn new(sockets: Sockets, origin: Origin, signed_in: Option<Result<Session, Problem>>) -> Self {
        Self {
            sockets,
            origin,
            signed_in,
        }
    }

    /// Serves the client until either side ends it.
    pub(super) async fn run(self, socket: WebSocket) {
        let started = Instant::now();
        let limits = &self.sockets.limits;
        let (sink, incoming) = socket.split();
        let (outgoing, writer) = Outgoing::to(sink, limits.queue, limits.patience);
        let mut serving = Serving {
            rate: Rate::new(limits.rate, started),
            heard: started,
            sign_in_by: started + limits.sign_in,
            session: watch::Sender::new(None),
            unwelcome: None,
            topics: HashMap::new(),
            names: HashMap::new(),
            tasks: JoinSet::new(),
            origin: self.origin,
            sockets: self.sockets,
            outgoing,
            writer,
            incoming,
        };
        let (end, sink) = serving.serve(self.signed_in).await;
        let user = serving.session.borrow().as_ref().map(|session| session.user.id);
        let code = match &end {
            End::Close(close) => close.code,
            End::Left => 1000,
        };
        let reason = match &end {
            End::Close(close) => close.reason.as_str(),
            End::Left => "left",
        };
        tracing::info!(
            code,
            reason,
            ?user,
            duration_ms = started.elapsed().as_millis() as u64,
            "a connection ended"
        );
        serving.leave(end, sink).await;
    }
}

/// A client that is being served.
struct Serving {
    sockets: Sockets,
    origin: Origin,
    incoming: SplitStream<WebSocket>,
    outgoing: Outgoing,
    writer: Writer,
    rate: Rate,
    /// When the client last gave a sign of life.
    heard: Instant,
    sign_in_by: Instant,
    session: watch::Sender<Option<Session>>,
    /// Resolves when the session no longer counts.
    unwelcome: Option<BoxFuture<'static, Failure>>,
    topics: HashMap<String, AbortHandle>,
    /// The topic of each task.
    names: HashMap<Id, String>,
    tasks: JoinSet<Ended>,
}

type Sink = SplitSink<WebSocket, Message>;

impl Serving {
    /// Serves until the end; the socket's other half, if it is still there.
    async fn serve(&mut self, signed_in: Option<Result<Session, Problem>>) -> (End, Option<Sink>) {
        match signed_in {
            Some(Err(problem)) => return (End::Close(Close::unwelcome(&problem)), None),
            Some(Ok(session)) => {
                if let Err(end) = self.sign_in(session, None) {
                    return (end, None);
                }
            }
            None => {}
        }
        let mut pings = tokio::time::interval_at(
            self.heard + self.sockets.limits.ping_every(),
            self.sockets.limits.ping_every(),
        );
        pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let closing = self.sockets.closing.clone();
        loop {
            let idle_at = self.heard + self.sockets.limits.idle;
            let sign_in_by = self.sign_in_by;
            let is_stranger = self.unwelcome.is_none();
            let step = tokio::select! {
                biased;
                () = closing.cancelled() => Err(End::Close(Close::going_away())),
                failure = until(&mut self.unwelcome) => {
                    Err(End::Close(Close::unwelcome(&self.sockets.problem(failure))))
                }
                (written, sink) = self.writer.ended() => {
                    let end = match written {
                        Written::Slow => End::Close(Close::slow_consumer()),
                        Written::All | Written::Gone => End::Left,
                    };
                    return (end, sink);
                }
                () = tokio::time::sleep_until(sign_in_by), if is_stranger => {
                    Err(End::Close(Close::sign_in_timeout()))
                }
                Some(ended) = self.tasks.join_next_with_id() => self.subscription_ended(ended),
                message = self.incoming.next() => self.hear(message).await,
                () = tokio::time::sleep_until(idle_at) => Err(End::Close(Close::idle())),
                _ = pings.tick() => self.outgoing.ping().map_err(|_| End::Close(Close::slow_consumer())),
            };
            if let Err(end) = step {
                return (end, None);
            }
        }
    }

    /// Says goodbye and waits a moment for the client's own, so that its last reads are not cut off by a reset.
    async fn leave(mut self, end: End, sink: Option<Sink>) {
        self.tasks.shutdown().await;
        let End::Close(close) = end else {
            return;
        };
        let Self {
            mut writer,
            mut incoming,
            ..
        } = self;
        // What still waits is not sent: its reader may no longer be welcome to it, and can ask for it again otherwise.
        writer.stop();
        let goodbye = async {
            let sink = match sink {
                Some(sink) => Some(sink),
                None => writer.ended().await.1,
            };
            if let Some(mut sink) = sink {
                let sent = sink.send(Message::Close(Some(CloseFrame::from(close)))).await;
                while sent.is_ok() && matches!(incoming.next().await, Some(Ok(_))) {}
            }
        };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }

    async fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        self.heard = Instant::now();
        let message = match message {
            None => return Err(End::Left),
            Some(Err(error)) if is_too_large(&error) => return Err(End::Close(Close::too_large())),
            Some(Err(_)) => return Err(End::Left),
            Some(Ok(message)) => message,
        };
        // Control frames count as well: they are answered.
        if !self.rate.admits(self.heard) {
            return Err(End::Close(Close::rate_limited()));
        }
        match message {
            Message::Text(text) => self.obey(text.as_str()).await,
            Message::Binary(_) => Err(End::Close(Close::binary())),
            Message::Close(_) => Err(End::Left),
            Message::Ping(_) | Message::Pong(_) => Ok(()),
        }
    }

    async fn obey(&mut self, text: &str) -> Result<(), End> {
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

    fn sign_in(&mut self, session: Session, reference: Option<&str>) -> Result<(), End> {
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

    fn subscription_ended(&mut self, ended: Result<(Id, Ended), tokio::task::JoinError>) -> Result<(), End> {
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

/// Resolves with the future, and never without one.
async fn until(future: &mut Option<BoxFuture<'static, Failure>>) -> Failure {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
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

fn is_too_large(error: &axum::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(tungstenite::Error::Capacity(_)) = error.downcast_ref() {
            return true;
        }
        source = error.source();
    }
    false
}
