//! The bytes of an event: nearly always text as a whole, and then no part is looked at again.

use super::parts::Span;

/// The record, then the texts that do not stand in it.
#[derive(Debug, Clone)]
pub(super) enum Buffer {
    /// All of it is UTF-8.
    Text(Box<str>),
    /// Some of it is not.
    Bytes(Box<[u8]>),
}

impl Buffer {
    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// The text of a span; `None` when it lies outside, or is no text.
    #[inline]
    pub(super) fn text(&self, span: Span) -> Option<&str> {
        let start = span.start as usize;
        let range = start..start + span.len as usize;
        match self {
            Self::Text(text) => text.get(range),
            Self::Bytes(bytes) => std::str::from_utf8(bytes.get(range)?).ok(),
        }
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text.into()),
            Err(error) => Self::Bytes(error.into_bytes().into()),
        }
    }
}
