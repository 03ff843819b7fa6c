//! The PROXY protocol, versions 1 and 2: how a proxy says who it connects for
//! (haproxy.org, "The PROXY protocol", 2.1 and 2.2).
//!
//! Input: the first bytes of a connection of a configured proxy, which must begin with a header; from
//! anybody else it is content. Output: the sender's address, and the stream at the byte after the header:
//! not one more is read, since a TLS handshake may follow. What cannot be understood is refused, so
//! that nobody is taken for the proxy itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use metrics::counter;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tracing::debug;

use crate::metrics::CONNECTIONS_REFUSED_TOTAL;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1, with its end (2.1).
const LINE_BYTES_MAX: usize = 107;
/// The longest header of version 2 with what a proxy adds: one segment on any network (2.2).
const HEADER_BYTES_MAX: usize = 536;
/// The head of version 2: signature, version and command, family, length.
const HEAD_BYTES: usize = 16;
/// A header comes with the first packet, or not at all.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Networks of proxies whose connections begin with a header.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Expects a header from every peer in these networks.
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.to_vec())
    }

    /// The address of who sends: `peer` itself, or the one in the header when `peer` is a proxy.
    /// Nothing when the header is none; that is counted, and the connection must be closed.
    pub async fn sender_of(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        peer: SocketAddr,
    ) -> Option<SocketAddr> {
        let ip = peer.ip().to_canonical();
        if !self.0.iter().any(|network| network.contains(&ip)) {
            return Some(peer);
        }
        let header = tokio::time::timeout(TIMEOUT, read_header(stream)).await;
        match header.unwrap_or(Err(HeaderError::Missing)) {
            Ok(sender) => Some(sender.unwrap_or(peer)),
            Err(error) => {
                debug!(%peer, error = %error, "connection of a proxy refused: {error}");
                counter!(CONNECTIONS_REFUSED_TOTAL, "reason" => "proxy_header").increment(1);
                None
            }
        }
    }
}

/// Why a connection of a proxy is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum HeaderError {
    #[error("the connection does not begin with a whole PROXY header")]
    Missing,
    #[error("the PROXY header is malformed")]
    Malformed,
    #[error("the PROXY header is longer than {HEADER_BYTES_MAX} bytes")]
    TooLong,
}

/// The sender in the header; nothing when the proxy speaks for itself, or cannot say for whom.
async fn read_header(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<SocketAddr>, HeaderError> {
    let mut first = [0; SIGNATURE.len()];
    fill(stream, &mut first).await?;
    if first == SIGNATURE {
        read_binary(stream).await
    } else if first.starts_with(b"PROXY ") {
        read_line(stream, &first).await
    } else {
        Err(HeaderError::Missing)
    }
}

async fn fill(stream: &mut (impl AsyncRead + Unpin), bytes: &mut [u8]) -> Result<(), HeaderError> {
    stream.read_exact(bytes).await.map(drop).map_err(|_| HeaderError::Missing)
}

/// Version 1, byte by byte up to its end.
async fn read_line(
    stream: &mut (impl AsyncRead + Unpin),
    first: &[u8],
) -> Result<Option<SocketAddr>, HeaderError> {
    let mut line = first.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE_BYTES_MAX {
            return Err(HeaderError::Malformed);
        }
        let mut byte = [0];
        fill(stream, &mut byte).await?;
        line.push(byte[0]);
    }
    let line = std::str::from_utf8(&line[..line.len() - 2]).map_err(|_| HeaderError::Malformed)?;
    parse_line(line).ok_or(HeaderError::Malformed)
}

/// `PROXY TCP4|TCP6 SOURCE DESTINATION PORT PORT`, or `PROXY UNKNOWN` and anything.
fn parse_line(line: &str) -> Option<Option<SocketAddr>> {
    let parts: Vec<_> = line.split(' ').collect();
    let (source, destination, source_port, destination_port) = match parts[..] {
        ["PROXY", "UNKNOWN", ..] => return Some(None),
        ["PROXY", "TCP4" | "TCP6", source, destination, from, to] => {
            (source, destination, from, to)
        }
        _ => return None,
    };
    let address = |text: &str| -> Option<IpAddr> {
        let address: IpAddr = text.parse().ok()?;
        (address.is_ipv4() == (parts[1] == "TCP4")).then_some(address)
    };
    let port = |text: &str| -> Option<u16> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_number)
    };
    address(destination)?;
    port(destination_port)?;
    Some(Some(SocketAddr::new(address(source)?, port(source_port)?)))
}

