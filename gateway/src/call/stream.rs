//! The HTTP reply to a stream of messages: a JSON array, JSON lines, server-sent events, or raw
//! bytes.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use tokio::time::Instant;

use super::config::Config;
use super::plan::Plan;
use super::plan::format::Format;
use super::plan::reply::Body as ReplyBody;
use super::replies::{Next, Replies};
use super::{events, reply, status};
use crate::problem::{Problem, render};

/// How long an event stream waits for its first message before it opens anyway: to a browser, a
/// stream without headers is still connecting.
const OPEN_EVENTS_AFTER: Duration = Duration::from_secs(1);

/// `Content-Disposition` of a file (RFC 6266), so that a browser saves it and shows none of it.
fn saved_as(name: &str, content_type: &HeaderValue) -> Option<HeaderValue> {
    let content_type = content_type.to_str().unwrap_or_default();
    let ending = match content_type.split(';').next().unwrap_or_default().trim() {
        "text/csv" => ".csv",
        "application/json" => ".json",
        _ => "",
    };
    HeaderValue::try_from(format!("attachment; filename=\"{name}{ending}\"")).ok()
}

/// The reply that `replies` become, each written when it comes.
///
/// # Errors
/// The failure of the call, when it comes before the first message.
pub(super) async fn respond(
    plan: Arc<Plan>,
    config: Arc<Config>,
    format: Format,
    mut replies: Replies,
    headers: &HeaderMap,
    deadline: Option<Instant>,
) -> Result<Response<Body>, Problem> {
    let mut pending = None;
    let mut ended = false;
    // Until a stream opens, a failure can still be a status; once the general timeout comes near,
    // an open stream is better than none. Raw bytes cannot open before their first piece, which has
    // the content type.
    let wait = match format {
        Format::Events => Some(OPEN_EVENTS_AFTER),
        Format::Array | Format::Lines => Some(config.timeout / 2),
        Format::Raw => None,
    };
    let opens = far(wait.map(|wait| Instant::now() + wait));
    match replies.next(opens.min(far(deadline))).await {
        Next::Message(message) => pending = Some(message),
        Next::End => ended = true,
        Next::Failed(failure) => return Err(status::for_request(&failure, &plan.binding, headers)),
        Next::UploadFailed(problem) => return Err(problem),
        Next::Late if deadline.is_some_and(|deadline| deadline <= Instant::now()) => return Err(status::expired()),
        Next::Late => {}
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = plan.reply.status;
    let content_type = match (format, &plan.reply.body, &pending) {
        (Format::Lines, ..) => HeaderValue::from_static("application/x-ndjson"),
        (Format::Events, ..) => HeaderValue::from_static("text/event-stream"),
        (Format::Raw, ReplyBody::Raw(field), Some(first)) => {
            reply::raw(&reply::receive(&plan, first.clone())?, field.as_ref()).0
        }
        (Format::Raw, ..) => HeaderValue::from_static("application/octet-stream"),
        (Format::Array, ..) => reply::JSON,
    };
    let disposition = plan.download.as_ref().filter(|_| format == Format::Raw);
    if let Some(disposition) = disposition.and_then(|name| saved_as(name, &content_type)) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    if format == Format::Events {
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    // nginx would hold elements back until its buffer is full.
    response.headers_mut().insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    config.passed.reply(replies.metadata().as_ref(), response.headers_mut());
    let writer = Writer {
        plan,
        config,
        format,
        headers: headers.clone(),
        deadline,
        written: 0,
    };
    // Where a browser can resume, it gets the time after which to connect again.
    let resumes = format == Format::Events && writer.plan.events.can_resume();
    let head = resumes.then(|| Ok(events::retry()));
    let state = State {
        writer,
        replies,
        pending,
        ended,
        closed: false,
    };
    let chunks = futures::stream::unfold(state, State::chunk);
    *response.body_mut() = Body::from_stream(futures::stream::iter(head).chain(chunks));
    Ok(response)
}

/// A deadline, or a time that does not come.
fn far(deadline: Option<Instant>) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    deadline.unwrap_or_else(|| Instant::now() + YEAR)
}

/// A stream on its way down. Dropping it drops the call, which cancels it at the backend.
struct State {
    writer: Writer,
    replies: Replies,
    pending: Option<Bytes>,
    /// The backend sends nothing more.
    ended: bool,
    /// Nothing more is to be written.
    closed: bool,
}

/// A stream that has failed with no other way left to show it: the connection breaks off.
#[derive(Debug, thiserror::Error)]
#[error("the stream failed at its source")]
struct BrokenOff;

impl State {
    async fn chunk(mut self) -> Option<(Result<Bytes, BrokenOff>, Self)> {
        if self.closed {
            return None;
        }
        self.advance().await.map(|chunk| (chunk, self))
    }

    async fn advance(&mut self) -> Option<Result<Bytes, BrokenOff>> {
        if let Some(message) = self.pending.take() {
            return Some(self.element(message));
        }
        if self.ended {
            return self.end();
        }
        let deadline = self.writer.deadline;
        let wake = match self.writer.format {
            Format::Events => far(deadline).min(Instant::now() + self.writer.config.keep_alive),
            _ => far(deadline),
        };
        let closing = self.writer.config.closing.clone();
        let next = tokio::select! {
            next = self.replies.next(wake) => next,
            () = closing.cancelled() => return self.end(),
        };
        match next {
            Next::Message(message) => Some(self.element(message)),
            Next::End => self.end(),
            Next::Failed(failure) => {
                let problem = status::for_request(&failure, &self.writer.plan.binding, &self.writer.headers);
                Some(self.fail(&problem))
            }
            Next::UploadFailed(problem) => Some(self.fail(&problem)),
            Next::Late if deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                Some(self.fail(&status::expired()))
            }
            Next::Late => Some(Ok(Bytes::from_static(b":\n\n"))),
        }
    }

    fn element(&mut self, message: Bytes) -> Result<Bytes, BrokenOff> {
        match self.writer.element(message) {
            Ok(chunk) => Ok(chunk),
            Err(problem) => self.fail(&problem),
        }
    }

    fn end(&mut self) -> Option<Result<Bytes, BrokenOff>> {
        self.closed = true;
        self.writer.end().map(Ok)
    }

    fn fail(&mut self, problem: &Problem) -> Result<Bytes, BrokenOff> {
        self.closed = true;
        self.writer.fail(problem).ok_or(BrokenOff)
    }
}

