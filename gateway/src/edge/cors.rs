//! Which pages of other origins may call (Fetch standard, "CORS protocol"), and which may use cookies.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use quartet_proto::options::Reason;

use crate::config::Config;
use crate::problem::Problem;

/// What pages may read of a reply beside the few headers that are always theirs.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "X-Request-ID, X-Process-Time, Server-Timing, X-ErrorHandleTime, Location, ETag, Retry-After, RateLimit, RateLimit-Policy, Deprecation, Sunset, Link",
);
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The rules for pages of other origins.
#[derive(Debug, Clone)]
pub(crate) struct Cors {
    any: bool,
    origins: Vec<String>,
    methods: HeaderValue,
    /// `None` for whatever the page asks for.
    headers: Option<HeaderValue>,
    credentials: bool,
}

impl Cors {
    /// The rules of the settings.
    pub(crate) fn of(config: &Config) -> Self {
        let list = |items: Vec<&str>| HeaderValue::try_from(items.join(", ")).unwrap_or(HeaderValue::from_static(""));
        let origins = config.cors_allow_origins.0.clone();
        let headers = &config.cors_allow_headers.0;
        Self {
            any: origins.iter().any(|origin| origin == "*"),
            origins,
            methods: list(config.cors_allow_methods.0.iter().map(Method::as_str).collect()),
            headers: (!headers.iter().any(|name| name == "*"))
                .then(|| list(headers.iter().map(String::as_str).collect())),
            credentials: config.cors_allow_credentials,
        }
    }

    /// The answer to a preflight request; `None` for any other request.
    pub(crate) fn preflight(&self, request: &Request) -> Option<Response> {
        let asked = request.headers();
        let is_preflight = request.method() == Method::OPTIONS
            && asked.contains_key(ORIGIN)
            && asked.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight || (self.origins.is_empty() && !self.any) {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.append(
            VARY,
            HeaderValue::from_static("access-control-request-method, access-control-request-headers"),
        );
        if self.allows(asked) {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
            if let Some(allowed) = self
                .headers
                .as_ref()
                .or_else(|| asked.get(ACCESS_CONTROL_REQUEST_HEADERS))
            {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed.clone());
            }
        }
        Some(response)
    }

