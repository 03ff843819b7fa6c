//! Which addresses a webhook may connect to.
//!
//! Checked at the resolved address, at every delivery: a name that resolves to something inside
//! the network must not make this program a way into it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// Where clouds hand out credentials. No list of allowed networks covers these.
const METADATA_V4: [Ipv4Addr; 5] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Why an address is not connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
    /// It hands out credentials.
    #[error("address {0} hands out the machine's credentials and is never connected to")]
    Metadata(IpAddr),
    /// It lies inside.
    #[error("address {0} is not public; allow its network with `allow_networks`")]
    NotPublic(IpAddr),
    /// There is none.
    #[error("the name has no address")]
    None,
}

/// Checks every address a name resolved to; one bad one refuses all.
pub(super) fn check_all(addresses: &[SocketAddr], allowed: &[IpNet]) -> Result<(), AddressError> {
    if addresses.is_empty() {
        return Err(AddressError::None);
    }
    addresses.iter().try_for_each(|address| check(address.ip(), allowed))
}

/// Checks one address.
pub(super) fn check(address: IpAddr, allowed: &[IpNet]) -> Result<(), AddressError> {
    let forms = forms_of(address);
    let is_metadata = |form: &IpAddr| match form {
        IpAddr::V4(form) => METADATA_V4.contains(form),
        IpAddr::V6(form) => *form == METADATA_V6,
    };
    if forms.iter().any(is_metadata) {
        return Err(AddressError::Metadata(address));
    }
    let is_fine =
        |form: &IpAddr| is_public(*form) || allowed.iter().any(|network| network.contains(form));
    if forms.iter().all(is_fine) { Ok(()) } else { Err(AddressError::NotPublic(address)) }
}

/// The address, and the IPv4 address that it stands for where it is an IPv6 one that does.
fn forms_of(address: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(v6) = address else { return vec![address] };
    let octets = v6.octets();
    let embedded = |from: usize| {
        IpAddr::from([octets[from], octets[from + 1], octets[from + 2], octets[from + 3]])
    };
    let segments = v6.segments();
    if v6.to_ipv4_mapped().is_some() {
        return vec![embedded(12)];
    }
    match segments {
        // NAT64 (RFC 6052) and its local-use prefix (RFC 8215).
        [0x64, 0xff9b, ..] => vec![embedded(12)],
        // 6to4 (RFC 3056).
        [0x2002, ..] => vec![address, embedded(2)],
        // IPv4-compatible, deprecated; `::` and `::1` stay what they are.
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => vec![embedded(12)],
        _ => vec![address],
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => {
            let first = v6.segments()[0];
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || (first & 0xfe00) == 0xfc00
                || (first & 0xffc0) == 0xfe80
                || (first & 0xffc0) == 0xfec0
                || (first == 0x2001 && v6.segments()[1] == 0xdb8)
                || (first == 0x100))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_connected_to() {
        let check = |text: &str| check(text.parse().expect("an address"), &[]);
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "::127.0.0.1",
        ] {
            assert!(matches!(check(inside), Err(AddressError::NotPublic(_))), "{inside}");
        }
        for public in ["1.1.1.1", "9.9.9.9", "2606:4700::1111", "172.32.0.1", "100.128.0.1"] {
            assert_eq!(check(public), Ok(()), "{public}");
        }
    }

    #[test]
    fn allowed_networks_never_cover_metadata() {
        let all: Vec<IpNet> =
            ["0.0.0.0/0", "::/0"].map(|net| net.parse().expect("a network")).to_vec();
        assert_eq!(check("127.0.0.1".parse().expect("an address"), &all), Ok(()));
        for metadata in
            ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "64:ff9b::a9fe:a9fe"]
        {
            let refused = check(metadata.parse().expect("an address"), &all);
            assert!(matches!(refused, Err(AddressError::Metadata(_))), "{metadata}");
        }
    }
}
