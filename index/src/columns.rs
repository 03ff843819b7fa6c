//! Events as columns: what is common to many is kept once, what differs side by side with its like.
//!
//! Pure: bytes in, bytes out, no file and no clock. [`dissect`] takes an event apart into a shape and
//! the texts in its slots, [`fit`] finds out whether it has a known one, [`rebuild`] puts it together again; [`block`] keeps the texts of one slot
//! over some thousand rows in the form that is shortest. `docs/SPLIT.md` describes every byte.

pub(crate) mod wire;

pub(crate) mod dissect;
pub(crate) mod fit;
pub(crate) mod rebuild;
pub(crate) mod shape;

pub(crate) mod block;
pub(crate) mod dictionary;
pub(crate) mod filter;

pub(crate) mod codes;
pub(crate) mod hash;
pub(crate) mod ids;
pub(crate) mod ints;
pub(crate) mod patterns;
mod text;
pub(crate) mod texts;
