//! Sealing small secrets: AES-256-GCM under a key, so that whoever reads what is kept learns nothing
//! and cannot change it unnoticed.
//!
//! A sealed text is a version byte (2), the key's id of 4 bytes, a random nonce of 12 bytes, and the
//! ciphertext with its tag of 16 bytes; version 1 names no key. The context (what it is and whose) is
//! authenticated, so that one cannot stand in another's place. When the key changes, what was sealed
//! under the keys before still opens, and is sealed anew.

use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest as _, Sha256};

use crate::random;
use crate::secret::{SecretError, SecretRef};

/// The file in the data directory that holds the key where none is configured.
const KEY_FILE: &str = "master.key";

const VERSION: u8 = 2;
/// Names no key.
const VERSION_WITHOUT_KEY: u8 = 1;
const KEY_ID_BYTES: usize = 4;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Seals under one key; opens under it and those before it.
pub struct Seal {
    key: Key,
    before: Vec<Key>,
}

struct Key {
    id: [u8; KEY_ID_BYTES],
    key: LessSafeKey,
}

impl Key {
    fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        // Of a random key its hash tells nothing.
        let hash = Sha256::new_with_prefix("logwarden key id").chain_update(bytes).finalize();
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes are a key of AES-256");
        let id = std::array::from_fn(|place| hash[place]);
        Self { id, key: LessSafeKey::new(key) }
    }

    fn open(&self, context: &str, nonce: &[u8], text: &[u8]) -> Option<Vec<u8>> {
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let aad = Aad::from(context.as_bytes());
        let plain = self.key.open_in_place(nonce, aad, &mut text).ok()?.len();
        text.truncate(plain);
        Some(text)
    }
}

/// What was to be opened is not what was sealed here, under this key and context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was not sealed with this key")]
pub struct NotSealed;

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The reference leads nowhere.
    #[error("master key: {0}")]
    Secret(#[from] SecretError),
    /// It is no key.
    #[error("master key: 64 hexadecimal digits are needed, as `openssl rand -hex 32` gives them")]
    NoKey,
    /// Its file cannot be made or read.
    #[error("master key `{KEY_FILE}`: {0}")]
    File(#[from] std::io::Error),
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(***)")
    }
}

impl Seal {
    /// Seals under this key.
    ///
    /// # Panics
    ///
    /// Never: the length is that of the algorithm.
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self { key: Key::new(key), before: Vec::new() }
    }

    /// Seals under the master key: the one that is referred to, else that of `master.key` in the data
    /// directory, which is made (mode 0600) when there is none. Opens what was sealed under the keys
    /// before it, too.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when one cannot be read or made.
    pub fn master(
        data_dir: &Path,
        reference: Option<&SecretRef>,
        before: &[SecretRef],
    ) -> Result<Self, KeyError> {
        Self::of(reference, before, || key_of_file(data_dir))
    }

    /// The same for a node that runs already: a key file that is missing is not made anew, for under another
    /// key nothing could be opened again.
    ///
    /// # Errors
    ///
    /// As [`Seal::master`], and [`KeyError::File`] when the key file is not there.
    pub fn master_again(
        data_dir: &Path,
        reference: Option<&SecretRef>,
        before: &[SecretRef],
    ) -> Result<Self, KeyError> {
        Self::of(reference, before, || std::fs::read_to_string(data_dir.join(KEY_FILE)))
    }

    fn of(
        reference: Option<&SecretRef>,
        before: &[SecretRef],
        key_file: impl FnOnce() -> std::io::Result<String>,
    ) -> Result<Self, KeyError> {
        let text = match reference {
            Some(reference) => reference.resolve()?.expose().clone(),
            None => key_file()?,
        };
        let key = |text: &str| parse_key(text.trim()).ok_or(KeyError::NoKey);
        let before =
            before.iter().map(|reference| Ok(Key::new(&key(reference.resolve()?.expose())?)));
        Ok(Self { key: Key::new(&key(&text)?), before: before.collect::<Result<_, KeyError>>()? })
    }

    /// Seals under a key that nobody else has and that ends with this process.
    pub fn ephemeral() -> Self {
        Self::new(&random::unguessable::<KEY_BYTES>())
    }

    /// Seals `plain`; at most a few million times under one key, because nonces are random.
    ///
    /// # Panics
    ///
    /// Never: AES-GCM takes up to 64 GiB at once.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        let nonce = random::unguessable::<NONCE_LEN>();
        let mut text = plain.to_vec();
        let aad = Aad::from(context.as_bytes());
        let nonce_of = Nonce::assume_unique_for_key(nonce);
        self.key.key.seal_in_place_append_tag(nonce_of, aad, &mut text).expect("short enough");
        [&[VERSION][..], &self.key.id, &nonce, &text].concat()
    }

    /// Opens what [`Seal::seal`] made under the same context, with this key or one before it.
    ///
    /// # Errors
    ///
    /// [`NotSealed`] for anything else.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, NotSealed> {
        let (version, rest) = sealed.split_first().ok_or(NotSealed)?;
        let (id, rest) = match *version {
            VERSION => {
                let (id, rest) = rest.split_at_checked(KEY_ID_BYTES).ok_or(NotSealed)?;
                (Some(id), rest)
            }
            VERSION_WITHOUT_KEY => (None, rest),
            _ => return Err(NotSealed),
        };
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or(NotSealed)?;
        let mut keys = std::iter::once(&self.key).chain(&self.before);
        keys.find_map(|key| match id {
            Some(id) if id != key.id => None,
            _ => key.open(context, nonce, text),
        })
        .ok_or(NotSealed)
    }

    /// Whether it was sealed under the key that seals now.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        sealed
            .split_first()
            .is_some_and(|(version, rest)| *version == VERSION && rest.starts_with(&self.key.id))
    }
}

