//! Which addresses belong to everybody, and which to this machine, its network or nobody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whom an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A host of the public network.
    Public,
    /// Something that only an admin may open; the word tells what.
    Local(&'static str),
}

/// Whom `address` reaches; addresses that carry another one inside are judged by that one, too.
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(it) => reach_v4(it),
        IpAddr::V6(it) => reach_v6(it),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    let what = match (a, b, c) {
        (0, ..) => "unspecified",
        (127, ..) => "loopback",
        (10, ..) | (192, 168, _) => "private",
        (172, 16..=31, _) => "private",
        (169, 254, _) => "link-local",
        (100, 64..=127, _) => "shared (carrier)",
        (192, 0, 0) => "reserved",
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => "documentation",
        (192, 88, 99) => "reserved (6to4 relay)",
        (198, 18..=19, _) => "benchmarking",
        (224..=239, ..) => "multicast",
        (240..=255, ..) => "reserved",
        _ => return Reach::Public,
    };
    Reach::Local(what)
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let parts = address.segments();
    if let Some(inner) = embedded(parts) {
        return reach_v4(inner);
    }
    let what = match parts {
        [0, 0, 0, 0, 0, 0, 0, 0] => "unspecified",
        [0, 0, 0, 0, 0, 0, 0, 1] => "loopback",
        [0xfc00..=0xfdff, ..] => "private",
        [0xfe80..=0xfebf, ..] => "link-local",
        [0xfec0..=0xfeff, ..] => "private (site-local)",
        [0xff00..=0xffff, ..] => "multicast",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => "documentation",
        [0x2001, 0..=0x01ff, ..] => "reserved",
        [0x100, 0, 0, 0 | 1, ..] => "discarded",
        [0x5f00, ..] => "reserved",
        // Everything that is given out today begins with 001.
        [0x2000..=0x3fff, ..] => return Reach::Public,
        _ => "reserved",
    };
    Reach::Local(what)
}

/// The IPv4 address inside an IPv6 one: mapped, compatible, translated (NAT64), 6to4, Teredo, ISATAP.
fn embedded(parts: [u16; 8]) -> Option<Ipv4Addr> {
    let at = |index: usize| {
        let [a, b] = parts[index].to_be_bytes();
        let [c, d] = parts[index + 1].to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match parts {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Some(at(6)),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => Some(at(6)),
        [0x2002, ..] => Some(at(1)),
        [0x2001, 0, ..] => Some(Ipv4Addr::from(!u32::from(at(6)))),
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => Some(at(6)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_local(text: &str) -> bool {
        matches!(reach(text.parse().unwrap()), Reach::Local(_))
    }

    #[test]
    fn nothing_of_this_machine_or_network_is_public() {
        for text in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::",
            "2001:0:1:2:3:4:80ff:fffe",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "100::1",
            "4000::1",
            "2a00:1:2:3:0:5efe:7f00:1",
        ] {
            assert!(is_local(text), "{text}");
        }
    }

    #[test]
    fn what_everybody_reaches_is_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.3.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
        ] {
            assert!(!is_local(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_address_inside_another_is_judged_the_same(bits: u32) {
            let inner = Ipv4Addr::from(bits);
            prop_assert_eq!(reach(IpAddr::V6(inner.to_ipv6_mapped())), reach(IpAddr::V4(inner)));
            let [a, b, c, d] = inner.octets().map(u16::from);
            let sixto4 = Ipv6Addr::new(0x2002, a << 8 | b, c << 8 | d, 0, 0, 0, 0, 1);
            prop_assert_eq!(reach(IpAddr::V6(sixto4)), reach(IpAddr::V4(inner)));
        }
    }
}
