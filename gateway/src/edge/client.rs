//! The client's address: the peer's, or the one that a trusted proxy forwards.

use std::net::IpAddr;

use http::HeaderMap;

use crate::config::Network;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address: the nearest one in `X-Forwarded-For`, counted from the peer, that is no
/// trusted proxy. What stands left of it was written by the client and proves nothing.
pub(crate) fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let mut address = peer.to_canonical();
    let lines: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let mut entries = lines.iter().rev().flat_map(|line| line.rsplit(','));
    while is_trusted(address, trusted) {
        match entries.next().map(|entry| parse_entry(entry.trim())) {
            Some(Some(entry)) => address = entry,
            // The list ends, or its next entry is no address: only the last proxy is certain.
            Some(None) | None => break,
        }
    }
    address
}

/// Whether a peer that is no trusted proxy forwards an address: a client that forges one, or a
/// proxy that is missing in the settings.
pub(crate) fn is_untrusted_proxy(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> bool {
    headers.contains_key(FORWARDED_FOR) && !is_trusted(peer, trusted)
}

fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn parse_entry(text: &str) -> Option<IpAddr> {
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
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_client_cannot_choose_its_own_address() {
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
}
