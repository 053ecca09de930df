//! Settings of the gateway.

mod cookies;
mod network;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;

use prost_reflect::DescriptorPool;
use quartet_config::value::{Bytes, List, Span};
use quartet_config::{Environment, Setting, Source};
use quartet_rpc::upstream::Addresses;

pub use cookies::{CookiePrefix, SameSite};
pub use network::Network;

use crate::call::CookieStyle;
use crate::call::Passed;

quartet_config::settings! {
    /// Settings of the gateway.
    pub struct Config {
        /// Where the process runs: local, dev, uat, uatbiz, sanity, staging or production. It
        /// decides who sees the docs pages (everyone; superusers in staging; nobody in production),
        /// and whether cookies and HSTS need HTTPS (not in local).
        environment: Environment = "ENVIRONMENT" or "local";
        /// Address of the REST interface.
        http_address: SocketAddr = "HTTP_ADDRESS" or "127.0.0.1:8000";
        /// Time a request may take when it sets none with `X-Request-Timeout`.
        request_timeout: Span = "REQUEST_TIMEOUT" or "10s";
        /// Longest time that `X-Request-Timeout` may set.
        request_timeout_max: Span = "REQUEST_TIMEOUT_MAX" or "60s";
        /// Largest request body.
        max_body_size: Bytes = "MAX_BODY_SIZE" or "2MiB";
        /// How long a client may use a reply of its own without asking again whether it has changed.
        /// For as long, it may not see its own writes.
        client_cache_max_age: Span = "CLIENT_CACHE_MAX_AGE" or "0s";
        /// Requests that take longer are logged as warnings.
        slow_request: Span = "SLOW_REQUEST" or "1s";
        /// Origins that browsers may call from, such as `https://app.example.com`, with commas; `*`
        /// for any. By default none, and in local the pages of this machine, such as
        /// `http://localhost:3000`.
        cors_allow_origins: List<String> = "CORS_ALLOW_ORIGINS" or "";
        /// Methods that pages of other origins may use.
        cors_allow_methods: List<http::Method> = "CORS_ALLOW_METHODS" or "GET,POST,PUT,PATCH,DELETE";
        /// Request headers that pages of other origins may send; `*` for any.
        cors_allow_headers: List<String> = "CORS_ALLOW_HEADERS" or "Authorization,Content-Type,Accept-Language,\
            X-Request-ID,X-Request-Timeout,If-Match,If-None-Match,Last-Event-ID,Idempotency-Key";
        /// Whether pages of other origins may use cookies; needs origins by name.
        cors_allow_credentials: bool = "CORS_ALLOW_CREDENTIALS" or "false";
        /// Proxies whose `X-Forwarded-For` is trusted: addresses or networks, such as `10.0.0.0/8`,
        /// with commas; none by default.
        trusted_proxies: List<Network> = "TRUSTED_PROXIES" or "";
        /// Request headers that services get under their own names, besides those that they get
        /// anyway, such as `X-Tenant`, with commas.
        pass_request_headers: List<String> = "PASS_REQUEST_HEADERS" or "";
        /// Metadata of services' replies that clients get as headers, where the gateway sets none of
        /// that name itself.
        pass_reply_metadata: List<String> = "PASS_REPLY_METADATA" or "ETag,Last-Modified,Link,Content-Language,\
            Content-Disposition";
        /// Whether cookies are `Secure`; by default everywhere but in local.
        cookie_secure: Option<bool> = "COOKIE_SECURE";
        /// What names of cookies begin with, so that a browser takes them from this host alone: `host`
        /// (`__Host-`, for all paths), `secure` (`__Secure-`), or `none`. The first two need `Secure`
        /// cookies. A change signs browsers out.
        cookie_prefix: CookiePrefix = "COOKIE_PREFIX" or "none";
        /// Whether browsers send cookies with requests that pages of other sites make: `lax`, `strict`, or
        /// `none`, which needs `Secure` cookies.
        cookie_same_site: SameSite = "COOKIE_SAME_SITE" or "lax";
        /// Streams that one user may have open at this gateway, WebSockets included.
        streams_per_user: usize = "STREAMS_PER_USER" or "20";
        /// Largest message that a client may send over a WebSocket.
        ws_max_message: Bytes = "WS_MAX_MESSAGE" or "32KiB";
        /// Messages that are queued for a WebSocket's client before their senders wait.
        ws_queue: NonZeroUsize = "WS_QUEUE" or "128";
        /// Topics and rooms that one WebSocket may subscribe to.
        ws_max_subscriptions: usize = "WS_MAX_SUBSCRIPTIONS" or "32";
        /// Messages a second that a WebSocket's client may send; in a burst, twice as many.
        ws_rate: NonZeroU32 = "WS_RATE" or "20";
        /// A WebSocket whose client sends nothing for this long, not even a pong, is closed.
        ws_idle_timeout: Span = "WS_IDLE_TIMEOUT" or "60s";
        /// A WebSocket whose client does not read a message within this time is closed.
        ws_send_timeout: Span = "WS_SEND_TIMEOUT" or "10s";
        /// Time within which a WebSocket's client that has connected without a token sends one.
        ws_sign_in_timeout: Span = "WS_SIGN_IN_TIMEOUT" or "5s";
        /// Time that the gateway keeps serving after a signal to stop, while `/readyz` already
        /// fails, so that load balancers stop routing to it.
        shutdown_delay: Span = "SHUTDOWN_DELAY" or "0s";
        /// Title of the API's description.
        app_name: String = "APP_NAME" or "Quartet";
        /// Text of the API's description, in Markdown.
        app_description: String = "APP_DESCRIPTION" or
            "Accounts, users, tiers, todos, tags, tasks, webhooks: one REST interface, with streams and a WebSocket.";
        /// Version of the API's description; the program's own by default.
        app_version: Option<String> = "APP_VERSION";
        /// Whether `/` and `/health` show the version to everybody; by default everywhere but in the
        /// environment `production`.
        show_version: Option<bool> = "SHOW_VERSION";
        /// Contact in the API's description.
        contact_name: Option<String> = "CONTACT_NAME";
        /// E-mail address of the contact.
        contact_email: Option<String> = "CONTACT_EMAIL";
        /// Licence in the API's description.
        license_name: String = "LICENSE_NAME" or "MIT";
    }
}

