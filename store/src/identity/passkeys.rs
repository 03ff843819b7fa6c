//! Passkeys: keys that a person's device keeps, and that prove the person without a secret of ours.
//!
//! What browsers say of them is WebAuthn, level 3 (<https://www.w3.org/TR/webauthn-3/>): of a new key
//! its public half, without attestation; at a sign-in a signature over our challenge. Keys are P-256
//! with ECDSA (ES256) or Ed25519. A challenge can be answered once, for [`CHALLENGE_LIFE`]: it is our own
//! sealed clock, so that strangers who ask for many take nobody's place. The device must have made sure of the person (a PIN, a finger), so that a
//! passkey stands for both factors.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use logwarden_event::Timestamp;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::sessions::{SessionToken, SignInError};
use super::{Identity, IdentityError, rows};
use crate::catalog::{CatalogError, Row, SqlValue, Statement};
use crate::seal::Seal;

/// How long a challenge can be answered.
const CHALLENGE_LIFE: Duration = Duration::from_secs(300);
/// Passkeys of one user.
const PASSKEYS_PER_USER_MAX: usize = 20;
/// Bytes of a key's id (level 3, section 4).
const ID_BYTES_MAX: usize = 1_023;
/// Bytes of what a browser says of a ceremony.
const SAID_BYTES_MAX: usize = 16 * 1024;
/// Characters of a passkey's name.
const NAME_CHARS_MAX: usize = 64;

/// What stands before the point of a P-256 key in its SubjectPublicKeyInfo (RFC 5480).
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The same of an Ed25519 key (RFC 8410).
const ED25519_HEAD: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Bits of the flags in what an authenticator says (level 3, section 6.1): somebody was there, and it
/// was the owner.
const PRESENT_AND_VERIFIED: u8 = 0b101;

/// Where passkeys are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The name of the host.
    pub host: String,
    /// The origin of its pages, such as `https://logs.example`.
    pub origin: String,
}

/// A passkey as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyInfo {
    /// Its id, as the browser writes it: base64url.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When somebody last signed in with it.
    pub used_at: Option<Timestamp>,
}

/// A key that a device has made.
#[derive(Debug, Clone)]
pub struct NewPasskey {
    /// What its owner calls it.
    pub name: String,
    /// Its id.
    pub id: Vec<u8>,
    /// Its public half as SubjectPublicKeyInfo, in DER.
    pub public_key: Vec<u8>,
    /// What the authenticator says.
    pub authenticator_data: Vec<u8>,
    /// What the browser says, as JSON.
    pub client_data: Vec<u8>,
}

/// What a device answers to a challenge.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// The id of its key.
    pub id: Vec<u8>,
    /// What the authenticator says.
    pub authenticator_data: Vec<u8>,
    /// What the browser says, as JSON.
    pub client_data: Vec<u8>,
    /// The key's signature over both.
    pub signature: Vec<u8>,
}

/// A passkey as it is kept.
#[derive(Debug, Clone)]
pub(super) struct PasskeyRow {
    info: PasskeyInfo,
    user_name: String,
    public_key: Vec<u8>,
}

impl PasskeyRow {
    /// Whether it is this user's.
    pub(super) fn is_of(&self, user: &str) -> bool {
        self.user_name == user
    }
}

/// Makes challenges, and knows those that were answered.
#[derive(Debug)]
pub(super) struct Challenges {
    /// Ends with this process.
    seal: Seal,
    answered: Mutex<HashMap<String, Timestamp>>,
}

impl Default for Challenges {
    fn default() -> Self {
        Self { seal: Seal::ephemeral(), answered: Mutex::default() }
    }
}

impl Challenges {
    fn open(&self, user: Option<&str>, now: Timestamp) -> String {
        URL_SAFE_NO_PAD.encode(self.seal.seal(&context_of(user), &now.nanos().to_be_bytes()))
    }