/// Version 2 after its signature. What follows the addresses is skipped.
async fn read_binary(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<SocketAddr>, HeaderError> {
    let mut head = [0; HEAD_BYTES - SIGNATURE.len()];
    fill(stream, &mut head).await?;
    let [version_command, family, high, low] = head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if HEAD_BYTES + length > HEADER_BYTES_MAX {
        return Err(HeaderError::TooLong);
    }
    let mut rest = [0; HEADER_BYTES_MAX - HEAD_BYTES];
    let rest = &mut rest[..length];
    fill(stream, rest).await?;
    match version_command {
        // LOCAL: the proxy looks whether we are here.
        0x20 => Ok(None),
        0x21 => parse_addresses(family, rest).ok_or(HeaderError::Malformed),
        _ => Err(HeaderError::Malformed),
    }
}

/// Source and destination address, then both ports. Only TCP over IP can be the sender's; what a
/// proxy cannot name (`0x00`) or took from a socket of its own machine has no address.
fn parse_addresses(family: u8, rest: &[u8]) -> Option<Option<SocketAddr>> {
    match family {
        0x00 | 0x31 => Some(None),
        0x11 => {
            let rest = rest.get(..12)?;
            let address = Ipv4Addr::from(<[u8; 4]>::try_from(&rest[..4]).ok()?);
            Some(Some(SocketAddr::new(address.into(), port(&rest[8..10]))))
        }
        0x21 => {
            let rest = rest.get(..36)?;
            let address = Ipv6Addr::from(<[u8; 16]>::try_from(&rest[..16]).ok()?);
            Some(Some(SocketAddr::new(address.into(), port(&rest[32..34]))))
        }
        _ => None,
    }
}

fn port(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    const PROXY: &str = "10.0.0.1:4000";

    /// Sends `bytes` in pieces of `size` and shows the sender and what is left of the stream.
    async fn receive(bytes: &[u8], size: usize) -> String {
        let (mut ours, mut theirs) = tokio::io::duplex(1 << 16);
        let pieces: Vec<_> = bytes.chunks(size).map(<[u8]>::to_vec).collect();
        let sent = tokio::spawn(async move {
            for piece in pieces {
                theirs.write_all(&piece).await.expect("open");
                tokio::task::yield_now().await;
            }
        });
        let proxies = Proxies::new(&["10.0.0.0/8".parse().expect("a network")]);
        let peer = PROXY.parse().expect("an address");
        let sender = proxies.sender_of(&mut ours, peer).await;
        sent.await.expect("sent");
        let mut rest = String::new();
        match sender {
            None => "refused".to_owned(),
            Some(sender) => {
                ours.read_to_string(&mut rest).await.expect("text");
                format!("{sender} {rest}").trim_end().to_owned()
            }
        }
    }

    async fn check(bytes: &[u8], expected: &str) {
        for size in [1, 5, 1_000] {
            assert_eq!(receive(bytes, size).await, expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    fn binary(version_command: u8, family: u8, length: usize, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(length).expect("16 bits").to_be_bytes();
        [&SIGNATURE[..], &[version_command, family], &length, rest].concat()
    }

    /// 192.0.2.7:258 to 10.0.0.1:514.
    const FOUR: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 1, 2, 2, 2];

    #[tokio::test]
    async fn version_1_names_the_sender_in_words() {
        check(b"PROXY TCP4 192.0.2.7 10.0.0.1 258 514\r\n<13>a", "192.0.2.7:258 <13>a").await;
        check(b"PROXY TCP6 2001:db8::7 ::1 258 514\r\n<13>a", "[2001:db8::7]:258 <13>a").await;
        check(b"PROXY UNKNOWN\r\n<13>a", "10.0.0.1:4000 <13>a").await;
        check(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n<13>a", "10.0.0.1:4000 <13>a").await;
        for bad in [
            &b"PROXY TCP4 192.0.2.7 10.0.0.1 258\r\n"[..],
            b"PROXY TCP4 ::1 ::1 258 514\r\n",
            b"PROXY TCP6 192.0.2.7 10.0.0.1 258 514\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 +258 514\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 258 65536\r\n",
            b"PROXY TCP4  192.0.2.7 10.0.0.1 258 514\r\n",
            b"PROXY UDP4 192.0.2.7 10.0.0.1 258 514\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 258 514",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 258 514\n<13>a",
        ] {
            check(bad, "refused").await;
        }
        let long = [b"PROXY UNKNOWN ", &[b'x'; 91][..], b"\r\n<13>a"].concat();
        check(&long, "10.0.0.1:4000 <13>a").await;
        let too_long = [b"PROXY UNKNOWN ", &[b'x'; 92][..], b"\r\n<13>a"].concat();
        check(&too_long, "refused").await;
    }

    #[tokio::test]
    async fn version_2_names_the_sender_in_bytes() {
        let four = binary(0x21, 0x11, 12, &FOUR);
        check(&[&four[..], b"<13>a"].concat(), "192.0.2.7:258 <13>a").await;
        let six =
            [[0x20, 1, 0x0D, 0xB8].as_slice(), &[0; 11], &[7], &[0; 16], &[1, 2, 2, 2]].concat();
        let six = binary(0x21, 0x21, 36, &six);
        check(&[&six[..], b"<13>a"].concat(), "[2001:db8::7]:258 <13>a").await;
        // What a proxy adds: the name asked for in TLS, and a kind that nobody knows.
        let added = [&FOUR[..], &[0x02, 0, 4], b"host", &[0xEE, 0, 1, 9]].concat();
        let added = binary(0x21, 0x11, added.len(), &added);
        check(&[&added[..], b"<13>a"].concat(), "192.0.2.7:258 <13>a").await;
    }

    #[tokio::test]
    async fn a_proxy_may_speak_for_itself() {
        for header in [
            binary(0x20, 0x00, 0, b""),
            binary(0x20, 0x11, 12, &FOUR),
            binary(0x21, 0x00, 3, b"xyz"),
            binary(0x21, 0x31, 216, &[b'x'; 216]),
        ] {
            check(&[&header[..], b"<13>a"].concat(), "10.0.0.1:4000 <13>a").await;
        }
    }

    #[tokio::test]
    async fn what_is_no_whole_header_is_refused() {
        for bad in [
            b"".to_vec(),
            b"<13>Jan  1 00:00:00 host p: a\n".to_vec(),
            b"PROXYx".to_vec(),
            SIGNATURE.to_vec(),
            binary(0x21, 0x11, 12, &FOUR[..11]),
            binary(0x21, 0x11, 11, &FOUR),
            binary(0x21, 0x21, 12, &FOUR),
            binary(0x21, 0x12, 12, &FOUR),
            binary(0x22, 0x11, 12, &FOUR),
            binary(0x11, 0x11, 12, &FOUR),
        ] {
            check(&bad, "refused").await;
        }
        let longest = binary(0x21, 0x11, 520, &[&FOUR[..], &[b'x'; 508]].concat());
        check(&longest, "192.0.2.7:258").await;
        check(&binary(0x21, 0x11, 521, &[b'x'; 521]), "refused").await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_that_says_nothing_is_not_waited_for() {
        let (mut ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(b"PROXY TCP4 1").await.expect("open");
        let proxies = Proxies::new(&["10.0.0.0/8".parse().expect("a network")]);
        let peer = PROXY.parse().expect("an address");
        assert_eq!(proxies.sender_of(&mut ours, peer).await, None);
    }

    #[tokio::test]
    async fn a_header_of_anybody_else_is_content() {
        let (mut ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(b"PROXY UNKNOWN\r\n").await.expect("open");
        drop(theirs);
        let proxies = Proxies::new(&["10.0.0.0/8".parse().expect("a network")]);
        let peer: SocketAddr = "192.0.2.1:5".parse().expect("an address");
        assert_eq!(proxies.sender_of(&mut ours, peer).await, Some(peer));
        let mut rest = String::new();
        ours.read_to_string(&mut rest).await.expect("text");
        assert_eq!(rest, "PROXY UNKNOWN\r\n");
    }

    proptest! {
        #[test]
        fn every_line_is_survived(line in "(PROXY |TCP4 |TCP6 |[0-9a-f:. \r\n+-]){0,12}") {
            let _ = parse_line(&line);
        }

        #[test]
        fn every_body_is_survived(
            family: u8, rest in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let _ = parse_addresses(family, &rest);
        }
    }
}
