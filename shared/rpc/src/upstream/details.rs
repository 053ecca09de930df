//! Details of statuses, as backends send them. tonic panics on details that are not Base64, in
//! whatever task reads them, so none reaches it.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderName};

/// What tonic decodes details with.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Removes details that cannot be decoded from the head or the trailers of a reply of `upstream`:
/// its status counts without them.
pub(super) fn remove_unreadable(headers: &mut HeaderMap, upstream: &str) {
    let Some(details) = headers.get(&GRPC_STATUS_DETAILS) else {
        return;
    };
    if let Err(error) = BASE64.decode(details) {
        tracing::error!(upstream, %error, "a backend sent details of a status that cannot be decoded");
        headers.remove(&GRPC_STATUS_DETAILS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_stay_exactly_where_tonic_can_decode_them() {
        let left = |details: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", "3".parse().unwrap());
            headers.insert(GRPC_STATUS_DETAILS, http::HeaderValue::from_bytes(details).unwrap());
            remove_unreadable(&mut headers, "todos");
            // It would panic.
            let status = tonic::Status::from_header_map(&headers).unwrap();
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
            status.details().to_vec()
        };
        assert_eq!(left(b"aGVsbG8="), b"hello");
        assert_eq!(left(b"aGVsbG8"), b"hello");
        for wrong in [
            &b"*"[..],
            b"aGVsbG8==",
            b"a",
            b"aGVs bG8=",
            b"aGVs_-",
            b"\xff\xfe",
            b"aGVsbG8=,aGVsbG8=",
        ] {
            assert_eq!(left(wrong), b"", "{wrong:?}");
        }
    }
}
