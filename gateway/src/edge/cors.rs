//! The headers that let pages of other origins call (Fetch standard, "CORS protocol").

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::config::Config;
use crate::origin::OriginPolicy;

/// What pages may read of a reply beside the few headers that are always theirs.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "X-Request-ID, X-Process-Time, Server-Timing, X-ErrorHandleTime, Location, ETag, Retry-After, RateLimit, \
     RateLimit-Policy, Deprecation, Sunset, Link, Idempotency-Replayed",
);
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// What pages of other origins may do.
#[derive(Debug, Clone)]
pub(crate) struct Cors {
    origins: OriginPolicy,
    methods: HeaderValue,
    /// `None` for whatever the page requests.
    headers: Option<HeaderValue>,
    credentials: bool,
}

impl Cors {
    /// The rules of the settings.
    pub(crate) fn of(config: &Config) -> Self {
        let list = |items: Vec<&str>| HeaderValue::try_from(items.join(", ")).unwrap_or(HeaderValue::from_static(""));
        let headers = &config.cors_allow_headers.0;
        Self {
            origins: OriginPolicy::of(config),
            methods: list(config.cors_allow_methods.0.iter().map(Method::as_str).collect()),
            headers: (!headers.iter().any(|name| name == "*"))
                .then(|| list(headers.iter().map(String::as_str).collect())),
            credentials: config.cors_allow_credentials,
        }
    }

    /// The reply to a preflight request; `None` for any other request.
    pub(crate) fn preflight(&self, request: &Request) -> Option<Response> {
        let requested = request.headers();
        let is_preflight = request.method() == Method::OPTIONS
            && requested.contains_key(ORIGIN)
            && requested.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight || self.origins.allows_none() {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.append(
            VARY,
            HeaderValue::from_static("access-control-request-method, access-control-request-headers"),
        );
        if self.origins.may_read(requested) {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
            let allowed = self.headers.as_ref();
            if let Some(allowed) = allowed.or_else(|| requested.get(ACCESS_CONTROL_REQUEST_HEADERS)) {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed.clone());
            }
        }
        Some(response)
    }

    /// Adds to a reply what lets the page at `origin` read it.
    pub(crate) fn set(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if self.origins.allows_any() {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            return;
        }
        if self.origins.allows_none() {
            return;
        }
        headers.append(VARY, HeaderValue::from_static("origin"));
        let Some(origin) = origin.filter(|origin| self.origins.allows(origin)) else {
            return;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        if self.credentials && self.origins.lists(origin) {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

#[cfg(test)]
mod tests {
    use quartet_config::Source;

    use super::*;

    fn cors(pairs: &[(&'static str, &'static str)]) -> Cors {
        Cors::of(&Config::read(&Source::of(pairs.iter().copied())).unwrap())
    }

    fn request(method: Method, pairs: &[(&str, &str)]) -> Request {
        let request = pairs
            .iter()
            .fold(Request::builder().method(method), |request, (name, value)| {
                request.header(*name, *value)
            });
        request.body(Body::empty()).unwrap()
    }

    const DEV: (&str, &str) = ("ENVIRONMENT", "dev");
    const APP: (&str, &str) = ("CORS_ALLOW_ORIGINS", "https://app.example.com");

    #[test]
    fn a_preflight_of_a_listed_origin_is_answered() {
        let preflight = [
            ("origin", "https://app.example.com"),
            ("access-control-request-method", "PUT"),
        ];
        let response = cors(&[APP]).preflight(&request(Method::OPTIONS, &preflight)).unwrap();
        assert_eq!(response.status(), 204);
        assert!(
            response.headers()["access-control-allow-methods"]
                .to_str()
                .unwrap()
                .contains("PUT")
        );

        let preflight = [
            ("origin", "https://evil.example"),
            ("access-control-request-method", "PUT"),
        ];
        let response = cors(&[APP]).preflight(&request(Method::OPTIONS, &preflight)).unwrap();
        assert!(!response.headers().contains_key("access-control-allow-methods"));
    }

    #[test]
    fn other_requests_are_no_preflight() {
        assert!(cors(&[APP]).preflight(&request(Method::OPTIONS, &[])).is_none());
        let preflight = [
            ("origin", "https://app.example.com"),
            ("access-control-request-method", "PUT"),
        ];
        assert!(cors(&[APP]).preflight(&request(Method::GET, &preflight)).is_none());
        assert!(cors(&[DEV]).preflight(&request(Method::OPTIONS, &preflight)).is_none());
    }

    #[test]
    fn a_reply_names_the_origin_that_may_read_it() {
        let set = |cors: Cors, origin: &'static str| {
            let mut headers = HeaderMap::new();
            cors.set(Some(&HeaderValue::from_static(origin)), &mut headers);
            headers
        };
        let headers = set(
            cors(&[APP, ("CORS_ALLOW_CREDENTIALS", "true")]),
            "https://app.example.com",
        );
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example.com");
        assert_eq!(
            (&headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], &headers[VARY]),
            (&"true".parse().unwrap(), &"origin".parse().unwrap())
        );

        let headers = set(cors(&[APP]), "https://evil.example");
        assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
        assert_eq!(headers[VARY], "origin");

        assert_eq!(
            set(cors(&[("CORS_ALLOW_ORIGINS", "*")]), "https://any.example")[ACCESS_CONTROL_ALLOW_ORIGIN],
            "*"
        );
        assert!(set(cors(&[DEV]), "https://app.example.com").is_empty());
    }

    #[test]
    fn on_a_developers_machine_its_own_pages_may_call_unless_origins_are_listed() {
        let allowed = |pairs: &[(&'static str, &'static str)], origin: &'static str| {
            let mut headers = HeaderMap::new();
            cors(pairs).set(Some(&HeaderValue::from_static(origin)), &mut headers);
            assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
            headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN)
        };
        for origin in [
            "http://localhost:3000",
            "http://127.0.0.1:5173",
            "http://[::1]:8080",
            "https://app.localhost",
        ] {
            assert!(allowed(&[], origin), "{origin}");
            assert!(!allowed(&[DEV], origin) && !allowed(&[APP], origin), "{origin}");
        }
        for origin in [
            "https://evil.example",
            "http://localhost.evil.example",
            "null",
            "file://",
        ] {
            assert!(!allowed(&[], origin), "{origin}");
        }
    }
}
