//! How large a body may be, and how long it may take to come in. An announced length is checked at
//! once.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, EXPECT};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use quartet_proto::options::Reason;
use tokio::time::{Instant, Sleep};

use crate::problem::Problem;

/// How much is still read of a body that is not needed, so that the client gets to read the answer:
/// to most clients, a connection that is closed in the middle of an upload is a reset.
const DRAIN_BYTES: u64 = 64 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// What turned out to be wrong with a body while it was read.
#[derive(Clone, Default)]
pub(crate) struct Outcome(Arc<AtomicU8>);

const TOO_LARGE: u8 = 1;
const TOO_SLOW: u8 = 2;

impl Outcome {
    /// The answer to a body that was cut short.
    pub(crate) fn problem(&self, limit: usize) -> Option<Problem> {
        match self.0.load(Ordering::Acquire) {
            TOO_LARGE => Some(too_large(limit)),
            TOO_SLOW => {
                let message = "the body did not come in time";
                Some(Problem::new(
                    StatusCode::REQUEST_TIMEOUT,
                    Reason::DeadlineExceeded,
                    message,
                ))
            }
            _ => None,
        }
    }
}

/// Bounds the request's body. `Err` when its announced length is over the limit already.
pub(crate) fn apply(request: Request, limit: usize, until: Instant) -> Result<(Request, Outcome), Problem> {
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    // Such a client waits for a 100 before it sends its body; reading the body would send it.
    let waits = request.headers().contains_key(EXPECT);
    if announced.is_some_and(|length| length > limit as u64) {
        if !waits {
            drain(request.into_body());
        }
        return Err(too_large(limit));
    }
    let outcome = Outcome::default();
    let limited = |body: Body| {
        if body.is_end_stream() {
            return body;
        }
        Body::new(Limited {
            body: Some(body),
            remaining: limit,
            outcome: outcome.clone(),
            waits,
            until,
            timer: None,
        })
    };
    Ok((request.map(limited), outcome))
}

fn too_large(limit: usize) -> Problem {
    let shown = if limit >= 1 << 20 && limit.is_multiple_of(1 << 20) {
        format!("{} MiB", limit >> 20)
    } else if limit >= 1 << 10 && limit.is_multiple_of(1 << 10) {
        format!("{} KiB", limit >> 10)
    } else {
        format!("{limit} B")
    };
    let message = format!("the body is larger than {shown}");
    let mut problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Reason::BodyTooLarge, message);
    problem.metadata.insert("limit".into(), shown);
    problem
}

/// Reads on for a while and drops what it reads.
fn drain(mut body: Body) {
    let drain = async move {
        let mut rest = DRAIN_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, |data| data.len() as u64);
            match rest.checked_sub(length) {
                Some(left) => rest = left,
                None => return,
            }
        }
    };
    // Dropped outside of a runtime, there is no connection either.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(tokio::time::timeout(DRAIN_TIME, drain));
    }
}

/// What a body that is too large or too slow ends in.
#[derive(Debug, thiserror::Error)]
#[error("the body was cut short")]
struct CutShort;

/// A body that ends in an error past its limit or its time.
struct Limited {
    /// `None` once it has ended.
    body: Option<Body>,
    remaining: usize,
    outcome: Outcome,
    waits: bool,
    until: Instant,
    /// Set once the body has to be waited for; most bodies are there at once.
    timer: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for Limited {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(context) else {
            // Reading the body has sent the client its 100.
            self.waits = false;
            let until = self.until;
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            ready!(timer.as_mut().poll(context));
            return self.cut(TOO_SLOW);
        };
        let Some(frame) = frame.transpose()? else {
            self.body = None;
            return Poll::Ready(None);
        };
        match self.remaining.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(remaining) => {
                self.remaining = remaining;
                Poll::Ready(Some(Ok(frame)))
            }
            None => self.cut(TOO_LARGE),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Limited {
    fn cut(&mut self, outcome: u8) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        self.outcome.0.store(outcome, Ordering::Release);
        if let Some(body) = self.body.take() {
            drain(body);
        }
        Poll::Ready(Some(Err(Box::new(CutShort))))
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        // An early answer, such as 401, leaves the body unread.
        if let Some(body) = self.body.take()
            && !self.waits
            && !body.is_end_stream()
        {
            drain(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(count: usize) -> Body {
        Body::from_stream(futures::stream::iter(
            (0..count).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"abcd"))),
        ))
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let body = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let soon = Instant::now() + Duration::from_millis(50);
        let (request, outcome) = apply(Request::post("/").body(body).unwrap(), 8, soon).unwrap();
        assert!(request.into_body().collect().await.is_err());
        assert_eq!(outcome.problem(8).unwrap().status.as_u16(), 408);
    }

    #[tokio::test]
    async fn an_announced_length_over_the_limit_is_refused_unread() {
        let request = Request::post("/").header(CONTENT_LENGTH, "9").body(chunks(3)).unwrap();
        let problem = apply(request, 8, later()).err().unwrap();
        assert_eq!(
            (problem.status.as_u16(), problem.reason.as_str()),
            (413, "BODY_TOO_LARGE")
        );
    }

    #[tokio::test]
    async fn a_streamed_body_is_cut_at_the_limit() {
        let (request, outcome) = apply(Request::post("/").body(chunks(2)).unwrap(), 8, later()).unwrap();
        assert_eq!(request.into_body().collect().await.unwrap().to_bytes().len(), 8);
        assert!(outcome.problem(8).is_none());

        let (request, outcome) = apply(Request::post("/").body(chunks(3)).unwrap(), 8, later()).unwrap();
        assert!(request.into_body().collect().await.is_err());
        assert_eq!(outcome.problem(8).unwrap().status, 413);
    }

    #[test]
    fn the_limit_is_shown_in_the_largest_whole_unit() {
        let shown = |limit| too_large(limit).metadata["limit"].clone();
        assert_eq!(
            [shown(2 << 20), shown(1536 << 10), shown(1000)],
            ["2 MiB", "1536 KiB", "1000 B"]
        );
    }
}
