//! A setting that is an address or a network.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// An address, or a network in CIDR notation (RFC 4632) such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

/// Bits of an IPv6 address that stand before the IPv4 address mapped into it (RFC 4291 §2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

impl Network {
    /// Whether `address` lies in the network. An IPv4 address that is mapped into IPv6 counts as
    /// IPv4, on either side.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        let network = text
            .parse::<IpNet>()
            .or_else(|_| address())
            .map_err(|_| "expected addresses or networks, such as `10.0.0.0/8`")?;
        Ok(Self(canonical(network)))
    }
}

fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let v4 = v6.addr().to_ipv4_mapped().and_then(|address| {
        let prefix = v6.prefix_len().checked_sub(MAPPED_PREFIX)?;
        Ipv4Net::new(address, prefix).ok()
    });
    v4.map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_holds_the_addresses_of_its_prefix() {
        assert!(contains("2001:db8::/32", "2001:db8:1::1"));
        assert!(!contains("2001:db8::/32", "2001:db9::1"));
        assert!(contains("0.0.0.0/0", "1.2.3.4"));
        assert!(!contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("10.0.0.1", "10.0.0.1") && !contains("10.0.0.1", "10.0.0.2"));
        assert!(contains("10.1.2.3/8", "10.9.9.9"));
    }

    #[test]
    fn an_ipv4_address_that_is_mapped_into_ipv6_counts_as_ipv4() {
        assert!(contains("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(contains("::ffff:10.0.0.1", "10.0.0.1"));
        assert!(contains("::ffff:10.0.0.0/104", "10.9.9.9") && !contains("::ffff:10.0.0.0/104", "11.0.0.1"));
        assert!(contains("::/0", "2001:db8::1"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for wrong in ["10.0.0.0/33", "10.0.0", "x", "10.0.0.0/", ""] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
