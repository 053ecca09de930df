//! What a connection listens to: a topic, whose stream is opened again when its service comes and goes, or a room.

use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use http::StatusCode;
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::Session;
use super::frame::{self, ServerFrame};
use super::outgoing::{Full, Outgoing};
use super::rooms::{FellBehind, Member};
use crate::call::Transcoder;
use crate::call::topics::{Origin, Source};
use crate::problem::Problem;

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
    pub(super) origin: Origin,
    pub(super) session: watch::Receiver<Option<Session>>,
    /// The event to go on after.
    pub(super) after: Option<String>,
    pub(super) outgoing: Outgoing,
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
    /// Passes the events on until the stream ends for good.
    pub(super) async fn run(mut self, transcoder: &Transcoder) -> Ended {
        let mut wait = RETRY_FIRST;
        let mut told = false;
        loop {
            let before = self.after.clone();
            let stopped = match self.stream(&mut told).await {
                Ok(stopped) => stopped,
                Err(ended) => return ended,
            };
            let problem = match stopped {
                Stopped::End => {
                    return self.over(transcoder, None).await;
                }
                Stopped::Failed(problem) => problem,
            };
            if self.after != before {
                wait = RETRY_FIRST;
            }
            match problem.status {
                // The service restarts, or wants nobody who lags; the feed has what was missed.
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS if told => {
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RETRY_MOST);
                }
                // The stream was opened with a token that the client has replaced, or is about to.
                StatusCode::UNAUTHORIZED if told => {
                    let replaced = self.session.has_changed().unwrap_or(false);
                    if !replaced && tokio::time::timeout(NEXT_TOKEN, self.session.changed()).await.is_err() {
                        return self.over(transcoder, Some(&problem)).await;
                    }
                }
                _ => return self.over(transcoder, Some(&problem)).await,
            }
        }
    }

    /// Opens the stream and passes on what it says.
    async fn stream(&mut self, told: &mut bool) -> Result<Stopped, Ended> {
        let Some(session) = self.session.borrow_and_update().clone() else {
            return Err(Ended::Quietly);
        };
        let mut events = match self
            .source
            .open(&self.origin, &session.token, self.after.as_deref())
            .await
        {
            Ok(events) => events,
            Err(problem) => return Ok(Stopped::Failed(problem)),
        };
        // A topic that cannot go on from where it was tells that it begins anew.
        if !*told || !self.source.can_resume() {
            self.outgoing
                .tell(subscribed(&self.name, self.reference.as_deref()))
                .await?;
            *told = true;
        }
        loop {
            match events.next().await {
                Ok(Some(event)) => {
                    self.outgoing.tell(frame::event(&self.name, &event)).await?;
                    if event.id.is_some() {
                        self.after = event.id;
                    }
                }
                Ok(None) => return Ok(Stopped::End),
                Err(problem) => return Ok(Stopped::Failed(problem)),
            }
        }
    }

    async fn over(&self, transcoder: &Transcoder, problem: Option<&Problem>) -> Ended {
        let rendered = problem.map(|problem| render(transcoder, problem, &self.origin));
        let text = ServerFrame {
            kind: "unsubscribed",
            topic: Some(&self.name),
            r#ref: self.reference.as_deref(),
            problem: rendered.as_deref(),
            ..ServerFrame::default()
        };
        // Whoever has left need not hear it.
        let _ = self.outgoing.tell(text.text()).await;
        Ended::Quietly
    }
}

/// Passes on what is said in a room.
pub(super) async fn listen(name: String, mut room: Member, outgoing: Outgoing, reference: Option<String>) -> Ended {
    let mut next = Ok(subscribed(&name, reference.as_deref()));
    loop {
        let Ok(text) = next else {
            return Ended::Slow;
        };
        if outgoing.tell(text).await.is_err() {
            return Ended::Quietly;
        }
        next = match room.next().await {
            // Every message of a room was text when it was said.
            Ok(bytes) => Ok(Utf8Bytes::try_from(bytes).unwrap_or_default()),
            Err(FellBehind) => Err(FellBehind),
        };
    }
}

/// A problem as frames carry it.
pub(super) fn render(transcoder: &Transcoder, problem: &Problem, origin: &Origin) -> Box<RawValue> {
    let document = transcoder.render(problem, origin.headers());
    let text = String::from_utf8_lossy(&document).into_owned();
    // A document is JSON; were it not, the frame would go without it.
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn subscribed(topic: &str, reference: Option<&str>) -> Utf8Bytes {
    ServerFrame {
        kind: "subscribed",
        topic: Some(topic),
        r#ref: reference,
        ..ServerFrame::default()
    }
    .text()
}