/// Reads the file, or makes it. Of two processes that make it at once one wins, and both read that.
fn key_of_file(data_dir: &Path) -> std::io::Result<String> {
    let path = data_dir.join(KEY_FILE);
    match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        read => return read,
    }
    let fresh =
        data_dir.join(format!("{KEY_FILE}.{:016x}", u64::from_le_bytes(random::unguessable())));
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    let key = random::unguessable::<KEY_BYTES>();
    let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // A link does not replace: who comes second finds the first one's.
    let linked = std::fs::hard_link(&fresh, &path);
    std::fs::remove_file(&fresh)?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => std::fs::File::open(data_dir)?.sync_all()?,
    }
    std::fs::read_to_string(&path)
}

fn parse_key(text: &str) -> Option<[u8; KEY_BYTES]> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let bytes: Vec<u8> =
        digits?.chunks(2).map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit)).collect();
    bytes.try_into().ok().filter(|_| text.len() == 2 * KEY_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_under_its_key_and_context_only() {
        let seal = Seal::new(&[7; KEY_BYTES]);
        let sealed = seal.seal("totp ana", b"secret");
        assert_eq!(seal.open("totp ana", &sealed), Ok(b"secret".to_vec()));
        assert_eq!(seal.open("totp bob", &sealed), Err(NotSealed));
        assert_eq!(Seal::ephemeral().open("totp ana", &sealed), Err(NotSealed));
        assert_ne!(seal.seal("totp ana", b"secret"), sealed, "nonces differ");
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(seal.open("totp ana", &changed), Err(NotSealed), "byte {place}");
            assert_eq!(seal.open("totp ana", &sealed[..place]), Err(NotSealed), "{place} bytes");
        }
    }

    #[test]
    fn what_was_sealed_under_a_key_before_opens_and_is_told_apart() {
        let dir = tempfile::tempdir().expect("a directory");
        let key = |name: &str, digit: &str| {
            let file = dir.path().join(name);
            std::fs::write(&file, digit.repeat(64)).expect("written");
            SecretRef::File(file)
        };
        let (old, new) = (key("old", "a"), key("new", "b"));
        let before = Seal::master(dir.path(), Some(&old), &[]).expect("a key");
        let sealed = before.seal("x", b"secret");
        assert!(before.is_current(&sealed));
        let alone = Seal::master(dir.path(), Some(&new), &[]).expect("a key");
        assert_eq!(alone.open("x", &sealed), Err(NotSealed));
        let both = Seal::master(dir.path(), Some(&new), &[old]).expect("keys");
        assert_eq!(both.open("x", &sealed), Ok(b"secret".to_vec()));
        assert!(!both.is_current(&sealed));
        let anew = both.seal("x", b"secret");
        assert_eq!(alone.open("x", &anew), Ok(b"secret".to_vec()));
        // Version 1 named no key.
        let without = [&[VERSION_WITHOUT_KEY][..], &sealed[1 + KEY_ID_BYTES..]].concat();
        assert_eq!(both.open("x", &without), Ok(b"secret".to_vec()));
        assert!(!before.is_current(&without));
    }

    #[test]
    fn the_master_key_is_made_once_and_kept_from_others() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let sealed = Seal::master(dir.path(), None, &[]).expect("made").seal("x", b"secret");
        let again = Seal::master(dir.path(), None, &[]).expect("read");
        assert_eq!(again.open("x", &sealed), Ok(b"secret".to_vec()));
        let file = dir.path().join(KEY_FILE);
        let mode = std::fs::metadata(&file).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 1);
        std::fs::rename(&file, dir.path().join("away")).expect("moved");
        let refused = Seal::master_again(dir.path(), None, &[]);
        assert!(matches!(refused, Err(KeyError::File(_))), "{refused:?}");
        assert!(!file.exists(), "a node that runs makes no other key");
        std::fs::rename(dir.path().join("away"), &file).expect("moved");
        let again = Seal::master_again(dir.path(), None, &[]).expect("read");
        assert_eq!(again.open("x", &sealed), Ok(b"secret".to_vec()));
        for wrong in ["", "00", &"0".repeat(63), &"g".repeat(64), &"0".repeat(66)] {
            std::fs::write(&file, wrong).expect("written");
            assert!(matches!(Seal::master(dir.path(), None, &[]), Err(KeyError::NoKey)), "{wrong}");
        }
        std::fs::write(dir.path().join("own.key"), "ab".repeat(32)).expect("written");
        let reference = SecretRef::File(dir.path().join("own.key"));
        assert!(Seal::master(dir.path(), Some(&reference), &[]).is_ok());
    }
}
