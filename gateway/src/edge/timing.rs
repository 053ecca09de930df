//! How long a reply took, on the reply.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

const PROCESS_TIME: HeaderName = HeaderName::from_static("x-process-time");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Adds `X-Process-Time: 12.34ms` and `Server-Timing: app;dur=12.34`.
pub(crate) fn set(headers: &mut HeaderMap, elapsed: Duration) {
    let milliseconds = elapsed.as_secs_f64() * 1_000.0;
    for (name, text) in [
        (PROCESS_TIME, format!("{milliseconds:.2}ms")),
        (SERVER_TIMING, format!("app;dur={milliseconds:.2}")),
    ] {
        if let Ok(value) = HeaderValue::try_from(text) {
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