    /// Whether it was made for this user and waits for its answer; it no longer does.
    fn answer(&self, challenge: &str, user: Option<&str>, now: Timestamp) -> bool {
        let sealed = URL_SAFE_NO_PAD.decode(challenge).unwrap_or_default();
        let Ok(opened) = self.seal.open(&context_of(user), &sealed) else { return false };
        let Ok(nanos) = opened.try_into().map(i64::from_be_bytes) else { return false };
        if now.since(Timestamp::from_nanos(nanos)) >= CHALLENGE_LIFE {
            return false;
        }
        let mut answered = self.answered.lock().expect("no holder of this lock panics");
        answered.retain(|_, at| now.since(*at) < CHALLENGE_LIFE);
        answered.insert(challenge.to_owned(), now).is_none()
    }
}

/// For whom a challenge is made: somebody who is signed in, or whoever signs in.
fn context_of(user: Option<&str>) -> String {
    user.map_or_else(|| "passkey sign-in".to_owned(), |user| format!("new passkey of {user}"))
}

/// What a browser says of a ceremony (level 3, section 5.8.1).
#[derive(Deserialize)]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
}

impl Identity {
    /// A challenge for a new passkey of a user, or, without one, for somebody who signs in.
    pub fn open_challenge(&self, user: Option<&str>) -> String {
        self.challenges.open(user, self.now())
    }

    /// The passkeys of a user, oldest first.
    pub fn passkeys(&self, user: &str) -> Vec<PasskeyInfo> {
        let state = self.read();
        let own = state.passkeys.values().filter(|passkey| passkey.is_of(user));
        let mut passkeys: Vec<PasskeyInfo> = own.map(|passkey| passkey.info.clone()).collect();
        passkeys
            .sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        passkeys
    }

    /// Adds a passkey that the user's device has made for an open challenge.
    ///
    /// # Errors
    ///
    /// [`SignInError::BadCredentials`] when the device did not answer this challenge at this site, or
    /// the key is of no kind we know; [`SignInError::Identity`] with
    /// [`IdentityError::Taken`] when it is known, or there are too many.
    pub async fn add_passkey(
        &self,
        user: &str,
        site: &Site,
        new: &NewPasskey,
    ) -> Result<(), SignInError> {
        let said = read_said(&new.client_data, "webauthn.create", site);
        let said = said.ok_or(SignInError::BadCredentials)?;
        let signatures = signatures(&new.authenticator_data, site);
        let is_id = (1..=ID_BYTES_MAX).contains(&new.id.len());
        let is_key = is_id && verifier(&new.public_key).is_some();
        let (true, Some(signatures)) = (is_key, signatures) else {
            return Err(SignInError::BadCredentials);
        };
        self.check_is_local(user)?;
        if !self.challenges.answer(&said.challenge, Some(user), self.now()) {
            return Err(SignInError::BadCredentials);
        }
        let name: String = new.name.trim().chars().take(NAME_CHARS_MAX).collect();
        let full = self.passkeys(user).len() >= PASSKEYS_PER_USER_MAX;
        let statement = Statement {
            sql: "INSERT INTO passkeys (id, user_name, name, public_key, signatures, created_at)
                  SELECT ?1, ?2, ?3, ?4, ?5, ?6
                  WHERE EXISTS (SELECT 1 FROM users WHERE name = ?2)
                  ON CONFLICT (id) DO NOTHING",
            values: vec![
                SqlValue::Blob(new.id.clone()),
                rows::from_text(user),
                rows::from_text(&name),
                SqlValue::Blob(new.public_key.clone()),
                SqlValue::Integer(signatures),
                rows::from_time(self.now()),
            ],
        };
        if full || self.change_and_reload(vec![statement]).await?.first() == Some(&0) {
            return Err(IdentityError::Taken(name).into());
        }
        Ok(())
    }

    /// Takes a passkey of a user away.
    ///
    /// # Errors
    ///
    /// [`IdentityError::NotFound`] when the user has no such passkey.
    pub async fn remove_passkey(&self, user: &str, id: &str) -> Result<(), IdentityError> {
        let not_found = || IdentityError::NotFound(id.to_owned());
        let key = URL_SAFE_NO_PAD.decode(id).map_err(|_| not_found())?;
        let statement = Statement {
            sql: "DELETE FROM passkeys WHERE id = ?1 AND user_name = ?2",
            values: vec![SqlValue::Blob(key), rows::from_text(user)],
        };
        match self.change_and_reload(vec![statement]).await?.first() {
            Some(0) => Err(not_found()),
            _ => Ok(()),
        }
    }

