//! Who is at the other end: the peer, or the address that a trusted proxy vouches for.

use std::net::IpAddr;
use std::str::FromStr;

use http::HeaderMap;

/// An address or a network in CIDR notation (RFC 4632), as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `address` lies in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                same_prefix(net.to_bits().into(), ip.to_bits().into(), 32, self.prefix)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => same_prefix(net.to_bits(), ip.to_bits(), 128, self.prefix),
            _ => false,
        }
    }
}

fn same_prefix(a: u128, b: u128, width: u8, prefix: u8) -> bool {
    prefix == 0 || (a ^ b) >> (width - prefix) == 0
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const RULE: &str = "expected addresses or networks, as `10.0.0.0/8`";
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| RULE)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(width), str::parse).map_err(|_| RULE)?;
        if prefix > width {
            return Err(RULE.into());
        }
        Ok(Self {
            address: address.to_canonical(),
            prefix,
        })
    }
}

/// The client's address: the nearest one in `X-Forwarded-For`, counted from the peer, that is no trusted proxy. What stands left of it
/// was written by the client and proves nothing.
pub(crate) fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let mut address = peer.to_canonical();
    let is_proxy = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let lines: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let mut hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
    while is_proxy(address) {
        match hops.next().map(|hop| parse_hop(hop.trim())) {
            Some(Some(hop)) => address = hop,
            // The list ends, or its next entry is no address: the last proxy is all that is known.
            Some(None) | None => break,
        }
    }
    address
}

/// Whether a peer that is no trusted proxy claims to speak for somebody else: a client that tries, or a proxy that the settings forgot.
pub(crate) fn is_unheard(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> bool {
    let peer = peer.to_canonical();
    headers.contains_key("x-forwarded-for") && !trusted.iter().any(|network| network.contains(peer))
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let bare = text.parse().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    bare.or_else(with_port)
        .or_else(bracketed)
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_stranger_cannot_name_its_own_address() {
        assert_eq!(client("203.0.113.9", &["1.2.3.4"], &[]), "203.0.113.9");
        assert_eq!(
            client("10.0.0.1", &["1.2.3.4, 203.0.113.9"], &["10.0.0.0/8"]),
            "203.0.113.9"
        );
    }

    #[test]
    fn trusted_proxies_are_skipped_from_the_right() {
        assert_eq!(
            client("10.0.0.1", &["203.0.113.9", "10.1.1.1, 10.2.2.2"], &["10.0.0.0/8"]),
            "203.0.113.9"
        );
        assert_eq!(
            client("::ffff:10.0.0.1", &["[2001:db8::1]:443"], &["10.0.0.1"]),
            "2001:db8::1"
        );
        assert_eq!(client("10.0.0.1", &["unknown"], &["10.0.0.0/8"]), "10.0.0.1");
    }

    #[test]
    fn networks_match_by_prefix() {
        let network: Network = "2001:db8::/32".parse().unwrap();
        assert!(network.contains("2001:db8:1::1".parse().unwrap()));
        assert!(!network.contains("2001:db9::1".parse().unwrap()));
        assert!(
            "0.0.0.0/0"
                .parse::<Network>()
                .unwrap()
                .contains("1.2.3.4".parse().unwrap())
        );
        for wrong in ["10.0.0.0/33", "10.0.0", "x", "10.0.0.0/"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
