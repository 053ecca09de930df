//! Settings of the gateway.

mod network;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;

use prost_reflect::DescriptorPool;
use quartet_config::value::{Bytes, List, Span};
use quartet_config::{Environment, Setting, Source};

pub use network::Network;

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
        /// Requests that take longer are logged as warnings.
        slow_request: Span = "SLOW_REQUEST" or "1s";
        /// Origins that browsers may call from, such as `https://app.example.com`, with commas; `*`
        /// for any; none by default.
        cors_allow_origins: List<String> = "CORS_ALLOW_ORIGINS" or "";
        /// Methods that pages of other origins may use.
        cors_allow_methods: List<http::Method> = "CORS_ALLOW_METHODS" or "GET,POST,PUT,PATCH,DELETE";
        /// Request headers that pages of other origins may send; `*` for any.
        cors_allow_headers: List<String> = "CORS_ALLOW_HEADERS" or "Authorization,Content-Type,Accept-Language,\
            X-Request-ID,X-Request-Timeout,If-Match,If-None-Match,Last-Event-ID";
        /// Whether pages of other origins may use cookies; needs origins by name.
        cors_allow_credentials: bool = "CORS_ALLOW_CREDENTIALS" or "false";
        /// Proxies whose `X-Forwarded-For` is trusted: addresses or networks, such as `10.0.0.0/8`,
        /// with commas; none by default.
        trusted_proxies: List<Network> = "TRUSTED_PROXIES" or "";
        /// Whether cookies are `Secure`; by default everywhere but in local.
        cookie_secure: Option<bool> = "COOKIE_SECURE";
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
        app_description: String = "APP_DESCRIPTION" or "Users, todos and tags behind one REST interface.";
        /// Version of the API's description; the program's own by default.
        app_version: Option<String> = "APP_VERSION";
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
    let doc =
        format!(" Where the {upstream} service is, such as `http://host:port`; for a gateway in a process of its own.")
            .leak();
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

/// An address such as `http://host:port`.
struct UpstreamAddress(String);

impl FromStr for UpstreamAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Option<http::Uri> = text.parse().ok();
        let valid = uri.is_some_and(|uri| {
            uri.scheme_str() == Some("http") && uri.host().is_some() && uri.port_u16().is_some() && uri.path() == "/"
        });
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err("expected an address such as `http://host:port`")
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