    /// Adds to a reply what lets the page at `origin` read it.
    pub(crate) fn set(&self, asked: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if self.any {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            return;
        }
        if self.origins.is_empty() {
            return;
        }
        headers.append(VARY, HeaderValue::from_static("origin"));
        let Some(origin) = asked.filter(|origin| self.lists(origin)) else {
            return;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }

    /// Whether a request may use the cookie it carries, and be given one: it comes from this very host or from a listed origin, or from no page at all.
    ///
    /// Browsers send `Origin` with every request that is not a plain read; where it is missing, `Sec-Fetch-Site` tells (Fetch Metadata).
    /// A client that sends neither is no browser, and nobody can make it send a cookie against its will.
    pub(crate) fn check_cookie_use(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let allowed = match (headers.get(ORIGIN), headers.get("sec-fetch-site")) {
            (Some(origin), _) => self.lists(origin) || is_host(origin, headers.get(HOST)),
            (None, Some(site)) => ["same-origin", "same-site", "none"].iter().any(|known| site == known),
            (None, None) => true,
        };
        if allowed {
            return Ok(());
        }
        let message = "a page of another origin may neither use nor set cookies";
        Err(Problem::new(StatusCode::FORBIDDEN, Reason::OriginNotAllowed, message))
    }

    /// Whether the page that sent a request may read the reply; where there is no page, there is nobody to let.
    pub(crate) fn lets_read(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(ORIGIN) && self.allows(headers)
    }

    fn allows(&self, asked: &HeaderMap) -> bool {
        self.any || asked.get(ORIGIN).is_some_and(|origin| self.lists(origin))
    }

    /// Whether the origin is in the list by name.
    fn lists(&self, origin: &HeaderValue) -> bool {
        self.origins.iter().any(|listed| listed.as_bytes() == origin.as_bytes())
    }
}

/// Whether `origin` is the host that the request was sent to. The scheme is not compared: behind a proxy that ends TLS it is not known.
fn is_host(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let (Some(origin), Some(host)) = (origin.to_str().ok(), host.and_then(|host| host.to_str().ok())) else {
        return false;
    };
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let bare = |text: &str| text.strip_suffix(default_port).unwrap_or(text).to_ascii_lowercase();
    bare(authority) == bare(host)
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

    const APP: (&str, &str) = ("CORS_ALLOW_ORIGINS", "https://app.example.com");

    #[test]
    fn a_preflight_of_a_listed_origin_is_answered() {
        let ask = [
            ("origin", "https://app.example.com"),
            ("access-control-request-method", "PUT"),
        ];
        let response = cors(&[APP]).preflight(&request(Method::OPTIONS, &ask)).unwrap();
        assert_eq!(response.status(), 204);
        assert!(
            response.headers()["access-control-allow-methods"]
                .to_str()
                .unwrap()
                .contains("PUT")
        );

        let ask = [
            ("origin", "https://evil.example"),
            ("access-control-request-method", "PUT"),
        ];
        let response = cors(&[APP]).preflight(&request(Method::OPTIONS, &ask)).unwrap();
        assert!(!response.headers().contains_key("access-control-allow-methods"));
    }

    #[test]
    fn other_requests_are_no_preflight() {
        assert!(cors(&[APP]).preflight(&request(Method::OPTIONS, &[])).is_none());
        let ask = [
            ("origin", "https://app.example.com"),
            ("access-control-request-method", "PUT"),
        ];
        assert!(cors(&[APP]).preflight(&request(Method::GET, &ask)).is_none());
        assert!(cors(&[]).preflight(&request(Method::OPTIONS, &ask)).is_none());
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
        assert!(set(cors(&[]), "https://app.example.com").is_empty());
    }

    #[test]
    fn a_cookie_may_be_used_from_the_same_host_a_listed_origin_or_no_page() {
        let check = |settings: &[(&'static str, &'static str)], pairs: &[(&str, &str)]| {
            cors(settings)
                .check_cookie_use(request(Method::POST, pairs).headers())
                .is_ok()
        };
        assert!(check(&[], &[]));
        assert!(check(
            &[],
            &[("origin", "http://localhost:8000"), ("host", "localhost:8000")]
        ));
        assert!(check(
            &[],
            &[("origin", "https://api.example.com"), ("host", "api.example.com:443")]
        ));
        assert!(check(
            &[APP],
            &[("origin", "https://app.example.com"), ("host", "api.example.com")]
        ));
        assert!(check(&[], &[("sec-fetch-site", "same-site")]));

        assert!(!check(
            &[],
            &[("origin", "https://evil.example"), ("host", "api.example.com")]
        ));
        assert!(!check(&[], &[("origin", "null"), ("host", "null")]));
        assert!(!check(&[], &[("sec-fetch-site", "cross-site")]));
        // The origin tells more than the site.
        assert!(!check(
            &[],
            &[
                ("origin", "https://evil.example"),
                ("host", "a"),
                ("sec-fetch-site", "none")
            ]
        ));
        // Any origin may call, but none may borrow a cookie.
        assert!(!check(
            &[("CORS_ALLOW_ORIGINS", "*")],
            &[("origin", "https://evil.example"), ("host", "a")]
        ));
    }

    #[test]
    fn a_page_may_read_when_its_origin_is_listed_or_any_is() {
        let reads = |settings: &[(&'static str, &'static str)], pairs: &[(&str, &str)]| {
            cors(settings).lets_read(request(Method::POST, pairs).headers())
        };
        let (app, other) = (
            ("origin", "https://app.example.com"),
            ("origin", "https://evil.example"),
        );
        assert!(reads(&[APP], &[app]));
        assert!(reads(&[("CORS_ALLOW_ORIGINS", "*")], &[other]));
        assert!(!reads(&[APP], &[other]));
        assert!(!reads(&[], &[app]));
        assert!(!reads(
            &[("CORS_ALLOW_ORIGINS", "*")],
            &[("sec-fetch-site", "cross-site")]
        ));
    }
}
