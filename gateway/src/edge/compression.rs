//! Which replies are compressed.

use std::future::ready;

use axum::body::Body;
use axum::response::Response as Reply;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response};
use tower::{Layer, Service};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;

/// Smaller bodies gain nothing.
const MIN_SIZE: u64 = 1_024;

/// What a request says about the encodings that its client accepts.
pub(crate) struct Accepted(Vec<HeaderValue>);

impl Accepted {
    /// Of the headers of a request.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self(headers.get_all(ACCEPT_ENCODING).iter().cloned().collect())
    }

    /// The reply, with Brotli or gzip, whichever the client accepts, where that is worthwhile.
    pub(crate) async fn compress(self, reply: Reply) -> Reply {
        if !Worthwhile.should_compress(&reply) {
            return reply;
        }
        let mut request = Request::new(());
        for value in self.0 {
            request.headers_mut().append(ACCEPT_ENCODING, value);
        }
        let mut reply = Some(reply);
        let given = tower::service_fn(move |_: Request<()>| ready(reply.take().ok_or(())));
        let compressed = layer().layer(given).call(request).await;
        // There is one request, and one reply to it.
        compressed.map_or_else(|()| Reply::default(), |reply| reply.map(Body::new))
    }
}

fn layer() -> CompressionLayer<Worthwhile> {
    // The higher levels cost many times the CPU for a few per cent.
    CompressionLayer::new()
        .gzip(true)
        .br(true)
        .quality(CompressionLevel::Precise(4))
        .compress_when(Worthwhile)
}

/// Text of a known and sufficient size. A reply of unknown size is a stream whose items must not
/// wait in the buffer of the compression.
#[derive(Debug, Clone, Copy)]
struct Worthwhile;

impl Predicate for Worthwhile {
    fn should_compress<B: http_body::Body>(&self, response: &Response<B>) -> bool {
        let size = response.body().size_hint().exact();
        let kind = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let is_text =
            kind.starts_with("text/") || kind.contains("json") || kind.contains("javascript") || kind.contains("xml");
        size.is_some_and(|size| size >= MIN_SIZE) && is_text && !kind.starts_with("text/event-stream")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worthwhile(kind: &str, body: Body) -> bool {
        Worthwhile.should_compress(&Response::builder().header(CONTENT_TYPE, kind).body(body).unwrap())
    }

    #[test]
    fn only_whole_and_large_texts_are_compressed() {
        let large = || Body::from("a".repeat(1_024));
        assert!(worthwhile("application/json", large()));
        assert!(worthwhile("application/problem+json", large()));
        assert!(!worthwhile("application/json", Body::from("a".repeat(1_023))));
        assert!(!worthwhile("image/png", large()));
        assert!(!worthwhile("text/event-stream", large()));
        let stream = Body::from_stream(futures::stream::iter([Ok::<_, std::io::Error>("a".repeat(4_096))]));
        assert!(!worthwhile("application/x-ndjson", stream));
    }
}
