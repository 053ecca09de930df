//! The host that a request is for (RFC 9112 §3.2).

use axum::extract::Request;
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Version};

use crate::problem::Problem;

/// Checks that a request names its host once, before [`name`] does so.
///
/// # Errors
/// 400 `BAD_REQUEST` for one of HTTP/1.1 without `Host`, and for any with two or with one that is no
/// host.
pub(crate) fn check(request: &Request) -> Result<(), Problem> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let refused = |message: &str| Err(Problem::bad_request("host", message));
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() == Version::HTTP_11 => refused("the request has no `Host`"),
        (_, Some(_)) => refused("the request has more than one `Host`"),
        (Some(host), None) if !is_host(host) => refused("the `Host` of the request is no host"),
        _ => Ok(()),
    }
}

/// HTTP/2 names the host in the URI alone; the rest of the program reads it from `Host`.
pub(crate) fn name(request: &mut Request) {
    let authority = request
        .uri()
        .authority()
        .and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(authority) = authority {
        request.headers_mut().entry(HOST).or_insert(authority);
    }
}

/// An empty one is a host: that of a target without any.
fn is_host(host: &HeaderValue) -> bool {
    host.is_empty() || Authority::try_from(host.as_bytes()).is_ok_and(|host| !host.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn a_request_names_its_host_once() {
        for (version, hosts, is_taken) in [
            (Version::HTTP_11, &["a.example"][..], true),
            (Version::HTTP_11, &["[::1]:8000"], true),
            (Version::HTTP_11, &[""], true),
            (Version::HTTP_11, &[], false),
            (Version::HTTP_11, &["a.example", "a.example"], false),
            (Version::HTTP_11, &["a b"], false),
            (Version::HTTP_11, &["user@a.example"], false),
            (Version::HTTP_11, &["a.example/x"], false),
            (Version::HTTP_10, &[], true),
            (Version::HTTP_2, &[], true),
            (Version::HTTP_2, &["a", "b"], false),
        ] {
            let request = hosts
                .iter()
                .fold(Request::builder(), |request, host| request.header(HOST, *host));
            let request = request.version(version).body(Body::empty()).unwrap();
            assert_eq!(check(&request).is_ok(), is_taken, "{version:?} {hosts:?}");
        }
    }
}
