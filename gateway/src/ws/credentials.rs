//! Where a handshake can carry an access token.
//!
//! A program sends the `Authorization` header. A page cannot set headers on a WebSocket, but it can
//! name subprotocols: `quartet.v1` and `bearer.<token>`. Or it uses a cookie, which a browser sends
//! whichever page connects, so that the origin has to be checked; or it connects with nothing and
//! sends the token in its first frame. A token in the query would end up in logs, and is not read.

use http::{HeaderMap, Uri, header};
use quartet_rpc::access::bearer;

/// The cookie that may carry an access token, set by a page or its server for the path of the
/// socket.
pub(crate) const COOKIE: &str = "access_token";
/// Begins the subprotocol that carries an access token. It is never selected, so that the token
/// does not come back.
pub(crate) const PROTOCOL_PREFIX: &str = "bearer.";

/// How a token came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenSource {
    Header,
    Protocol,
    Cookie,
}

/// A token and how it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) token: String,
    pub(super) source: TokenSource,
}

impl Credentials {
    /// The token of the handshake; the most deliberate one, if there are several.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let found = |token: &str, source| Self {
            token: token.to_owned(),
            source,
        };
        if let Some(token) = bearer(headers) {
            return Some(found(token, TokenSource::Header));
        }
        let mut protocols = items(headers, header::SEC_WEBSOCKET_PROTOCOL, ',');
        if let Some(token) = protocols.find_map(|item| item.strip_prefix(PROTOCOL_PREFIX)) {
            return Some(found(token, TokenSource::Protocol));
        }
        let mut cookies = items(headers, header::COOKIE, ';').filter_map(|pair| pair.split_once('='));
        let (_, token) = cookies.find(|(name, token)| *name == COOKIE && !token.is_empty())?;
        Some(found(token, TokenSource::Cookie))
    }
}

/// Whether the query has what looks like a token, as other interfaces take it.
pub(super) fn is_in_query(uri: &Uri) -> bool {
    let names = ["token", "access_token", "jwt"];
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .any(|(name, token)| names.contains(&name) && !token.is_empty())
}

fn items(headers: &HeaderMap, name: http::HeaderName, between: char) -> impl Iterator<Item = &str> {
    let values = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(move |value| value.split(between)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &str)]) -> Option<(String, TokenSource)> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        Credentials::of(&headers).map(|found| (found.token, found.source))
    }

    #[test]
    fn a_token_is_found_in_the_header_a_protocol_or_the_cookie_in_that_order() {
        let header = ("authorization", "Bearer h.h.h");
        let protocol = ("sec-websocket-protocol", "quartet.v1, bearer.p.p.p");
        let cookie = ("cookie", "theme=dark; access_token=c.c.c");
        assert_eq!(
            of(&[cookie, protocol, header]),
            Some(("h.h.h".into(), TokenSource::Header))
        );
        assert_eq!(of(&[cookie, protocol]), Some(("p.p.p".into(), TokenSource::Protocol)));
        assert_eq!(of(&[cookie]), Some(("c.c.c".into(), TokenSource::Cookie)));
        assert_eq!(of(&[("sec-websocket-protocol", "quartet.v1")]), None);
        assert_eq!(of(&[("cookie", "access_token=; refresh_token=r")]), None);
    }
}
