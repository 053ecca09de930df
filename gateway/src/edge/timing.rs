//! How long a reply took, on the reply.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

const PROCESS_TIME: HeaderName = HeaderName::from_static("x-process-time");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Adds `X-Process-Time: 12.34ms` and `Server-Timing: app;dur=12.34`.
pub(crate) fn set(headers: &mut HeaderMap, elapsed: Duration) {
    let hundredths = (elapsed.as_micros() + 5) / 10;
    let whole = u64::try_from(hundredths / 100).unwrap_or(u64::MAX);
    let rest = (hundredths % 100) as u8;
    let (mut digits, rest) = (itoa::Buffer::new(), [b'.', b'0' + rest / 10, b'0' + rest % 10]);
    let whole = digits.format(whole).as_bytes();
    for (name, value) in [
        (PROCESS_TIME, [whole, &rest, b"ms"].concat()),
        (SERVER_TIMING, [b"app;dur=", whole, &rest].concat()),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_milliseconds_with_two_decimals() {
        let mut headers = HeaderMap::new();
        set(&mut headers, Duration::from_micros(12_345));
        assert_eq!(headers["x-process-time"], "12.35ms");
        assert_eq!(headers["server-timing"], "app;dur=12.35");
    }
}