impl Config {
    /// The version that the API reports: `APP_VERSION`, else the program's.
    pub fn version(&self) -> &str {
        self.app_version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"))
    }

    /// The version where everybody may see it.
    pub fn public_version(&self) -> Option<&str> {
        let is_shown = self.show_version.unwrap_or(self.environment != Environment::Production);
        is_shown.then(|| self.version())
    }

    /// What cookies are like.
    pub fn cookies(&self) -> CookieStyle {
        CookieStyle {
            secure: self.secure_cookies(),
            prefix: self.cookie_prefix,
            same_site: self.cookie_same_site,
        }
    }

    /// Whether cookies are `Secure`.
    pub fn secure_cookies(&self) -> bool {
        self.cookie_secure.unwrap_or(self.environment != Environment::Local)
    }

    /// Checks what no single setting can show: settings that do not go together.
    pub fn check(&self) -> Result<(), quartet_config::Error> {
        let invalid = |name: &str, shown: String, rule: &str| quartet_config::Error::Invalid {
            name: name.into(),
            shown,
            origin: "the settings".into(),
            rule: rule.into(),
        };
        if self.cors_allow_credentials && self.cors_allow_origins.0.iter().any(|origin| origin == "*") {
            let rule = "expected origins by name, since CORS_ALLOW_CREDENTIALS is on";
            return Err(invalid("CORS_ALLOW_ORIGINS", "*".into(), rule));
        }
        if let Some(wrong) = self
            .cors_allow_origins
            .0
            .iter()
            .find(|origin| *origin != "*" && !is_origin(origin))
        {
            let rule = "expected origins such as `https://app.example.com`, without a path";
            return Err(invalid("CORS_ALLOW_ORIGINS", wrong.clone(), rule));
        }
        let headers = &self.cors_allow_headers.0;
        if let Some(wrong) = headers
            .iter()
            .find(|name| *name != "*" && name.parse::<http::HeaderName>().is_err())
        {
            return Err(invalid(
                "CORS_ALLOW_HEADERS",
                wrong.clone(),
                "expected names of headers",
            ));
        }
        if let Err(wrong) = Passed::of(&self.pass_request_headers.0, &[]) {
            let rule = "expected names of headers that no service trusts the gateway for";
            return Err(invalid("PASS_REQUEST_HEADERS", wrong.to_owned(), rule));
        }
        if let Err(wrong) = Passed::of(&[], &self.pass_reply_metadata.0) {
            let rule = "expected names of headers that are not of the connection";
            return Err(invalid("PASS_REPLY_METADATA", wrong.to_owned(), rule));
        }
        if self.request_timeout > self.request_timeout_max {
            let shown = format!("{:?}", self.request_timeout.0);
            return Err(invalid(
                "REQUEST_TIMEOUT",
                shown,
                "expected at most REQUEST_TIMEOUT_MAX",
            ));
        }
        Ok(())
    }
}

/// Whether `text` is an origin as browsers send it (RFC 6454 §6.2).
fn is_origin(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| url.origin().is_tuple() && url.origin().ascii_serialization() == text)
}

