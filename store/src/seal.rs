//! Sealing small secrets: AES-256-GCM under one key, so that whoever reads what is kept learns
//! nothing and cannot change it unnoticed.
//!
//! A sealed text is a version byte (1), a random nonce of 12 bytes, and the ciphertext with its tag of
//! 16 bytes. The context (what it is and whose) is authenticated, so that one cannot stand in another's
//! place.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::random;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 1 + NONCE_LEN;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Seals and opens under one key.
pub struct Seal(LessSafeKey);

/// What was to be opened is not what was sealed here, under this key and context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was not sealed with this key")]
pub struct NotSealed;

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
        let key = UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are a key of AES-256");
        Self(LessSafeKey::new(key))
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
        self.0.seal_in_place_append_tag(nonce_of, aad, &mut text).expect("short enough");
        let mut sealed = Vec::with_capacity(HEAD_BYTES + text.len());
        sealed.push(VERSION);
        sealed.extend(nonce);
        sealed.extend(text);
        sealed
    }

    /// Opens what [`Seal::seal`] made under the same context.
    ///
    /// # Errors
    ///
    /// [`NotSealed`] for anything else.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, NotSealed> {
        let (head, text) = sealed.split_at_checked(HEAD_BYTES).ok_or(NotSealed)?;
        let nonce = Nonce::try_assume_unique_for_key(&head[1..]).map_err(|_| NotSealed)?;
        if head[0] != VERSION {
            return Err(NotSealed);
        }
        let mut text = text.to_vec();
        let aad = Aad::from(context.as_bytes());
        let plain = self.0.open_in_place(nonce, aad, &mut text).map_err(|_| NotSealed)?.len();
        text.truncate(plain);
        Ok(text)
    }
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
}
