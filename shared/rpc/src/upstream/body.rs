//! Bodies that can be sent again, or that hold something until their end.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tonic::Status;
use tonic::body::Body;

use super::details;

/// Bytes of a reply that are gathered before it is passed on. A reply that breaks off within them
/// can still be fetched again.
const MAX_GATHERED: usize = 256 * 1024;

/// All of a request's body. It is ready at once: the one message of a unary call.
pub(super) async fn whole(mut body: Body) -> Result<Bytes, Status> {
    let mut first = Bytes::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if first.is_empty() {
            first = data;
        } else {
            let mut joined = BytesMut::from(first);
            joined.extend_from_slice(&data);
            first = joined.freeze();
        }
    }
    Ok(first)
}

/// A request's body out of its bytes, which are shared and not copied.
pub(super) fn of(bytes: Bytes) -> Body {
    Body::new(Full::new(bytes).map_err(|never| match never {}))
}

/// The reply of a unary call.
pub(super) enum Gathered {
    /// All of it has come.
    Whole(Replay),
    /// More than is gathered: its beginning, and the rest to come.
    Large(Replay, Incoming),
    /// It has broken off.
    Broken(hyper::Error),
}

/// Gathers a reply to its end, or to the bound.
pub(super) async fn gather(mut body: Incoming) -> Gathered {
    let mut replay = Replay::default();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return Gathered::Broken(error),
        };
        match frame.into_data() {
            Ok(data) => {
                size += data.len();
                replay.push(data);
                if size > MAX_GATHERED {
                    return Gathered::Large(replay, body);
                }
            }
            Err(frame) => replay.trailers = frame.into_trailers().ok(),
        }
    }
    Gathered::Whole(replay)
}

/// A body that has come already.
#[derive(Default)]
pub(super) struct Replay {
    first: Option<Bytes>,
    more: VecDeque<Bytes>,
    pub(super) trailers: Option<HeaderMap>,
}

impl Replay {
    fn push(&mut self, data: Bytes) {
        match &self.first {
            None => self.first = Some(data),
            Some(_) => self.more.push_back(data),
        }
    }

    fn next(&mut self) -> Option<Frame<Bytes>> {
        let data = self.first.take().or_else(|| self.more.pop_front());
        match data {
            Some(data) => Some(Frame::data(data)),
            None => self.trailers.take().map(Frame::trailers),
        }
    }
}

impl http_body::Body for Replay {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.next().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.more.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// A reply that is still coming, and what is held until it has ended.
pub(super) struct Held<T> {
    upstream: Arc<str>,
    begun: Replay,
    rest: Incoming,
    held: Option<T>,
}

impl<T> Held<T> {
    pub(super) fn new(upstream: Arc<str>, begun: Replay, rest: Incoming, held: T) -> Self {
        Self {
            upstream,
            begun,
            rest,
            held: Some(held),
        }
    }
}

impl<T: Send + Unpin> http_body::Body for Held<T> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(frame) = self.begun.next() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let mut polled = Pin::new(&mut self.rest).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &mut polled
            && let Some(trailers) = frame.trailers_mut()
        {
            details::remove_unreadable(trailers, &self.upstream);
        }
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.held = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.begun.is_end_stream() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
