//! Messages of GELF that come in several datagrams, put together.
//!
//! Input: chunks, which have `1E 0F`, the id of their message (8 bytes), their number and how many
//! there are (a byte each) before their part, in any order. Output: whole messages. Chunks of
//! different senders are kept apart. What is lost is never waited for longer than [`AGE_MAX`]; of too
//! much that is under way the oldest is forgotten, since an honest message is whole within
//! milliseconds. A message that was whole is remembered for as long, so that chunks that come twice
//! make no second event.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

const MAGIC: [u8; 2] = [0x1E, 0x0F];
const HEAD_BYTES: usize = 12;
/// Chunks of one message (GELF, "Chunking").
const CHUNKS_MAX: u8 = 128;
/// How long a message waits for the rest of its chunks (the same).
const AGE_MAX: Duration = Duration::from_secs(5);
/// Messages under way; for one more the oldest is forgotten.
const MESSAGES_MAX: usize = 1_000;
/// Bytes under way, of all messages; beyond that the oldest are forgotten. Twice what the largest has.
const BYTES_MAX: usize = 16 << 20;

/// Whether a datagram is a chunk.
pub(in crate::protocol) fn is_chunk(datagram: &[u8]) -> bool {
    datagram.starts_with(&MAGIC)
}

/// A sender, and the id it gave its message.
type Key = (IpAddr, [u8; 8]);

/// The messages that are under way.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Reassembly {
    messages: HashMap<Key, Message>,
    /// The same, the oldest first.
    begun: VecDeque<(Instant, Key)>,
    bytes: usize,
    /// Chunks that were dropped, by reason, until somebody takes and counts them.
    pub(in crate::protocol) dropped: Vec<(&'static str, u64)>,
}

#[derive(Debug)]
struct Message {
    /// By number; empty once the message was whole.
    parts: Vec<Option<Bytes>>,
    count: u8,
}

impl Reassembly {
    /// Takes a chunk; gives its message when it is whole.
    pub(in crate::protocol) fn put(
        &mut self,
        peer: IpAddr,
        chunk: &Bytes,
        now: Instant,
    ) -> Option<Bytes> {
        self.expire(now);
        let Some((id, number, count)) = read_head(chunk) else {
            return self.drop_chunk("bad_chunk");
        };
        let key = (peer, id);
        if !self.messages.contains_key(&key) {
            while self.messages.len() >= MESSAGES_MAX {
                self.forget_oldest("evicted_chunk");
            }
            self.begun.push_back((now, key));
        }
        let message = self
            .messages
            .entry(key)
            .or_insert_with(|| Message { parts: vec![None; usize::from(count)], count });
        if message.count != count {
            return self.drop_chunk("bad_chunk");
        }
        let Some(part @ None) = message.parts.get_mut(usize::from(number)) else {
            return self.drop_chunk("duplicate_chunk");
        };
        *part = Some(chunk.slice(HEAD_BYTES..));
        self.bytes += chunk.len() - HEAD_BYTES;
        if message.parts.iter().all(Option::is_some) {
            let parts = std::mem::take(&mut message.parts);
            let whole: Vec<u8> = parts.into_iter().flatten().flatten().collect();
            self.bytes -= whole.len();
            return Some(Bytes::from(whole));
        }
        while self.bytes > BYTES_MAX {
            self.forget_oldest("evicted_chunk");
        }
        None
    }

    /// Forgets what has waited for too long.
    pub(in crate::protocol) fn expire(&mut self, now: Instant) {
        while self.expiry().is_some_and(|expiry| expiry <= now) {
            self.forget_oldest("expired_chunk");
        }
    }

    /// When the oldest message will have waited for too long.
    pub(in crate::protocol) fn expiry(&self) -> Option<Instant> {
        self.begun.front().map(|(begun, _)| *begun + AGE_MAX)
    }

    fn forget_oldest(&mut self, reason: &'static str) {
        let Some(message) = self.begun.pop_front().and_then(|(_, key)| self.messages.remove(&key))
        else {
            return;
        };
        let parts: Vec<_> = message.parts.into_iter().flatten().collect();
        self.bytes -= parts.iter().map(Bytes::len).sum::<usize>();
        if !parts.is_empty() {
            self.dropped.push((reason, parts.len() as u64));
        }
    }

    fn drop_chunk(&mut self, reason: &'static str) -> Option<Bytes> {
        self.dropped.push((reason, 1));
        None
    }
}