/// Writes the elements of a stream in its format.
struct Writer {
    plan: Arc<Plan>,
    config: Arc<Config>,
    format: Format,
    headers: HeaderMap,
    deadline: Option<Instant>,
    written: usize,
}

impl Writer {
    fn element(&mut self, message: Bytes) -> Result<Bytes, Problem> {
        let message = reply::receive(&self.plan, message)?;
        if let ReplyBody::Raw(field) = &self.plan.reply.body {
            return Ok(reply::raw(&message, field.as_ref()).1);
        }
        let json = reply::json(&self.plan, &message)?;
        if self.format == Format::Events
            && let Some(id) = self.plan.events.id_of(&message)
        {
            self.written += 1;
            return Ok(Bytes::from(
                [b"id: ", id.as_bytes(), b"\ndata: ", &json, b"\n\n"].concat(),
            ));
        }
        Ok(self.framed(&json))
    }

    /// An element with what the format puts around it.
    fn framed(&mut self, json: &[u8]) -> Bytes {
        let (before, after): (&[u8], &[u8]) = match self.format {
            Format::Array if self.written == 0 => (b"[", b""),
            Format::Array => (b",", b""),
            Format::Lines => (b"", b"\n"),
            Format::Events => (b"data: ", b"\n\n"),
            Format::Raw => (b"", b""),
        };
        self.written += 1;
        Bytes::from([before, json, after].concat())
    }

    fn end(&self) -> Option<Bytes> {
        match self.format {
            Format::Array if self.written == 0 => Some(Bytes::from_static(b"[]")),
            Format::Array => Some(Bytes::from_static(b"]")),
            _ => None,
        }
    }

    /// The last element of a stream that fails; `None` where it can only break off.
    fn fail(&mut self, problem: &Problem) -> Option<Bytes> {
        let rendered = render::for_stream(problem, &self.headers);
        match self.format {
            Format::Raw => None,
            Format::Events => Some(Bytes::from([b"event: error\ndata: ", &*rendered, b"\n\n"].concat())),
            Format::Array | Format::Lines => {
                let element = [b"{\"error\":", &*rendered, b"}"].concat();
                let mut chunk = self.framed(&element).to_vec();
                chunk.extend(self.end().unwrap_or_default());
                Some(Bytes::from(chunk))
            }
        }
    }
}
