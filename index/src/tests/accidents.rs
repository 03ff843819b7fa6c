//! Blobs that fail now and then, before or after they did what was asked: as a server far away does.

use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use logwarden_store::{BlobError, Blobs, Store};

/// The same numbers for the same seed.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// The numbers of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// True in one of so many cases.
    pub(super) fn once_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// How often what fails.
#[derive(Debug)]
pub(super) struct Accidents {
    dice: Mutex<Dice>,
    /// Of so many calls one fails; 0: none.
    one_in: u64,
}

impl Accidents {
    /// Many, few or none.
    pub(super) fn new(dice: &mut Dice) -> Self {
        let one_in = [0, 0, 3, 10, 30][dice.below(5) as usize];
        Self { dice: Mutex::new(Dice::new(dice.below(u64::MAX))), one_in }
    }

    fn happens(&self) -> bool {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        self.one_in > 0 && dice.once_in(self.one_in)
    }
}

/// The same store, whose blobs have these accidents.
pub(super) fn accident_prone(store: &Store, accidents: &Arc<Accidents>) -> Store {
    let inner = Arc::clone(&store.blobs);
    let blobs = AccidentProne { inner, accidents: Arc::clone(accidents) };
    Store { blobs: Arc::new(blobs), ..store.clone() }
}

struct AccidentProne {
    inner: Arc<dyn Blobs>,
    accidents: Arc<Accidents>,
}

impl AccidentProne {
    /// Fails before or after `work`, or does it.
    fn at<T>(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<T, BlobError>,
    ) -> Result<T, BlobError> {
        let failed =
            || BlobError::Io { name: name.to_owned(), reason: "there was an accident".to_owned() };
        if self.accidents.happens() {
            return Err(failed());
        }
        let done = work()?;
        if self.accidents.happens() { Err(failed()) } else { Ok(done) }
    }
}

impl Blobs for AccidentProne {
    fn put_new(&self, name: &str, content: &mut dyn Read) -> Result<(), BlobError> {
        self.at(name, || self.inner.put_new(name, content))
    }

    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
        self.at(name, || self.inner.get_range(name, range))
    }

    fn size_bytes(&self, name: &str) -> Result<u64, BlobError> {
        self.at(name, || self.inner.size_bytes(name))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        self.at(prefix, || self.inner.list(prefix))
    }

    fn delete(&self, name: &str) -> Result<(), BlobError> {
        self.at(name, || self.inner.delete(name))
    }

    fn put_aside(&self, name: &str) -> Result<(), BlobError> {
        self.at(name, || self.inner.put_aside(name))
    }
}