/// Id, number and count of a chunk, when it has them.
fn read_head(chunk: &[u8]) -> Option<([u8; 8], u8, u8)> {
    let (head, _) = chunk.split_at_checked(HEAD_BYTES)?;
    let id = head[2..10].try_into().ok()?;
    let (number, count) = (head[10], head[11]);
    (number < count && count <= CHUNKS_MAX).then_some((id, number, count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn chunk(id: u64, number: u8, count: u8, part: &[u8]) -> Bytes {
        let head = [&MAGIC[..], &id.to_be_bytes(), &[number, count]].concat();
        Bytes::from([&head, part].concat())
    }

    fn text(whole: Option<Bytes>) -> String {
        whole.map_or_else(|| "-".to_owned(), |whole| String::from_utf8_lossy(&whole).into_owned())
    }

    #[test]
    fn the_order_of_chunks_and_their_doubles_do_not_matter() {
        let mut reassembly = Reassembly::default();
        let now = Instant::now();
        let mut put =
            |peer, id, number, part| text(reassembly.put(peer, &chunk(id, number, 3, part), now));
        assert_eq!(put(PEER, 1, 2, b"c"), "-");
        assert_eq!(put(PEER, 1, 0, b"a"), "-");
        assert_eq!(put(PEER, 1, 0, b"x"), "-", "the first one counts");
        assert_eq!(put(OTHER, 1, 1, b"y"), "-", "of somebody else");
        assert_eq!(put(PEER, 2, 1, b"z"), "-", "of another message");
        assert_eq!(put(PEER, 1, 1, b"b"), "abc");
        for number in 0..3 {
            assert_eq!(put(PEER, 1, number, b"a"), "-", "it was there already");
        }
        assert_eq!(reassembly.dropped, vec![("duplicate_chunk", 1); 4]);
        assert_eq!(reassembly.bytes, 2);
    }

    #[test]
    fn what_is_lost_is_waited_for_five_seconds() {
        let mut reassembly = Reassembly::default();
        let now = Instant::now();
        assert_eq!(reassembly.expiry(), None);
        reassembly.put(PEER, &chunk(1, 0, 3, b"a"), now);
        reassembly.put(PEER, &chunk(1, 1, 3, b"b"), now + AGE_MAX / 2);
        assert_eq!(reassembly.expiry(), Some(now + AGE_MAX));
        assert_eq!(text(reassembly.put(PEER, &chunk(1, 2, 3, b"c"), now + AGE_MAX)), "-");
        assert_eq!(reassembly.dropped, [("expired_chunk", 2)]);
        reassembly.put(PEER, &chunk(2, 0, 1, b"whole"), now + AGE_MAX);
        reassembly.expire(now + AGE_MAX * 2);
        assert_eq!(reassembly.dropped, [("expired_chunk", 2), ("expired_chunk", 1)]);
        assert_eq!((reassembly.messages.len(), reassembly.bytes), (0, 0));
    }

    #[test]
    fn of_too_many_messages_the_oldest_are_forgotten() {
        let mut reassembly = Reassembly::default();
        let now = Instant::now();
        for id in 0..=MESSAGES_MAX as u64 {
            reassembly.put(PEER, &chunk(id, 0, 2, b"a"), now);
        }
        assert_eq!(reassembly.dropped, [("evicted_chunk", 1)]);
        assert_eq!(reassembly.messages.len(), MESSAGES_MAX);
        assert_eq!(text(reassembly.put(PEER, &chunk(1, 1, 2, b"b"), now)), "ab");
        assert_eq!(text(reassembly.put(PEER, &chunk(0, 1, 2, b"b"), now)), "-", "forgotten");
    }

    #[test]
    fn bytes_under_way_are_bounded() {
        let mut reassembly = Reassembly::default();
        let now = Instant::now();
        let part = vec![b'x'; 60_000];
        let fits = (BYTES_MAX / part.len()) as u64;
        for id in 0..fits + 10 {
            reassembly.put(PEER, &chunk(id, 0, 2, &part), now);
            assert!(reassembly.bytes <= BYTES_MAX);
        }
        assert_eq!(reassembly.messages.len() as u64, fits);
        assert_eq!(reassembly.dropped, vec![("evicted_chunk", 1); 10]);
    }

    #[test]
    fn what_is_no_chunk_of_its_message_is_dropped() {
        let mut reassembly = Reassembly::default();
        let now = Instant::now();
        let short = Bytes::from_static(b"\x1E\x0F1234567");
        for bad in [short, chunk(1, 3, 3, b"a"), chunk(1, 0, 0, b"a"), chunk(1, 0, 129, b"a")] {
            assert_eq!(text(reassembly.put(PEER, &bad, now)), "-");
        }
        reassembly.put(PEER, &chunk(1, 0, 2, b"a"), now);
        assert_eq!(text(reassembly.put(PEER, &chunk(1, 1, 3, b"b"), now)), "-", "another count");
        assert_eq!(reassembly.dropped, vec![("bad_chunk", 1); 5]);
        assert_eq!(text(reassembly.put(PEER, &chunk(1, 1, 2, b"b"), now)), "ab");
        let all = (0..128).map(|number| reassembly.put(PEER, &chunk(9, number, 128, b"."), now));
        assert_eq!(text(all.last().flatten()), ".".repeat(128));
    }

    proptest! {
        #[test]
        fn every_datagram_is_survived(
            datagrams in proptest::collection::vec(
                (0u8..4, 0u8..5, proptest::collection::vec(any::<u8>(), 0..9)), 0..40,
            ),
        ) {
            let mut reassembly = Reassembly::default();
            let mut now = Instant::now();
            for (number, count, rest) in datagrams {
                now += Duration::from_secs(u64::from(number));
                let datagram = [&MAGIC[..], &[0; 8], &[number, count], &rest].concat();
                reassembly.put(PEER, &Bytes::from(datagram), now);
                let under_way = reassembly.messages.values().flat_map(|message| &message.parts);
                let bytes: usize = under_way.flatten().map(Bytes::len).sum();
                prop_assert_eq!(reassembly.bytes, bytes);
                prop_assert_eq!(reassembly.messages.len(), reassembly.begun.len());
            }
        }
    }
}
