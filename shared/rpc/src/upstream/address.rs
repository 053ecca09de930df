//! Where a backend is: one address, or several with commas.

use std::fmt;
use std::str::FromStr;

/// The addresses of a backend, such as `http://host:port` or `https://a:443,https://b:443`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses(pub(super) Vec<Address>);

/// One address: `http://host:port` or `https://host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) tls: bool,
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

/// An address that is not `http://host:port`.
#[derive(Debug, thiserror::Error)]
#[error("expected an address such as `http://host:port` or `https://host:port`, or several with commas, got `{0}`")]
pub struct InvalidAddress(String);

impl FromStr for Addresses {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let mut addresses = Vec::new();
        for part in text.split(',') {
            let address = parse(part.trim()).ok_or_else(|| InvalidAddress(text.to_owned()))?;
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(Self(addresses))
    }
}

impl Addresses {
    /// Whether a connection to any of them is encrypted.
    pub(super) fn any_tls(&self) -> bool {
        self.0.iter().any(|address| address.tls)
    }
}

impl Address {
    /// The authority of a request's URI.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

fn parse(text: &str) -> Option<Address> {
    let uri: http::Uri = text.parse().ok()?;
    let tls = match uri.scheme_str()? {
        "http" => false,
        "https" => true,
        _ => return None,
    };
    if uri.path() != "/" || uri.query().is_some() || uri.authority()?.as_str().contains('@') {
        return None;
    }
    Some(Address {
        tls,
        host: uri.host()?.trim_matches(['[', ']']).to_owned(),
        port: uri.port_u16()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_or_several_with_commas() {
        let shown = |text: &str| {
            let parsed: Result<Addresses, _> = text.parse();
            parsed.map(|addresses| addresses.0.iter().map(Address::to_string).collect::<Vec<_>>())
        };
        assert_eq!(shown("http://todos:50053").unwrap(), ["http://todos:50053"]);
        let two = shown("http://127.0.0.1:1, https://[::1]:2,http://127.0.0.1:1").unwrap();
        assert_eq!(two, ["http://127.0.0.1:1", "https://[::1]:2"]);
        for wrong in [
            "",
            "localhost:1",
            "ftp://a:1",
            "http://a",
            "http://a:1/path",
            "http://a:1,",
            "http://u@a:1",
        ] {
            assert!(shown(wrong).is_err(), "{wrong}");
        }
    }
}
