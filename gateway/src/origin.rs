//! Which pages a browser may send requests from: the rule for cookies and the rule for replies.
//!
//! The edge writes the headers of CORS by it, and calls and WebSockets check cookies by it.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, StatusCode};
use quartet_config::Environment;
use quartet_proto::options::Reason;
use url::{Host, Url};

use crate::config::Config;
use crate::problem::Problem;

/// The origins of the settings.
#[derive(Debug, Clone)]
pub struct OriginPolicy {
    any: bool,
    listed: Vec<String>,
    /// Pages of this machine may call: those of a developer, on whatever port. Cookies are not for
    /// them.
    this_machine: bool,
}

impl OriginPolicy {
    /// The policy of `CORS_ALLOW_ORIGINS`.
    pub fn of(config: &Config) -> Self {
        let listed = config.cors_allow_origins.0.clone();
        Self {
            this_machine: listed.is_empty() && config.environment == Environment::Local,
            ..Self::listing(listed)
        }
    }

    /// Allows the origins in `listed`; `*` allows any.
    pub(crate) fn listing(listed: Vec<String>) -> Self {
        Self {
            any: listed.iter().any(|origin| origin == "*"),
            listed,
            this_machine: false,
        }
    }

    /// Checks that a request may use the cookie that it carries, and receive one: it comes from
    /// this very host, from a listed origin, or from no page at all.
    ///
    /// Browsers send `Origin` with every request that is not a plain read; where it is missing,
    /// `Sec-Fetch-Site` decides (Fetch Metadata). A client that sends neither is no browser, and
    /// nobody can make it send a cookie against its will.
    ///
    /// # Errors
    /// 403 `ORIGIN_NOT_ALLOWED`.
    pub fn check_cookie_use(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let allowed = match (headers.get(ORIGIN), headers.get("sec-fetch-site")) {
            (Some(origin), _) => self.lists(origin) || is_host(origin, headers.get(HOST)),
            (None, Some(site)) => ["same-origin", "same-site", "none"]
                .iter()
                .any(|allowed| site == allowed),
            (None, None) => true,
        };
        if allowed {
            return Ok(());
        }
        let message = "a page of another origin may neither use nor set cookies";
        Err(Problem::new(StatusCode::FORBIDDEN, Reason::OriginNotAllowed, message))
    }

    /// Checks that no page of a stranger has sent the request: for a WebSocket, which a browser opens
    /// to any host, whatever CORS allows.
    ///
    /// # Errors
    /// 403 `ORIGIN_NOT_ALLOWED`.
    pub fn check_page(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let allowed = headers
            .get(ORIGIN)
            .is_none_or(|origin| self.any || self.allows(origin) || is_host(origin, headers.get(HOST)));
        if allowed {
            return Ok(());
        }
        let message = "a page of another origin may not connect";
        Err(Problem::new(StatusCode::FORBIDDEN, Reason::OriginNotAllowed, message))
    }

    /// Whether a page sent the request and may read the reply.
    pub fn may_read(&self, headers: &HeaderMap) -> bool {
        headers
            .get(ORIGIN)
            .is_some_and(|origin| self.any || self.allows(origin))
    }

    /// Whether any origin is allowed.
    pub(crate) fn allows_any(&self) -> bool {
        self.any
    }

    /// Whether no origin is allowed.
    pub(crate) fn allows_none(&self) -> bool {
        self.listed.is_empty() && !self.this_machine
    }

    /// Whether pages of the origin may call.
    pub(crate) fn allows(&self, origin: &HeaderValue) -> bool {
        self.lists(origin) || (self.this_machine && is_this_machine(origin))
    }

    /// Whether the origin is in the list by name.
    pub(crate) fn lists(&self, origin: &HeaderValue) -> bool {
        self.listed.iter().any(|listed| listed.as_bytes() == origin.as_bytes())
    }
}

/// Whether `origin` is a page of this machine, whatever port it is served on.
fn is_this_machine(origin: &HeaderValue) -> bool {
    let url = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok());
    match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether `origin` is the host that the request was sent to. The scheme is not compared: behind a
/// proxy that ends TLS it cannot be seen.
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
    use super::*;

    const APP: &[&str] = &["https://app.example.com"];
    const ANY: &[&str] = &["*"];

    fn policy(listed: &[&str]) -> OriginPolicy {
        OriginPolicy::listing(listed.iter().map(|origin| (*origin).to_owned()).collect())
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_cookie_may_be_used_from_the_same_host_a_listed_origin_or_no_page() {
        let check =
            |listed: &[&str], pairs: &[(&'static str, &str)]| policy(listed).check_cookie_use(&headers(pairs)).is_ok();
        assert!(check(&[], &[]));
        let same_host = [("origin", "http://localhost:8000"), ("host", "localhost:8000")];
        assert!(check(&[], &same_host));
        let default_port = [("origin", "https://api.example.com"), ("host", "api.example.com:443")];
        assert!(check(&[], &default_port));
        let app = [("origin", "https://app.example.com"), ("host", "api.example.com")];
        assert!(check(APP, &app));
        assert!(check(&[], &[("sec-fetch-site", "same-site")]));

        let evil = [("origin", "https://evil.example"), ("host", "api.example.com")];
        assert!(!check(&[], &evil));
        assert!(!check(&[], &[("origin", "null"), ("host", "null")]));
        assert!(!check(&[], &[("sec-fetch-site", "cross-site")]));
        // The origin is more exact than the site.
        let both = [
            ("origin", "https://evil.example"),
            ("host", "a"),
            ("sec-fetch-site", "none"),
        ];
        assert!(!check(&[], &both));
        // Any origin may call, but none may use a cookie of another.
        assert!(!check(ANY, &evil));
    }

    #[test]
    fn a_page_may_read_when_its_origin_is_listed_or_any_is() {
        let reads = |listed: &[&str], pairs: &[(&'static str, &str)]| policy(listed).may_read(&headers(pairs));
        let (app, other) = (
            ("origin", "https://app.example.com"),
            ("origin", "https://evil.example"),
        );
        assert!(reads(APP, &[app]));
        assert!(reads(ANY, &[other]));
        assert!(!reads(APP, &[other]));
        assert!(!reads(&[], &[app]));
        assert!(!reads(ANY, &[("sec-fetch-site", "cross-site")]));
    }
}
