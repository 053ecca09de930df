//! One client, from its handshake to its close.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::tungstenite;

use super::client::Client;
use super::close::{Close, End};
use super::rate::Rate;
use super::send_queue::{SendQueue, Writer, Written};
use super::sockets::{Session, Sockets};
use crate::call::topic_stream::ClientContext;

/// Time for the close: the close frame out, and the client's own in.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A client whose handshake is answered.
pub(super) struct Connection {
    sockets: Sockets,
    context: ClientContext,
    /// What became of the token in the handshake; `None` when there was none.
    signed_in: Option<Result<Session, Close>>,
}

impl Connection {
    pub(super) fn new(sockets: Sockets, context: ClientContext, signed_in: Option<Result<Session, Close>>) -> Self {
        Self {
            sockets,
            context,
            signed_in,
        }
    }

    /// Serves the client until either side ends it.
    pub(super) async fn run(self, socket: WebSocket) {
        let started = Instant::now();
        let limits = &self.sockets.limits;
        let (sink, incoming) = socket.split();
        let (queue, writer) = SendQueue::new(sink, limits.queue, limits.send_timeout);
        let mut serving = Serving {
            rate: Rate::new(limits.rate, started),
            received_at: started,
            sign_in_by: started + limits.sign_in,
            client: Client::new(self.sockets, self.context, queue),
            writer,
            incoming,
        };
        let (end, sink) = serving.serve(self.signed_in).await;
        let user = serving.client.session.borrow().as_ref().map(|session| session.user.id);
        let (code, reason) = match &end {
            End::Close(close) => (close.code, close.reason.as_str()),
            End::Disconnected => (1000, "disconnected"),
        };
        tracing::info!(
            code,
            reason,
            user = user.map(tracing::field::display),
            duration_ms = started.elapsed().as_millis() as u64,
            "a connection ended"
        );
        serving.close(end, sink).await;
    }
}

/// A connection that is open.
struct Serving {
    client: Client,
    incoming: SplitStream<WebSocket>,
    writer: Writer,
    rate: Rate,
    /// When the client last sent anything.
    received_at: Instant,
    sign_in_by: Instant,
}

type Sink = SplitSink<WebSocket, Message>;

impl Serving {
    /// Serves until the end; returns the socket's other half, if it is still there.
    async fn serve(&mut self, signed_in: Option<Result<Session, Close>>) -> (End, Option<Sink>) {
        let signed_in = match signed_in {
            Some(Ok(session)) => self.client.sign_in(session, None),
            Some(Err(close)) => Err(End::Close(close)),
            None => Ok(()),
        };
        if let Err(end) = signed_in {
            return (end, None);
        }
        let (ping_every, idle) = (self.client.sockets.limits.ping_every(), self.client.sockets.limits.idle);
        let mut pings = tokio::time::interval_at(self.received_at + ping_every, ping_every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let closing = self.client.sockets.closing.clone();
        loop {
            let idle_at = self.received_at + idle;
            let is_signed_in = self.client.is_signed_in();
            let step = tokio::select! {
                biased;
                () = closing.cancelled() => Err(End::Close(Close::going_away())),
                changed = self.client.changed() => changed,
                (written, sink) = self.writer.ended() => {
                    let end = match written {
                        Written::Slow => End::Close(Close::slow_consumer()),
                        Written::All | Written::Disconnected => End::Disconnected,
                    };
                    return (end, sink);
                }
                () = tokio::time::sleep_until(self.sign_in_by), if !is_signed_in => {
                    Err(End::Close(Close::sign_in_timeout()))
                }
                message = self.incoming.next() => self.receive(message).await,
                () = tokio::time::sleep_until(idle_at) => Err(End::Close(Close::idle())),
                _ = pings.tick() => self.client.queue.ping().map_err(|_| End::Close(Close::slow_consumer())),
            };
            if let Err(end) = step {
                return (end, None);
            }
        }
    }

    async fn receive(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        self.received_at = Instant::now();
        let message = match message {
            None => return Err(End::Disconnected),
            Some(Err(error)) if is_too_large(&error) => return Err(End::Close(Close::too_large())),
            Some(Err(_)) => return Err(End::Disconnected),
            Some(Ok(message)) => message,
        };
        // Control frames count as well: they are answered.
        if !self.rate.admits(self.received_at) {
            return Err(End::Close(Close::rate_limited()));
        }
        match message {
            Message::Text(text) => self.client.dispatch(text.as_str()).await,
            Message::Binary(_) => Err(End::Close(Close::binary())),
            Message::Close(_) => Err(End::Disconnected),
            Message::Ping(_) | Message::Pong(_) => Ok(()),
        }
    }

    /// Sends the close frame and waits a little for the client's own, so that its last reads are
    /// not cut off by a reset.
    async fn close(mut self, end: End, sink: Option<Sink>) {
        self.client.shut_down().await;
        let End::Close(close) = end else {
            return;
        };
        let Self {
            mut writer,
            mut incoming,
            ..
        } = self;
        // What still waits is not sent: the client may no longer be allowed to read it, and can
        // request it again otherwise.
        writer.stop();
        let closed = async {
            let sink = match sink {
                Some(sink) => Some(sink),
                None => writer.ended().await.1,
            };
            if let Some(mut sink) = sink {
                let sent = sink.send(Message::Close(Some(CloseFrame::from(close)))).await;
                while sent.is_ok() && matches!(incoming.next().await, Some(Ok(_))) {}
            }
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closed).await;
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
