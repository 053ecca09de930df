//! Entity tags (RFC 9110 §8.8.3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};
use xxhash_rust::xxh3::xxh3_128;

/// The tag of a body: equal bytes have equal tags.
pub(super) fn of(body: &[u8]) -> HeaderValue {
    let digest = URL_SAFE_NO_PAD.encode(xxh3_128(body).to_be_bytes());
    HeaderValue::try_from(format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether `If-None-Match` has the tag, by weak comparison (RFC 9110 §13.1.2): a proxy that
/// compresses makes a tag weak.
pub(super) fn matches(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let tags = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim);
    let strong = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes();
    tags.into_iter().any(|tag| tag == "*" || strong(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_any_list_weak_or_strong() {
        let etag = of(b"{}");
        assert_eq!(etag, of(b"{}"));
        assert_ne!(etag, of(b"[]"));
        let text = etag.to_str().unwrap();
        let has = |value: &str| {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::try_from(value).unwrap())]);
            matches(&headers, &etag)
        };
        assert!(has(text) && has(&format!("\"x\", W/{text}")) && has("*"));
        assert!(!has("\"x\"") && !has("") && !has(text.trim_matches('"')));
    }
}