    /// Signs in the owner of the passkey that answers an open challenge.
    ///
    /// # Errors
    ///
    /// [`SignInError::BadCredentials`] for every reason alike.
    pub async fn sign_in_with_passkey(
        &self,
        site: &Site,
        assertion: &Assertion,
    ) -> Result<(String, SessionToken), SignInError> {
        let said = read_said(&assertion.client_data, "webauthn.get", site);
        let said = said.ok_or(SignInError::BadCredentials)?;
        let known = self.read().passkeys.get(&assertion.id).cloned();
        let signatures = signatures(&assertion.authenticator_data, site);
        let (Some(known), Some(signatures)) = (known, signatures) else {
            return Err(SignInError::BadCredentials);
        };
        let client_hash = Sha256::digest(&assertion.client_data);
        let message = [&assertion.authenticator_data[..], &client_hash].concat();
        let is_signed = verifier(&known.public_key).is_some_and(|(algorithm, key)| {
            UnparsedPublicKey::new(algorithm, key).verify(&message, &assertion.signature).is_ok()
        });
        if !is_signed || !self.challenges.answer(&said.challenge, None, self.now()) {
            return Err(SignInError::BadCredentials);
        }
        let statement = Statement {
            // A device that counts has counted on, or somebody has a copy of it; 0: it does not count.
            sql: "UPDATE passkeys SET signatures = ?2, used_at = ?3
                  WHERE id = ?1 AND (signatures < ?2 OR (signatures = 0 AND ?2 = 0))",
            values: vec![
                SqlValue::Blob(assertion.id.clone()),
                SqlValue::Integer(signatures),
                rows::from_time(self.now()),
            ],
        };
        if self.change_and_reload(vec![statement]).await?.first() == Some(&0) {
            return Err(SignInError::BadCredentials);
        }
        let session = self.create_session(&known.user_name).await?;
        Ok((known.user_name, session))
    }
}

/// What the browser says, when it is about this and from one of the site's own pages.
fn read_said(said: &[u8], kind: &str, site: &Site) -> Option<ClientData> {
    if said.len() > SAID_BYTES_MAX {
        return None;
    }
    let said: ClientData = serde_json::from_slice(said).ok()?;
    let is_ours = said.r#type == kind && said.origin == site.origin && !said.cross_origin;
    is_ours.then_some(said)
}

/// How often the key has signed, when the authenticator speaks of this site and has made sure of the
/// owner (level 3, section 6.1).
fn signatures(said: &[u8], site: &Site) -> Option<i64> {
    let (host, rest) = said.split_at_checked(32).filter(|_| said.len() <= SAID_BYTES_MAX)?;
    let (flags, rest) = rest.split_first()?;
    let count: [u8; 4] = rest.get(..4)?.try_into().ok()?;
    let is_here = host == Sha256::digest(&site.host).as_slice();
    let is_owner = flags & PRESENT_AND_VERIFIED == PRESENT_AND_VERIFIED;
    (is_here && is_owner).then(|| u32::from_be_bytes(count).into())
}

/// How signatures of a key are checked, and the key; `None`: it is of no kind we know.
fn verifier(public_key: &[u8]) -> Option<(&'static dyn VerificationAlgorithm, &[u8])> {
    let point = public_key.strip_prefix(&P256_HEAD).filter(|point| point.len() == 65);
    let ed25519 = public_key.strip_prefix(&ED25519_HEAD).filter(|key| key.len() == 32);
    let p256: &'static dyn VerificationAlgorithm = &ECDSA_P256_SHA256_ASN1;
    let ed: &'static dyn VerificationAlgorithm = &ED25519;
    point.map(|point| (p256, point)).or_else(|| ed25519.map(|key| (ed, key)))
}

/// The statement that reads them all.
pub(super) fn select() -> Statement {
    Statement {
        sql: "SELECT id, user_name, name, public_key, created_at, used_at FROM passkeys",
        values: Vec::new(),
    }
}

