//! The id that follows a request through logs, services and error bodies.

use http::{HeaderMap, HeaderName, HeaderValue};
use quartet_clock::Clock;

/// The header that carries it, both ways.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 128;

/// The request's id: the client's own if it is 1 to 128 visible ASCII characters, else a new
/// UUIDv7. Afterwards it stands in the request's headers, for the call to the service.
pub(crate) fn take(headers: &mut HeaderMap, clock: &Clock) -> String {
    let sent = headers
        .get(HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(|text| is_sane(text));
    let id = sent.map_or_else(|| clock.new_id().to_string(), str::to_owned);
    echo(headers, &id);
    id
}

/// The id that [`take`] has put into a request's headers.
pub(crate) fn of(headers: &HeaderMap) -> &str {
    headers
        .get(HEADER)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Puts the id into the headers of the request or the reply.
pub(crate) fn echo(headers: &mut HeaderMap, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(HEADER, value);
    }
}

fn is_sane(text: &str) -> bool {
    (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(sent: Option<&str>) -> (String, HeaderMap) {
        let mut headers = HeaderMap::new();
        headers.extend(sent.map(|text| (HEADER, HeaderValue::from_bytes(text.as_bytes()).unwrap())));
        (take(&mut headers, &Clock::system()), headers)
    }

    #[test]
    fn a_sane_id_of_the_client_is_kept() {
        let (id, headers) = id_of(Some("trace-7/a.b"));
        assert_eq!(id, "trace-7/a.b");
        assert_eq!(headers.get_all(HEADER).iter().count(), 1);
    }

    #[test]
    fn anything_else_is_replaced_by_a_new_one() {
        for sent in [
            None,
            Some(""),
            Some("a b"),
            Some("ключ"),
            Some("a".repeat(129).as_str()),
        ] {
            let (id, headers) = id_of(sent);
            assert_eq!(id.len(), 36, "{sent:?}");
            assert_eq!(headers[HEADER], id);
        }
    }
}
