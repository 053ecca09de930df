//! Files that are part of the program, packed as they are sent.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use quartet_proto::options::Reason;

use crate::problem::Problem;

/// For a file whose name has its version.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// For what may change with the next version of the program.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// A file.
#[derive(Clone)]
pub(super) struct Asset {
    kind: &'static str,
    bytes: Bytes,
    packed: bool,
    caching: HeaderValue,
    tag: HeaderValue,
}

impl Asset {
    /// A file that clients revalidate each time.
    pub(super) fn new(kind: &'static str, bytes: Bytes) -> Self {
        Self {
            tag: tag(&bytes),
            kind,
            bytes,
            packed: false,
            caching: REVALIDATE,
        }
    }

    /// A vendored file, packed with gzip, whose name has its version.
    fn packed(kind: &'static str, bytes: &'static [u8]) -> Self {
        Self {
            packed: true,
            ..Self::fixed(kind, bytes)
        }
    }

    /// A file that never changes under its name.
    fn fixed(kind: &'static str, bytes: &'static [u8]) -> Self {
        Self {
            caching: IMMUTABLE,
            ..Self::new(kind, Bytes::from_static(bytes))
        }
    }

    /// The reply: 304 to a client that has it, unpacked for one that cannot unpack.
    pub(super) fn respond(&self, headers: &HeaderMap) -> Response {
        let mut response = Response::new(Body::empty());
        let reply = response.headers_mut();
        reply.insert(ETAG, self.tag.clone());
        reply.insert(CACHE_CONTROL, self.caching.clone());
        if self.packed {
            reply.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        if is_known(headers, &self.tag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        reply.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        let bytes = if self.packed && takes_gzip(headers) {
            reply.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            self.bytes.clone()
        } else if self.packed {
            unpack(&self.bytes)
        } else {
            self.bytes.clone()
        };
        *response.body_mut() = Body::from(bytes);
        response
    }
}

/// Sends the file of that name.
pub(super) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    static FILES: LazyLock<[(&str, Asset); 6]> = LazyLock::new(|| {
        [
            (
                super::pages::SWAGGER_JS,
                Asset::packed(SCRIPT, include_bytes!("../../assets/swagger-ui-bundle.js.gz")),
            ),
            (
                super::pages::SWAGGER_CSS,
                Asset::packed(STYLE, include_bytes!("../../assets/swagger-ui.css.gz")),
            ),
            (
                super::pages::REDOC_JS,
                Asset::packed(SCRIPT, include_bytes!("../../assets/redoc.standalone.js.gz")),
            ),
            (
                super::pages::FAVICON,
                Asset::fixed("image/png", include_bytes!("../../assets/favicon.png")),
            ),
            (
                super::pages::SWAGGER_START,
                Asset::new(
                    SCRIPT,
                    Bytes::from_static(include_bytes!("../../assets/swagger-start.js")),
                ),
            ),
            (
                super::pages::REDOC_START,
                Asset::new(
                    SCRIPT,
                    Bytes::from_static(include_bytes!("../../assets/redoc-start.js")),
                ),
            ),
        ]
    });
    match FILES.iter().find(|(known, _)| *known == name) {
        Some((_, asset)) => asset.respond(&headers),
        None => Problem::new(StatusCode::NOT_FOUND, Reason::RouteNotFound, "there is no such file").into_response(),
    }
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// A strong tag: equal bytes, equal tag. The hash only has to differ between versions of one file.
fn tag(bytes: &[u8]) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    HeaderValue::try_from(format!("\"{:016x}\"", hasher.finish())).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether the client has the version of this tag (RFC 9110 §13.1.2). Compression on the way may
/// have weakened the tag.
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let sent = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    sent.flat_map(|line| line.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| tag == known)
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|item| {
        let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
        let refused = weight
            .trim()
            .strip_prefix("q=")
            .is_some_and(|weight| weight.parse::<f32>() == Ok(0.0));
        coding.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

fn unpack(bytes: &[u8]) -> Bytes {
    let mut plain = Vec::with_capacity(bytes.len() * 4);
    // The file is part of the program, and a test unpacks it.
    let _ = flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain);
    plain.into()
}
