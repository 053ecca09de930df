//! What a client follows: a topic, whose stream is opened again when its service restarts, or a
//! room.

use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use http::StatusCode;
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::frame::{self, ServerFrame};
use super::rooms::Member;
use super::send_queue::{Full, SendQueue};
use super::sockets::Session;
use crate::call::topic_stream::{ClientContext, Source};
use crate::problem::{Problem, render};

/// Waits between two attempts to open a stream again.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MOST: Duration = Duration::from_secs(10);
/// How long a stream whose token has expired waits for the client's next one.
const NEXT_TOKEN: Duration = Duration::from_secs(5);

/// How a subscription ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself, or because the connection has.
    Quietly,
    /// Its client could not keep up.
    Slow,
}

/// A subscription to a topic.
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) context: ClientContext,
    pub(super) session: watch::Receiver<Option<Session>>,
    /// The event to go on after.
    pub(super) after: Option<String>,
    pub(super) queue: SendQueue,
    pub(super) reference: Option<String>,
}

impl From<Full> for Ended {
    fn from(Full: Full) -> Self {
        Self::Quietly
    }
}

/// Why a stream stopped.
enum Stopped {
    /// The topic is over.
    End,
    Failed(Problem),
}

impl Topic {
    /// Sends the events to the client until the stream ends for good.
    pub(super) async fn run(mut self) -> Ended {
        let mut wait = RETRY_FIRST;
        let mut confirmed = false;
        loop {
            let before = self.after.clone();
            let problem = match self.stream(&mut confirmed).await {
                Ok(Stopped::Failed(problem)) => problem,
                Ok(Stopped::End) => return self.over(None).await,
                Err(ended) => return ended,
            };
            if self.after != before {
                wait = RETRY_FIRST;
            }
            match problem.status {
                // The service restarts, or has ended a stream that lags; the feed has what was
                // missed.
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS if confirmed => {
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RETRY_MOST);
                }
                // The stream was opened with a token that the client has replaced, or is about to.
                StatusCode::UNAUTHORIZED if confirmed => {
                    let replaced = self.session.has_changed().unwrap_or(false);
                    if !replaced && tokio::time::timeout(NEXT_TOKEN, self.session.changed()).await.is_err() {
                        return self.over(Some(&problem)).await;
                    }
                }
                _ => return self.over(Some(&problem)).await,
            }
        }
    }

    /// Opens the stream and sends its events to the client.
    async fn stream(&mut self, confirmed: &mut bool) -> Result<Stopped, Ended> {
        let Some(session) = self.session.borrow_and_update().clone() else {
            return Err(Ended::Quietly);
        };
        let mut events = match self
            .source
            .open(&self.context, &session.token, self.after.as_deref())
            .await
        {
            Ok(events) => events,
            Err(problem) => return Ok(Stopped::Failed(problem)),
        };
        // A topic that cannot go on from where it was is confirmed again: it begins anew.
        if !*confirmed || !self.source.can_resume() {
            let text = subscribed(&self.name, self.reference.as_deref());
            self.queue.send(text).await?;
            *confirmed = true;
        }
        loop {
            match events.next().await {
                Ok(Some(event)) => {
                    self.queue.send(frame::event(&self.name, &event)).await?;
                    if event.id.is_some() {
                        self.after = event.id;
                    }
                }
                Ok(None) => return Ok(Stopped::End),
                Err(problem) => return Ok(Stopped::Failed(problem)),
            }
        }
    }

    async fn over(&self, problem: Option<&Problem>) -> Ended {
        let rendered = problem.map(|problem| render(problem, &self.context));
        let text = ServerFrame {
            kind: "unsubscribed",
            topic: Some(&self.name),
            r#ref: self.reference.as_deref(),
            problem: rendered.as_deref(),
            ..ServerFrame::default()
        };
        // A client that has disconnected does not need it.
        let _ = self.queue.send(text.text()).await;
        Ended::Quietly
    }
}

/// What becomes of a subscription whose client falls behind a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missed {
    /// It ends, and its connection.
    Ends,
    /// It goes on with what there still is.
    Skips,
}

/// Sends the messages of a room to the client, behind the confirmation that it waits for.
pub(super) async fn follow_room(
    mut room: Member,
    queue: SendQueue,
    confirmation: Option<Utf8Bytes>,
    missed: Missed,
) -> Ended {
    let mut next = confirmation;
    loop {
        if let Some(text) = next.take()
            && queue.send(text).await.is_err()
        {
            return Ended::Quietly;
        }
        // Every message of a room was published as text.
        match (room.next().await, missed) {
            (Ok(bytes), _) => next = Some(Utf8Bytes::try_from(bytes).unwrap_or_default()),
            (Err(_), Missed::Skips) => {}
            (Err(_), Missed::Ends) => return Ended::Slow,
        }
    }
}

/// The document of a problem for a frame.
pub(super) fn render(problem: &Problem, context: &ClientContext) -> Box<RawValue> {
    let document = render::for_stream(problem, context.headers());
    let text = String::from_utf8_lossy(&document).into_owned();
    // A document is JSON; were it not, the frame would go without it.
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// The confirmation of a subscription.
pub(super) fn subscribed(topic: &str, reference: Option<&str>) -> Utf8Bytes {
    ServerFrame {
        kind: "subscribed",
        topic: Some(topic),
        r#ref: reference,
        ..ServerFrame::default()
    }
    .text()
}
