//! Whether the links in mails lead to the gateway.

use http::HeaderMap;
use http::header::HOST;
use url::{Host, Url};

/// What links in mails begin with: `PUBLIC_URL`.
#[derive(Debug, Clone)]
pub(crate) struct PublicUrl {
    text: String,
    url: Option<Url>,
}

impl PublicUrl {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.trim_end_matches('/').to_owned(),
            url: Url::parse(text).ok(),
        }
    }

    /// The setting, unless it is empty.
    pub(crate) fn text(&self) -> Option<&str> {
        (!self.text.is_empty()).then_some(self.text.as_str())
    }

    /// Whether a link in a mail may have led to this request: it was sent to the host of the setting,
    /// or the setting names this machine, which everybody reaches by another name. Where another
    /// program has the pages, the gateway has none under its own host.
    pub(crate) fn leads_here(&self, headers: &HeaderMap) -> bool {
        let Some(host) = self.url.as_ref().and_then(Url::host) else {
            return true;
        };
        is_this_machine(&host) || self.is_host_of(headers)
    }

    /// The address under which the sender of a request reaches the gateway.
    pub(crate) fn base(&self, headers: &HeaderMap) -> String {
        let is_local = self
            .url
            .as_ref()
            .and_then(Url::host)
            .is_none_or(|host| is_this_machine(&host));
        match headers.get(HOST).and_then(|host| host.to_str().ok()) {
            // Without a proxy, whose port may be another one.
            Some(host) if is_local || !self.is_host_of(headers) => format!("http://{host}"),
            _ => self.text.clone(),
        }
    }

    /// The port is left out: proxies do so as well.
    fn is_host_of(&self, headers: &HeaderMap) -> bool {
        let sent_to = headers.get(HOST).and_then(|host| host.to_str().ok());
        let sent_to = sent_to.and_then(|host| Url::parse(&format!("http://{host}")).ok());
        let wanted = self.url.as_ref().and_then(Url::host_str);
        wanted.is_some() && sent_to.as_ref().and_then(Url::host_str) == wanted
    }
}

fn is_this_machine(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads_here(setting: &str, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        PublicUrl::new(setting).leads_here(&headers)
    }

    #[test]
    fn links_lead_to_the_host_of_the_setting_and_on_a_developers_machine_to_any() {
        assert!(leads_here("http://localhost:8000", "localhost:8000"));
        assert!(leads_here("http://localhost:8000", "192.168.1.2:8000"));
        assert!(leads_here("https://api.example.com/v1", "API.example.com"));
        assert!(leads_here("https://api.example.com", "api.example.com:443"));
        assert!(!leads_here("https://app.example.com", "api.example.com"));
        assert!(!leads_here("https://app.example.com", "not a host"));
    }

    #[test]
    fn the_base_is_the_setting_behind_a_proxy_and_what_was_sent_to_elsewhere() {
        let base = |setting: &str, host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            PublicUrl::new(setting).base(&headers)
        };
        assert_eq!(
            base("https://api.example.com/", "api.example.com:8080"),
            "https://api.example.com"
        );
        assert_eq!(
            base("https://app.example.com", "api.example.com"),
            "http://api.example.com"
        );
        // Another port than that of the setting is where the reader is.
        assert_eq!(base("http://localhost:8000", "localhost:8123"), "http://localhost:8123");
        assert_eq!(
            base("http://localhost:8000", "192.168.1.2:8000"),
            "http://192.168.1.2:8000"
        );
    }
}