/// Reads one.
pub(super) fn read(row: &Row) -> Result<(Vec<u8>, PasskeyRow), CatalogError> {
    let [
        SqlValue::Blob(id),
        SqlValue::Text(user_name),
        SqlValue::Text(name),
        SqlValue::Blob(public_key),
        created_at,
        used_at,
    ] = row.0.as_slice()
    else {
        return Err(rows::unexpected("passkey"));
    };
    let info = PasskeyInfo {
        id: URL_SAFE_NO_PAD.encode(id),
        name: name.clone(),
        created_at: rows::time(created_at)?,
        used_at: rows::optional_time(used_at)?,
    };
    let row = PasskeyRow { info, user_name: user_name.clone(), public_key: public_key.clone() };
    Ok((id.clone(), row))
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    };

    use super::super::Role;
    use super::*;
    use crate::{Simulation, Store};

    /// A device with one key.
    enum Device {
        P256(EcdsaKeyPair),
        Ed25519(Ed25519KeyPair),
    }

    impl Device {
        fn p256() -> Self {
            let random = SystemRandom::new();
            let kind = &ECDSA_P256_SHA256_ASN1_SIGNING;
            let key = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
            let key = EcdsaKeyPair::from_pkcs8(kind, key.as_ref(), &random).expect("a key");
            Self::P256(key)
        }

        fn ed25519() -> Self {
            let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
            Self::Ed25519(Ed25519KeyPair::from_pkcs8(key.as_ref()).expect("a key"))
        }

        fn public_key(&self) -> Vec<u8> {
            match self {
                Self::P256(key) => [&P256_HEAD[..], key.public_key().as_ref()].concat(),
                Self::Ed25519(key) => [&ED25519_HEAD[..], key.public_key().as_ref()].concat(),
            }
        }

        fn sign(&self, message: &[u8]) -> Vec<u8> {
            match self {
                Self::P256(key) => {
                    key.sign(&SystemRandom::new(), message).expect("signed").as_ref().to_vec()
                }
                Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            }
        }
    }

    fn site() -> Site {
        Site { host: "logs.example".to_owned(), origin: "https://logs.example".to_owned() }
    }

    fn client_data(kind: &str, challenge: &str, origin: &str) -> Vec<u8> {
        serde_json::json!({ "type": kind, "challenge": challenge, "origin": origin })
            .to_string()
            .into_bytes()
    }

    fn authenticator_data(host: &str, flags: u8, count: u32) -> Vec<u8> {
        [&Sha256::digest(host)[..], &[flags], &count.to_be_bytes()].concat()
    }

    async fn with_ana() -> (std::sync::Arc<Identity>, Store, Simulation) {
        let (store, simulation) = Store::simulated(3);
        let (catalog, clock) = (store.catalog.clone(), store.clock.clone());
        let identity = Identity::open(catalog, clock, Seal::new(&[7; 32])).await.expect("opened");
        let password = "tide over the mill";
        identity.create_user("ana", Role::Reader.as_str(), password).await.expect("made");
        (identity, store, simulation)
    }

    fn new_passkey(identity: &Identity, device: &Device, id: &[u8]) -> NewPasskey {
        let challenge = identity.open_challenge(Some("ana"));
        NewPasskey {
            name: "phone".to_owned(),
            id: id.to_vec(),
            public_key: device.public_key(),
            authenticator_data: authenticator_data("logs.example", 0b100_0101, 0),
            client_data: client_data("webauthn.create", &challenge, "https://logs.example"),
        }
    }

    fn assertion(device: &Device, id: &[u8], client_data: Vec<u8>, said: Vec<u8>) -> Assertion {
        let message = [&said[..], &Sha256::digest(&client_data)].concat();
        let signature = device.sign(&message);
        Assertion { id: id.to_vec(), authenticator_data: said, client_data, signature }
    }

    #[tokio::test]
    async fn a_device_signs_in_the_owner_of_its_key_once_per_challenge() {
        let (identity, _store, _simulation) = with_ana().await;
        for (id, device) in [(b"one", Device::p256()), (b"two", Device::ed25519())] {
            let new = new_passkey(&identity, &device, id);
            identity.add_passkey("ana", &site(), &new).await.expect("added");
            let again = identity.add_passkey("ana", &site(), &new).await;
            assert!(matches!(again, Err(SignInError::BadCredentials)), "its challenge is used");
            let said =
                client_data("webauthn.get", &identity.open_challenge(None), "https://logs.example");
            let answer = assertion(&device, id, said, authenticator_data("logs.example", 0b101, 0));
            let (name, session) =
                identity.sign_in_with_passkey(&site(), &answer).await.expect("signed in");
            assert_eq!(name, "ana");
            assert!(identity.authenticate_session(session.expose()).is_some());
            let replayed = identity.sign_in_with_passkey(&site(), &answer).await;
            assert!(matches!(replayed, Err(SignInError::BadCredentials)));
        }
        let passkeys = identity.passkeys("ana");
        assert_eq!(passkeys.len(), 2);
        assert!(passkeys.iter().all(|passkey| passkey.used_at.is_some()));
        // The password alone is not enough any more, until the last of them is gone.
        let peer = std::net::Ipv4Addr::LOCALHOST.into();
        let password = "tide over the mill";
        let alone = identity.sign_in_with("ana", password, None, peer).await;
        assert!(matches!(alone, Err(SignInError::SecondFactor)));
        for passkey in passkeys {
            let foreign = identity.remove_passkey("bob", &passkey.id).await;
            assert!(matches!(foreign, Err(IdentityError::NotFound(_))));
            identity.remove_passkey("ana", &passkey.id).await.expect("removed");
        }
        assert!(identity.sign_in_with("ana", password, None, peer).await.is_ok());
    }

    #[tokio::test]
    async fn whatever_is_wrong_nobody_is_signed_in() {
        let (identity, _store, simulation) = with_ana().await;
        let device = Device::p256();
        let new = new_passkey(&identity, &device, b"one");
        identity.add_passkey("ana", &site(), &new).await.expect("added");
        let here = "https://logs.example";
        let good = || authenticator_data("logs.example", 0b101, 5);
        let check = async |what: &str, answer: Assertion, is_good: bool| {
            let signed_in = identity.sign_in_with_passkey(&site(), &answer).await;
            assert_eq!(signed_in.is_ok(), is_good, "{what}");
        };
        let open = || identity.open_challenge(None);
        let get = |challenge: &str| client_data("webauthn.get", challenge, here);
        let answer = |said: Vec<u8>, bytes: Vec<u8>| assertion(&device, b"one", said, bytes);
        check("another challenge", answer(get("AAAA"), good()), false).await;
        let own = identity.open_challenge(Some("ana"));
        check("one for a new passkey", answer(get(&own), good()), false).await;
        let create = client_data("webauthn.create", &open(), here);
        check("another ceremony", answer(create, good()), false).await;
        let evil = client_data("webauthn.get", &open(), "https://logs.example.evil");
        check("another origin", answer(evil, good()), false).await;
        let host = authenticator_data("evil.example", 0b101, 5);
        check("another host", answer(get(&open()), host), false).await;
        let absent = authenticator_data("logs.example", 0b001, 5);
        check("an unverified owner", answer(get(&open()), absent), false).await;
        check("cut off", answer(get(&open()), good()[..36].to_vec()), false).await;
        let foreign = assertion(&Device::p256(), b"one", get(&open()), good());
        check("another key", foreign, false).await;
        check("an unknown key", assertion(&device, b"two", get(&open()), good()), false).await;
        let mut changed = answer(get(&open()), good());
        changed.authenticator_data[33] ^= 1;
        check("changed", changed, false).await;
        let late = answer(get(&open()), good());
        simulation.advance(CHALLENGE_LIFE);
        check("late", late, false).await;
        check("good", answer(get(&open()), good()), true).await;
        check("a copy that counts less", answer(get(&open()), good()), false).await;
        let next = authenticator_data("logs.example", 0b101, 6);
        check("good again", answer(get(&open()), next), true).await;
        let mut rsa = new_passkey(&identity, &device, b"three");
        rsa.public_key = b"\x30\x82\x01\x22".to_vec();
        let refused = identity.add_passkey("ana", &site(), &rsa).await;
        assert!(matches!(refused, Err(SignInError::BadCredentials)), "of no kind we know");
    }
}
