//! The way to a client: two bounded queues and a task that writes. Whoever cannot be written to in time is let go.

use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use futures::SinkExt;
use futures::stream::SplitSink;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Answers that wait for a client. They are as many as its own frames, whose rate is bounded.
const ANSWERS: usize = 64;

/// The end of the queues that others put messages into.
#[derive(Clone)]
pub(super) struct Outgoing {
    answers: mpsc::Sender<Message>,
    news: mpsc::Sender<Message>,
}

/// The queue is full, or nobody writes any more.
#[derive(Debug)]
pub(super) struct Full;

/// Why writing ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// Nobody has anything to say any more, or may.
    All,
    /// The client is gone.
    Gone,
    /// The client did not take a message in time.
    Slow,
}

/// Writes until it is stopped; then the socket's other half comes back, for the goodbye.
pub(super) struct Writer {
    task: JoinHandle<(Written, SplitSink<WebSocket, Message>)>,
    stop: CancellationToken,
}

impl Outgoing {
    /// Queues of `depth` messages before `sink`, whose client may take `patience` for each.
    pub(super) fn to(sink: SplitSink<WebSocket, Message>, depth: usize, patience: Duration) -> (Self, Writer) {
        let (answers, answer) = mpsc::channel(ANSWERS);
        let (news, new) = mpsc::channel(depth);
        let stop = CancellationToken::new();
        let task = tokio::spawn(write(sink, answer, new, patience, stop.clone()));
        (Self { answers, news }, Writer { task, stop })
    }

    /// Says something that the client asked for, ahead of the news.
    pub(super) fn answer(&self, text: Utf8Bytes) -> Result<(), Full> {
        self.answers.try_send(Message::Text(text)).map_err(|_| Full)
    }

    /// Asks for a sign of life.
    pub(super) fn ping(&self) -> Result<(), Full> {
        self.answers
            .try_send(Message::Ping(Default::default()))
            .map_err(|_| Full)
    }

    /// Says something in its turn; waits while the queue is full.
    pub(super) async fn tell(&self, text: Utf8Bytes) -> Result<(), Full> {
        self.news.send(Message::Text(text)).await.map_err(|_| Full)
    }
}

impl Writer {
    /// Has writing end, whatever still waits.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Resolves when writing ends.
    pub(super) async fn ended(&mut self) -> (Written, Option<SplitSink<WebSocket, Message>>) {
        match (&mut self.task).await {
            Ok((written, sink)) => (written, Some(sink)),
            // It panicked, and the socket is lost with it.
            Err(_) => (Written::Gone, None),
        }
    }
}

async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut answers: mpsc::Receiver<Message>,
    mut news: mpsc::Receiver<Message>,
    patience: Duration,
    stop: CancellationToken,
) -> (Written, SplitSink<WebSocket, Message>) {
    loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            answer = answers.recv() => answer,
            new = news.recv() => new,
        };
        let Some(message) = next else {
            return (Written::All, sink);
        };
        let written = tokio::select! {
            written = tokio::time::timeout(patience, sink.send(message)) => written,
            () = stop.cancelled() => return (Written::All, sink),
        };
        match written {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return (Written::Gone, sink),
            Err(_) => return (Written::Slow, sink),
        }
    }
}
