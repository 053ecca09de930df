//! One client, from its handshake to its goodbye.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures::future::BoxFuture;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use quartet_rpc::Failure;
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite;

use super::close::Close;
use super::outgoing::{Outgoing, Writer, Written};
use super::rate::Rate;
use super::subscription::Ended;
use super::{Session, Sockets};
use crate::call::topics::Origin;
use crate::problem::Problem;

/// Time for the goodbye: the close frame out, and the client's own in.
const GOODBYE: Duration = Duration::from_secs(2);
/// A client.
pub(super) struct Connection {
    sockets: Sockets,
    origin: Origin,
    /// What became of the token in the handshake; `None` when there was none.
    signed_in: Option<Result<Session, Problem>>,
}

/// How a connection ends.
pub(super) enum End {
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
pub(super) struct Serving {
    pub(super) sockets: Sockets,
    pub(super) origin: Origin,
    pub(super) incoming: SplitStream<WebSocket>,
    pub(super) outgoing: Outgoing,
    pub(super) writer: Writer,
    pub(super) rate: Rate,
    /// When the client last gave a sign of life.
    pub(super) heard: Instant,
    pub(super) sign_in_by: Instant,
    pub(super) session: watch::Sender<Option<Session>>,
    /// Resolves when the session no longer counts.
    pub(super) unwelcome: Option<BoxFuture<'static, Failure>>,
    pub(super) topics: HashMap<String, AbortHandle>,
    /// The topic of each task.
    pub(super) names: HashMap<Id, String>,
    pub(super) tasks: JoinSet<Ended>,
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
}

/// Resolves with the future, and never without one.
async fn until(future: &mut Option<BoxFuture<'static, Failure>>) -> Failure {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
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