/// The addresses of the upstreams as settings: one per upstream that the services in `pool` need.
/// The service `quartet.todos.v1.TodoService` is at the upstream `todos`, whose address is the
/// setting `TODOS_URL`.
pub fn upstream_settings(pool: &DescriptorPool) -> Vec<(String, Setting)> {
    let names: BTreeSet<String> = crate::backends::services(pool)
        .map(|service| crate::backends::upstream_name(&service).to_owned())
        .collect();
    names
        .into_iter()
        .map(|upstream| (upstream.clone(), upstream_setting(&upstream)))
        .collect()
}

fn upstream_setting(upstream: &str) -> Setting {
    let name = format!("{}_URL", upstream.to_ascii_uppercase());
    // Some upstreams are needed in every process, whatever it serves.
    if let Some(shared) = quartet_rpc::Config::SETTINGS
        .iter()
        .find(|setting| setting.name == name)
    {
        return *shared;
    }
    // Settings are made once and live as long as the process.
    let doc = format!(" Where the {upstream} service is, like AUTH_URL; for a gateway in a process of its own.").leak();
    Setting {
        name: name.leak(),
        default: None,
        doc: vec![&*doc].leak(),
        secret: false,
    }
}

/// The addresses of the upstreams that the services in `pool` need, by name.
pub fn upstream_addresses(
    source: &Source,
    pool: &DescriptorPool,
) -> Result<BTreeMap<String, String>, quartet_config::Error> {
    let read = |(upstream, setting): (String, Setting)| match source.read::<UpstreamAddress>(&setting)? {
        Some(address) => Ok((upstream, address.0)),
        None => {
            let expected = format!("the address of the {upstream} service, such as `http://host:port`");
            Err(quartet_config::Error::Missing {
                name: setting.name.to_owned(),
                expected,
            })
        }
    };
    upstream_settings(pool).into_iter().map(read).collect()
}

/// What an upstream accepts as its address.
struct UpstreamAddress(String);

impl FromStr for UpstreamAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<Addresses>() {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => {
                Err("expected an address such as `http://host:port` or `https://host:port`, or several with commas")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        Config::read(&Source::default()).unwrap().check().unwrap();
    }

    #[test]
    fn any_origin_with_credentials_is_refused() {
        let source = Source::of([("CORS_ALLOW_ORIGINS", "*"), ("CORS_ALLOW_CREDENTIALS", "true")]);
        let error = Config::read(&source).unwrap().check().unwrap_err().to_string();
        assert!(error.starts_with("CORS_ALLOW_ORIGINS: "), "{error}");
    }

    #[test]
    fn an_origin_with_a_path_is_refused() {
        for (text, valid) in [
            ("https://app.example.com", true),
            ("http://localhost:3000", true),
            ("https://a.example/", false),
            ("a", false),
        ] {
            let config = Config::read(&Source::of([("CORS_ALLOW_ORIGINS", text)])).unwrap();
            assert_eq!(config.check().is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn what_services_trust_the_gateway_for_cannot_be_passed() {
        for (name, value) in [
            ("PASS_REQUEST_HEADERS", "X-Tenant,X-Gateway-Token"),
            ("PASS_REPLY_METADATA", "grpc-status"),
        ] {
            let error = Config::read(&Source::of([(name, value)]))
                .unwrap()
                .check()
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }

    #[test]
    fn cookies_are_secure_everywhere_but_in_local() {
        let secure = |pairs: &[(&'static str, &'static str)]| {
            Config::read(&Source::of(pairs.iter().copied()))
                .unwrap()
                .secure_cookies()
        };
        assert!(!secure(&[]));
        assert!(secure(&[("ENVIRONMENT", "production")]));
        assert!(!secure(&[("ENVIRONMENT", "production"), ("COOKIE_SECURE", "false")]));
    }

    #[test]
    fn every_package_with_routes_names_its_upstream() {
        let pool = quartet_proto::descriptors::pool();
        let all = [
            ("AUTH_URL", "http://a:1"),
            ("USERS_URL", "http://u:2"),
            ("JOBS_URL", "http://j:4"),
            ("TODOS_URL", "http://t:3"),
        ];
        let addresses = upstream_addresses(&Source::of(all), pool).unwrap();
        assert_eq!(addresses["todos"], "http://t:3");
        let two = [all[0], all[1], all[2], ("TODOS_URL", "http://t:3,https://t:4")];
        let addresses = upstream_addresses(&Source::of(two), pool).unwrap();
        assert_eq!(addresses["todos"], "http://t:3,https://t:4");

        let error = upstream_addresses(&Source::of([all[0], all[1], all[2]]), pool)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("TODOS_URL: not set; expected the address of the todos service"),
            "{error}"
        );
        let wrong = [all[0], all[1], all[2], ("TODOS_URL", "localhost:3")];
        let error = upstream_addresses(&Source::of(wrong), pool).unwrap_err().to_string();
        assert!(
            error.starts_with("TODOS_URL: expected an address") && error.contains("localhost:3"),
            "{error}"
        );
    }
}
