//! Which addresses the suite may call when a user names them.
//!
//! A server that calls any address that a user names opens its own network to that user: the server
//! itself, its neighbours, the metadata service of its cloud (server-side request forgery). So only
//! addresses of the public internet are allowed, and the networks that an operator adds.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A network in CIDR notation, such as `10.0.0.0/8` or `fd00::/8`; a single address is a network of
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

/// The addresses that may be called: the public ones, and the networks that are allowed besides.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    allowed: Vec<Network>,
    encrypted: bool,
}

impl EgressPolicy {
    /// Public addresses, and these networks.
    pub fn new(allowed: Vec<Network>) -> Self {
        Self {
            allowed,
            encrypted: false,
        }
    }

    /// The same, over TLS alone where `encrypted`.
    #[must_use]
    pub fn encrypted(self, encrypted: bool) -> Self {
        Self { encrypted, ..self }
    }

    /// Whether a call has to be encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Whether `address` may be called.
    pub fn allows(&self, address: IpAddr) -> bool {
        // An IPv4 address in the clothes of IPv6 (`::ffff:10.0.0.1`) is judged as what it is.
        let address = address.to_canonical();
        is_public(address) || self.allowed.iter().any(|network| network.contains(address))
    }
}

impl Network {
    /// Whether `address` belongs to it.
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

/// Everything that the IANA special-purpose registries (RFC 6890) do not list as globally reachable
/// is not public.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let is_special = address.is_private()
                || address.is_loopback()
                // The metadata service of most clouds is at 169.254.169.254.
                || address.is_link_local()
                || address.is_documentation()
                || address.is_multicast();
            !is_special && !SPECIAL_V4.iter().any(|network| network.contains(&address))
        }
        // Only global unicast addresses are public; those that carry an IPv4 address inside are not
        // among them.
        IpAddr::V6(address) => {
            GLOBAL_UNICAST.contains(&address) && !SPECIAL_V6.iter().any(|network| network.contains(&address))
        }
    }
}

/// What the standard library has no stable method for.
const SPECIAL_V4: &[Ipv4Net] = &[
    // This network, RFC 791.
    Ipv4Net::new_assert(Ipv4Addr::new(0, 0, 0, 0), 8),
    // Carrier-grade NAT, RFC 6598; some clouds keep their metadata there.
    Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10),
    // Azure's platform address, in public space.
    Ipv4Net::new_assert(Ipv4Addr::new(168, 63, 129, 16), 32),
    // Protocol assignments, RFC 6890.
    Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 0, 0), 24),
    // 6to4 relays, RFC 7526.
    Ipv4Net::new_assert(Ipv4Addr::new(192, 88, 99, 0), 24),
    // Benchmarks, RFC 2544.
    Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15),
    // Reserved, RFC 1112, and broadcast.
    Ipv4Net::new_assert(Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// All of IPv6 that is assigned for global unicast, RFC 4291.
const GLOBAL_UNICAST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The parts of global unicast that are not reachable, or that carry another address.
const SPECIAL_V6: &[Ipv6Net] = &[
    // Protocol assignments, with Teredo, ORCHID and benchmarks, RFC 2928.
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation, RFC 3849 and RFC 9637.
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0), 32),
    Ipv6Net::new_assert(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    // 6to4, which carries an IPv4 address, RFC 3056.
    Ipv6Net::new_assert(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
];

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The address is parsed by the standard library, which refuses the ambiguous `010.0.0.0`.
        let network = match text.split_once('/') {
            Some((address, prefix)) => network(address, prefix),
            None => text.parse().ok().map(|address: IpAddr| address.into()),
        };
        network
            .map(Self)
            .ok_or("expected an address or a network, such as `10.0.0.0/8`")
    }
}

fn network(address: &str, prefix: &str) -> Option<IpNet> {
    IpNet::new(address.parse().ok()?, prefix.parse().ok()?).ok()
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_allowed() {
        let policy = EgressPolicy::default();
        for address in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(policy.allows(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "127.0.0.1",
            "127.255.0.9",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "fe80::1",
            "fec0::1",
            "fd00:ec2::254",
            "ff02::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
        ] {
            assert!(!policy.allows(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn an_allowed_network_may_be_called_and_its_neighbour_may_not() {
        let policy = EgressPolicy::new(vec!["127.0.0.2".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        assert!(policy.allows("127.0.0.2".parse().unwrap()));
        assert!(policy.allows("::ffff:127.0.0.2".parse().unwrap()));
        assert!(policy.allows("fd12::1".parse().unwrap()));
        assert!(!policy.allows("127.0.0.1".parse().unwrap()));
        assert!(!policy.allows("fe80::1".parse().unwrap()));
    }

    #[test]
    fn networks_have_a_prefix_that_fits() {
        assert!(
            "0.0.0.0/0"
                .parse::<Network>()
                .unwrap()
                .contains("9.9.9.9".parse().unwrap())
        );
        for wrong in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/-1",
            "010.0.0.0/8",
            "host",
        ] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
