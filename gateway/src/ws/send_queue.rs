//! What waits to be sent to a client: two bounded queues and a task that writes them. A client that
//! does not read in time is closed.

use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use futures::SinkExt;
use futures::stream::SplitSink;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Replies that wait for a client. They are as many as its own frames, whose rate is bounded.
const REPLIES: usize = 64;

/// The end of the queues that others put messages into.
#[derive(Clone)]
pub(super) struct SendQueue {
    replies: mpsc::Sender<Message>,
    events: mpsc::Sender<Message>,
}

/// The queue is full, or it is no longer written.
#[derive(Debug)]
pub(super) struct Full;

/// Why writing ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// Nothing more is to be sent.
    All,
    /// The client is disconnected.
    Disconnected,
    /// The client did not read a message in time.
    Slow,
}

/// Writes until it is stopped; then the socket's other half comes back, for the close frame.
pub(super) struct Writer {
    task: JoinHandle<(Written, SplitSink<WebSocket, Message>)>,
    stop: CancellationToken,
}

impl SendQueue {
    /// Queues of `depth` messages before `sink`, whose client may take `timeout` for each.
    pub(super) fn new(sink: SplitSink<WebSocket, Message>, depth: usize, timeout: Duration) -> (Self, Writer) {
        let (replies, next_reply) = mpsc::channel(REPLIES);
        let (events, next_event) = mpsc::channel(depth);
        let stop = CancellationToken::new();
        let task = tokio::spawn(write(sink, next_reply, next_event, timeout, stop.clone()));
        (Self { replies, events }, Writer { task, stop })
    }

    /// Sends the answer to a frame, ahead of the events.
    pub(super) fn reply(&self, text: Utf8Bytes) -> Result<(), Full> {
        self.replies.try_send(Message::Text(text)).map_err(|_| Full)
    }

    /// Sends a ping, ahead of the events.
    pub(super) fn ping(&self) -> Result<(), Full> {
        let ping = Message::Ping(Default::default());
        self.replies.try_send(ping).map_err(|_| Full)
    }

    /// Sends an event in its turn; waits while the queue is full.
    pub(super) async fn send(&self, text: Utf8Bytes) -> Result<(), Full> {
        self.events.send(Message::Text(text)).await.map_err(|_| Full)
    }
}

impl Writer {
    /// Ends writing, whatever still waits.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Resolves when writing ends.
    pub(super) async fn ended(&mut self) -> (Written, Option<SplitSink<WebSocket, Message>>) {
        match (&mut self.task).await {
            Ok((written, sink)) => (written, Some(sink)),
            // It panicked, and the socket is lost with it.
            Err(_) => (Written::Disconnected, None),
        }
    }
}

async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut replies: mpsc::Receiver<Message>,
    mut events: mpsc::Receiver<Message>,
    timeout: Duration,
    stop: CancellationToken,
) -> (Written, SplitSink<WebSocket, Message>) {
    loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            reply = replies.recv() => reply,
            event = events.recv() => event,
        };
        let Some(message) = next else {
            return (Written::All, sink);
        };
        let written = tokio::select! {
            written = tokio::time::timeout(timeout, sink.send(message)) => written,
            () = stop.cancelled() => return (Written::All, sink),
        };
        match written {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return (Written::Disconnected, sink),
            Err(_) => return (Written::Slow, sink),
        }
    }
}
