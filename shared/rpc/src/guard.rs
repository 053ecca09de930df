//! The end of a stream whose caller is no longer welcome: the access layer checks a caller once,
//! and a stream goes on for hours.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use crate::Failure;

/// The body of a streamed reply, which ends with a failure as soon as there is one.
pub(crate) struct GuardedBody {
    /// `None` once the stream has ended.
    inner: Option<Body>,
    failure: BoxFuture<'static, Failure>,
}

impl GuardedBody {
    /// Passes `inner` on until `failure` resolves.
    pub(crate) fn around(inner: Body, failure: impl Future<Output = Failure> + Send + 'static) -> Body {
        Body::new(Self {
            inner: Some(inner),
            failure: Box::pin(failure),
        })
    }
}

impl http_body::Body for GuardedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        if http_body::Body::is_end_stream(inner) {
            return Pin::new(inner).poll_frame(context);
        }
        // The caller's standing comes first: not one message more goes out after it has fallen.
        if let Poll::Ready(failure) = self.failure.as_mut().poll(context) {
            // The service's stream is dropped here and now, so that its work ends.
            self.inner = None;
            return Poll::Ready(Some(trailers(failure)));
        }
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// A failure as the last frame of a gRPC stream.
fn trailers(failure: Failure) -> Result<Frame<Bytes>, Status> {
    let mut trailers = HeaderMap::new();
    Status::from(failure).add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::{BodyExt, Full};
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_stream_ends_with_the_failure_and_drops_its_source() {
        struct Endless(#[expect(dead_code, reason = "its drop is what is seen")] oneshot::Sender<()>);
        impl http_body::Body for Endless {
            type Data = Bytes;
            type Error = Status;
            fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
                Poll::Pending
            }
        }
        let (alive, gone) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let mut body = GuardedBody::around(Body::new(Endless(alive)), async { ended.await.unwrap() });
        let frame = tokio::spawn(async move {
            let frame = body.frame().await;
            (frame, body.is_end_stream())
        });
        end.send(Failure::unavailable("auth")).unwrap();
        let (frame, is_end) = frame.await.unwrap();
        let trailers = frame.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(trailers["grpc-status"], "14");
        assert!(is_end);
        assert!(gone.await.is_err());
    }

    #[tokio::test]
    async fn a_stream_that_ends_by_itself_is_passed_on_whole() {
        let body = Body::new(Full::new(Bytes::from_static(b"all")).map_err(|never| match never {}));
        let guarded = GuardedBody::around(body, std::future::pending());
        assert_eq!(guarded.collect().await.unwrap().to_bytes(), "all");
    }
}
