//! The `grpc-timeout` header (gRPC over HTTP/2, "Timeout"), which carries a deadline from hop to
//! hop.

use std::time::Duration;

use http::HeaderMap;
use quartet_kernel::Deadline;

/// The deadline that the `grpc-timeout` header sets, if there is a well-formed one.
pub(crate) fn deadline(headers: &HeaderMap) -> Option<Deadline> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.is_empty() || number.len() > 8 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    let timeout = match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    };
    Some(Deadline::after(timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", text.parse().unwrap());
        deadline(&headers).map(Deadline::remaining)
    }

    #[test]
    fn grpc_timeout_is_read_in_every_unit() {
        let units = [
            ("2H", 7_200),
            ("3M", 180),
            ("20S", 20),
            ("60000m", 60),
            ("60000000u", 60),
        ];
        for (text, seconds) in units {
            let remaining = parse(text).unwrap();
            assert!(
                remaining <= Duration::from_secs(seconds) && remaining > Duration::from_secs(seconds - 10),
                "{text}"
            );
        }
        assert_eq!(parse("1n"), Some(Duration::ZERO));
        for wrong in ["", "S", "5", "5x", "-1S", "123456789S", "1.5S"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
