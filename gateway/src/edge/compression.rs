//! Which replies are compressed.

use http::Response;
use http::header::CONTENT_TYPE;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;

/// Smaller bodies gain nothing.
const MIN_SIZE: u64 = 1_024;

/// Compresses replies with Brotli or gzip, whichever the client accepts.
pub(crate) fn layer() -> CompressionLayer<Worthwhile> {
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
pub(crate) struct Worthwhile;

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
    use axum::body::Body;

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
