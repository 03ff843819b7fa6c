//! Which heads leave open where their request ends: those with a length and chunks, or with two
//! lengths (RFC 9112 section 6.3). The HTTP library takes them and forgets one of the two, so they are
//! looked for in what it reads.

/// Bytes of a head that are looked at; the library refuses longer ones.
const BYTES_MAX: usize = 64 << 10;

/// The head of one request, as far as it was read.
#[derive(Default)]
pub(super) struct Head {
    /// Which request of the connection it begins.
    request: u64,
    bytes: Vec<u8>,
    is_whole: bool,
}

impl Head {
    /// Takes what was read before the request of this number was answered; answers whether it can be
    /// a request.
    pub(super) fn take(&mut self, request: u64, read: &[u8]) -> bool {
        if self.request != request {
            *self = Self { request, ..Self::default() };
        }
        if self.is_whole {
            return true;
        }
        let looked_at = self.bytes.len().saturating_sub(3);
        self.bytes.extend_from_slice(read);
        let end = self.bytes[looked_at..].windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.map(|place| looked_at + place);
        self.is_whole = end.is_some() || self.bytes.len() > BYTES_MAX;
        if !self.is_whole {
            return true;
        }
        let bytes = std::mem::take(&mut self.bytes);
        end.is_none_or(|end| has_one_length(&bytes[..end]))
    }
}

fn has_one_length(head: &[u8]) -> bool {
    let (mut lengths, mut encodings) = (0, 0);
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
        lengths += usize::from(name.eq_ignore_ascii_case(b"content-length"));
        encodings += usize::from(name.eq_ignore_ascii_case(b"transfer-encoding"));
    }
    lengths + encodings.min(1) < 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_one_length_however_it_is_cut() {
        let cases = [
            ("Content-Length: 4\r\n", true),
            ("Transfer-Encoding: chunked\r\n", true),
            ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", true),
            ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", false),
            ("transfer-encoding:chunked\r\nX: y\r\ncontent-length:4\r\n", false),
            ("Content-Length: 4\r\nContent-Length: 4\r\n", false),
        ];
        for (lines, is_request) in cases {
            let sent =
                format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\nContent-Length: 1\r\n\r\n");
            for piece in [1, 7, sent.len()] {
                let mut head = Head::default();
                let all = sent.as_bytes().chunks(piece).all(|read| head.take(0, read));
                assert_eq!(all, is_request, "{lines:?} in pieces of {piece}");
                assert!(head.take(1, b"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"));
            }
        }
        let mut head = Head::default();
        assert!(head.take(0, &[b'a'; BYTES_MAX]) && head.take(0, b"bc"));
        assert!(head.bytes.is_empty(), "what is too long is not kept");
    }
}
