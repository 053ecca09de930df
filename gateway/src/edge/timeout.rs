//! How long the client waits: `X-Request-Timeout`, which becomes the deadline of the call.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use quartet_proto::options::Reason;

use crate::problem::Problem;

const HEADER: &str = "x-request-timeout";

/// The time that the client sets, if it sets one.
pub(crate) fn requested(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(None);
    };
    let timeout = value.to_str().ok().and_then(parse).ok_or_else(|| {
        let rule =
            "X-Request-Timeout: expected a number of seconds above zero, or one with a unit, such as `2s` or `500ms`";
        let mut problem = Problem::bad_request("timeout", rule);
        problem
            .metadata
            .insert("header".to_owned(), "X-Request-Timeout".to_owned());
        problem
    })?;
    Ok(Some(timeout))
}

/// The answer when the time is up.
pub(crate) fn exceeded() -> Problem {
    let message = "the deadline passed before the work was done";
    Problem::new(StatusCode::GATEWAY_TIMEOUT, Reason::DeadlineExceeded, message)
}

fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (number, scale) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 0.001),
        (None, Some(number)) => (number, 1.0),
        (None, None) => (text, 1.0),
    };
    if !number.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let seconds = number.parse::<f64>().ok()? * scale;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|timeout| !timeout.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout(text: &str) -> Result<Duration, StatusCode> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, text.parse().unwrap());
        requested(&headers)
            .map(Option::unwrap)
            .map_err(|problem| problem.status)
    }

    #[test]
    fn seconds_and_units_are_read() {
        assert_eq!(timeout("2"), Ok(Duration::from_secs(2)));
        assert_eq!(timeout("1.5"), Ok(Duration::from_millis(1_500)));
        assert_eq!(timeout("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(timeout("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(requested(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for text in ["", "0", "0ms", "-1", "x", "5m", "NaN", "inf", "1e400", "s"] {
            assert_eq!(timeout(text), Err(StatusCode::BAD_REQUEST), "{text}");
        }
    }
}
