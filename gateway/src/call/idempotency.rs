//! Repeats of requests with a key: the header `Idempotency-Key` goes to the service, and the header
//! `Idempotency-Replayed` marks a reply that was kept of the first request with the key.

use http::{HeaderMap, HeaderName, HeaderValue};
use quartet_rpc::idempotency::{KEY, REPLAYED};
use tonic::metadata::MetadataMap;

const KEY_HEADER: HeaderName = HeaderName::from_static(KEY);
const REPLAYED_HEADER: HeaderName = HeaderName::from_static(REPLAYED);

/// Passes the key on. More than one are more than one there as well, and refused.
pub(super) fn forward(from: &HeaderMap, to: &mut HeaderMap) {
    for key in from.get_all(&KEY_HEADER) {
        to.append(KEY_HEADER, key.clone());
    }
}

/// Whether the key stands under this name.
pub(super) fn is_key(name: &HeaderName) -> bool {
    *name == KEY_HEADER
}

/// Marks a reply that the service had kept.
pub(super) fn mark(metadata: &MetadataMap, headers: &mut HeaderMap) {
    if metadata.contains_key(REPLAYED) {
        headers.insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
    }
}
