//! Identities: positions in the journal and time-ordered 128-bit ids.
//!
//! An id prints as 26 characters of Crockford's base 32, which sort as the numbers do.

use std::fmt;
use std::str::FromStr;

use crate::time::Timestamp;

/// A place in the journal: what comes next after everything before it was read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Which of the journal's independent orders; embedded: 0.
    pub lane: u32,
    /// The number of the next record in that lane, from 1 on.
    pub seq: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.lane, self.seq)
    }
}

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 26 characters of 0-9 and A-Z without I, L, O and U")]
pub struct IdError;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TEXT_LEN: usize = 26;

fn write_base32(number: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [0u8; TEXT_LEN];
    for (index, byte) in text.iter_mut().rev().enumerate() {
        *byte = ALPHABET[((number >> (5 * index)) & 31) as usize];
    }
    f.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
}

fn parse_base32(text: &str) -> Result<u128, IdError> {
    if text.len() != TEXT_LEN || text.as_bytes()[0] > b'7' {
        return Err(IdError);
    }
    text.bytes().try_fold(0u128, |number, byte| {
        let upper = byte.to_ascii_uppercase();
        let digit = ALPHABET.iter().position(|known| *known == upper).ok_or(IdError)?;
        Ok((number << 5) | digit as u128)
    })
}

macro_rules! sortable_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(u128);

        impl $name {
            /// Takes the number behind the text.
            pub const fn from_u128(number: u128) -> Self {
                Self(number)
            }

            /// The number behind the text.
            pub const fn to_u128(self) -> u128 {
                self.0
            }

            /// An id that sorts by the millisecond of `at`; the low 80 bits are taken from `entropy`.
            pub fn from_parts(at: Timestamp, entropy: u128) -> Self {
                let millis = u128::try_from(at.millis()).unwrap_or(0) & ((1 << 48) - 1);
                Self((millis << 80) | (entropy & ((1 << 80) - 1)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_base32(self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_base32(text).map(Self)
            }
        }
    };
}

sortable_id!(
    /// An event: the millisecond it was observed (48 bits), its lane (16) and its seq (64).
    EventId
);
sortable_id!(
    /// A split.
    SplitId
);
sortable_id!(
    /// An alert.
    AlertId
);
sortable_id!(
    /// A notification: the stable id a receiver sees at every attempt.
    NotificationId
);

impl EventId {
    /// The id of the event at `position`, observed at `observed_at`.
    ///
    /// Lanes above 65,535 do not exist.
    pub fn at(position: Position, observed_at: Timestamp) -> Self {
        let low = (u128::from(position.lane & 0xFFFF) << 64) | u128::from(position.seq);
        Self::from_parts(observed_at, low)
    }

    /// Where in the journal the event lies.
    pub fn position(self) -> Position {
        Position { lane: (self.0 >> 64) as u32 & 0xFFFF, seq: self.0 as u64 }
    }

    /// When the event was observed, to the millisecond.
    pub fn observed_at(self) -> Timestamp {
        Timestamp::from_millis((self.0 >> 80) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_tells_its_position_and_sorts_by_time() {
        let early = EventId::at(Position { lane: 3, seq: 900 }, Timestamp::from_millis(1_000));
        let late = EventId::at(Position { lane: 0, seq: 1 }, Timestamp::from_millis(1_001));
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(early.position(), Position { lane: 3, seq: 900 });
        assert_eq!(early.observed_at(), Timestamp::from_millis(1_000));
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!(
            EventId::from_u128(u128::MAX).to_string().parse(),
            Ok(EventId::from_u128(u128::MAX))
        );
    }

    #[test]
    fn a_text_that_is_no_id_is_refused() {
        for text in [
            "",
            "short",
            "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "0000000000000000000000000U",
            "é000000000000000000000000",
        ] {
            assert_eq!(text.parse::<EventId>(), Err(IdError), "{text}");
        }
    }
}
