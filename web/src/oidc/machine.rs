//! Tokens of programs: JWTs (RFC 7519) that a provider gave for the client-credentials flow.
//!
//! Refused is whatever is not exactly that: another algorithm than [`ALGORITHMS`] (so neither `none`
//! nor an HMAC under a public key), another issuer or audience, a time that has not begun or is over,
//! a key that is not the provider's, a program nobody configured.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use logwarden_event::Timestamp;
use logwarden_store::identity::ExternalProgram;
use openidconnect::core::{CoreJsonWebKey, CoreJwsSigningAlgorithm, CoreProviderMetadata};
use openidconnect::{JsonWebKey, JsonWebKeyUse};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::ProviderConfig;

/// Algorithms that count, for people and programs.
pub(super) const ALGORITHMS: [CoreJwsSigningAlgorithm; 4] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EdDsa,
];
/// Bytes of a token.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// How far two clocks may differ.
const LEEWAY_SECS: i64 = 30;
/// Keys without a name that are tried.
const KEYS_TRIED_MAX: usize = 16;

/// Why a token counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no JWT, or its header asks for what is not understood.
    Malformed,
    /// Its algorithm does not count.
    Algorithm,
    /// No key of the provider made its signature.
    Signature,
    /// It was made by somebody else.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// It has no end, or is over.
    Expired,
    /// It has not begun.
    NotYet,
    /// Its program is not configured.
    Program,
}

/// The first part of a token.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// The first part of what may be a token.
pub(super) fn header(token: &str) -> Option<Header> {
    if token.len() > TOKEN_BYTES_MAX || token.matches('.').count() != 2 {
        return None;
    }
    let first = token.split('.').next()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(first).ok()?).ok()
}

/// The claims of a token, unverified. `None` also where one stands twice (RFC 7519, section 4).
pub(super) fn payload(token: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&bytes).ok().map(|Claims(claims)| claims)
}

/// An object in which no name stands twice.
struct Claims(Map<String, Value>);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ClaimsVisitor)
    }
}

struct ClaimsVisitor;

impl<'de> Visitor<'de> for ClaimsVisitor {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Claims, A::Error> {
        let mut claims = Map::new();
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if claims.insert(name, value).is_some() {
                return Err(A::Error::custom("a claim stands twice"));
            }
        }
        Ok(Claims(claims))
    }
}

/// Whether the provider has the key that a token names.
pub(super) fn has_key(known: &CoreProviderMetadata, header: &Header) -> bool {
    keys(known, header).next().is_some()
}

/// The program whose token this is.
pub(super) fn program(
    config: &ProviderConfig,
    known: &CoreProviderMetadata,
    token: &str,
    now: Timestamp,
) -> Result<ExternalProgram, Refusal> {
    let header = header(token).ok_or(Refusal::Malformed)?;
    let kinds = ["jwt", "at+jwt", "application/at+jwt"];
    let is_known_kind = |typ: &String| kinds.contains(&typ.to_ascii_lowercase().as_str());
    if header.crit.is_some() || !header.typ.as_ref().is_none_or(is_known_kind) {
        return Err(Refusal::Malformed);
    }
    let algorithm = ALGORITHMS.into_iter().find(|known| name_of(known) == header.alg);
    let algorithm = algorithm.ok_or(Refusal::Algorithm)?;
    let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refusal::Malformed)?;
    let fits = |key: &CoreJsonWebKey| {
        key.verify_signature(&algorithm, signed.as_bytes(), &signature).is_ok()
    };
    if !keys(known, &header).take(KEYS_TRIED_MAX).any(fits) {
        return Err(Refusal::Signature);
    }
    let claims = payload(token).ok_or(Refusal::Malformed)?;
    check_claims(config, &claims, now)?;
    let named = ["client_id", "azp", "sub"].iter().find_map(|name| claims.get(*name));
    let client = named.and_then(Value::as_str).ok_or(Refusal::Program)?;
    let program = config.programs.iter().find(|program| program.client == client);
    let program = program.ok_or(Refusal::Program)?;
    Ok(ExternalProgram {
        name: program.client.clone(),
        role: program.role.clone(),
        source: program.source.clone(),
    })
}

fn check_claims(
    config: &ProviderConfig,
    claims: &Map<String, Value>,
    now: Timestamp,
) -> Result<(), Refusal> {
    if claims.get("iss").and_then(Value::as_str) != Some(config.issuer.as_str()) {
        return Err(Refusal::Issuer);
    }
    let audience = config.audience.as_deref().ok_or(Refusal::Audience)?;
    let is_for_us = match claims.get("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(several)) => several.iter().any(|one| one == audience),
        _ => false,
    };
    if !is_for_us {
        return Err(Refusal::Audience);
    }
    let ends = seconds(claims, "exp")?.ok_or(Refusal::Expired)?;
    if ends.saturating_add(LEEWAY_SECS) <= now.secs() {
        return Err(Refusal::Expired);
    }
    check_begun(claims, now)
}

/// Refuses what counts from a later instant on, or was made at one.
pub(super) fn check_begun(claims: &Map<String, Value>, now: Timestamp) -> Result<(), Refusal> {
    for name in ["nbf", "iat"] {
        let begin = seconds(claims, name)?;
        if begin.is_some_and(|begin| begin.saturating_sub(LEEWAY_SECS) > now.secs()) {
            return Err(Refusal::NotYet);
        }
    }
    Ok(())
}

/// A time among the claims. A float is one too; what is no number is none at all.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(|secs| Some(secs as i64)).ok_or(Refusal::Malformed),
    }
}

/// The name in a header.
fn name_of(algorithm: &CoreJwsSigningAlgorithm) -> &'static str {
    match algorithm {
        CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256 => "RS256",
        CoreJwsSigningAlgorithm::RsaSsaPssSha256 => "PS256",
        CoreJwsSigningAlgorithm::EcdsaP256Sha256 => "ES256",
        CoreJwsSigningAlgorithm::EdDsa => "EdDSA",
        // Of no algorithm that counts.
        _ => "",
    }
}

/// The keys that may have made a token: the one it names, or all of them.
fn keys<'k>(
    known: &'k CoreProviderMetadata,
    header: &'k Header,
) -> impl Iterator<Item = &'k CoreJsonWebKey> {
    known.jwks().keys().iter().filter(|key| {
        let is_for_signing = key.key_use().is_none_or(|usage| usage.allows_signature());
        let is_named =
            header.kid.as_ref().is_none_or(|kid| key.key_id().is_some_and(|id| id.as_str() == kid));
        is_for_signing && is_named
    })
}

#[cfg(test)]
mod tests {
    use logwarden_store::identity::Roles;
    use openidconnect::core::CoreJsonWebKeySet;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use serde_json::json;

    use super::*;

    const NOW_SECS: i64 = 1_800_000_000;

    /// A provider with one key, and that key.
    struct Issuer {
        config: ProviderConfig,
        known: CoreProviderMetadata,
        key: EcdsaKeyPair,
    }

    fn key() -> EcdsaKeyPair {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("a key")
    }

    fn issuer() -> Issuer {
        let config = json!({
            "name": "corp", "issuer": "https://id.example", "client_id": "lw",
            "audience": "https://logs.example",
            "programs": [{ "client": "shipper", "role": "ingest", "source": "shop" }]
        });
        let config: ProviderConfig = serde_json::from_value(config).expect("a configuration");
        config.check(&Roles::default()).expect("sound");
        let key = key();
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|half| URL_SAFE_NO_PAD.encode(half));
        let keys = json!({ "keys": [
            { "kty": "EC", "crv": "P-256", "use": "sig", "kid": "1", "x": x, "y": y }
        ]});
        let keys: CoreJsonWebKeySet = serde_json::from_value(keys).expect("keys");
        let known = json!({
            "issuer": "https://id.example", "authorization_endpoint": "https://id.example/auth",
            "jwks_uri": "https://id.example/jwks", "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"]
        });
        let known: CoreProviderMetadata = serde_json::from_value(known).expect("metadata");
        Issuer { config, known: known.set_jwks(keys), key }
    }

    impl Issuer {
        fn sign(&self, key: &EcdsaKeyPair, header: &Value, claims: &Value) -> String {
            let signed = unsigned(header, claims);
            let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).expect("signed");
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        }

        fn ask(&self, token: &str) -> Result<String, Refusal> {
            let now = Timestamp::from_secs(NOW_SECS);
            program(&self.config, &self.known, token, now).map(|program| program.name)
        }
    }

    fn unsigned(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}", part(header), part(claims))
    }

    fn changed(mut value: Value, change: &Value) -> Value {
        for (name, new) in change.as_object().expect("changes") {
            match new {
                Value::Null => drop(value.as_object_mut().expect("an object").remove(name)),
                new => value[name] = new.clone(),
            }
        }
        value
    }

    fn header() -> Value {
        json!({ "alg": "ES256", "kid": "1", "typ": "at+jwt" })
    }

    fn claims() -> Value {
        json!({
            "iss": "https://id.example", "aud": "https://logs.example", "client_id": "shipper",
            "iat": NOW_SECS - 10, "exp": NOW_SECS + 300
        })
    }

    #[test]
    fn only_the_exact_token_counts() {
        let issuer = issuer();
        let check = |header_change: Value, claims_change: Value, expected| {
            let header = changed(header(), &header_change);
            let claims = changed(claims(), &claims_change);
            let found = issuer.ask(&issuer.sign(&issuer.key, &header, &claims));
            assert_eq!(found, expected, "{header} {claims}");
        };
        let good = || Ok("shipper".to_owned());
        check(json!({}), json!({}), good());
        check(json!({ "kid": null, "typ": null }), json!({}), good());
        check(json!({}), json!({ "aud": ["x", "https://logs.example"] }), good());
        check(json!({}), json!({ "client_id": null, "sub": "shipper" }), good());
        check(json!({}), json!({ "exp": NOW_SECS - 29, "nbf": NOW_SECS + 30 }), good());
        for alg in ["none", "None", "HS256", "RS256", "ES384", "es256", ""] {
            let expected = match alg {
                // It counts, but not with this key.
                "RS256" => Refusal::Signature,
                _ => Refusal::Algorithm,
            };
            check(json!({ "alg": alg }), json!({}), Err(expected));
        }
        check(json!({ "kid": "2" }), json!({}), Err(Refusal::Signature));
        check(json!({ "typ": "logout+jwt" }), json!({}), Err(Refusal::Malformed));
        check(json!({ "crit": ["x"] }), json!({}), Err(Refusal::Malformed));
        check(json!({}), json!({ "iss": "https://id.example/" }), Err(Refusal::Issuer));
        check(json!({}), json!({ "iss": null }), Err(Refusal::Issuer));
        check(json!({}), json!({ "aud": "lw" }), Err(Refusal::Audience));
        check(json!({}), json!({ "aud": [] }), Err(Refusal::Audience));
        check(json!({}), json!({ "aud": null }), Err(Refusal::Audience));
        check(json!({}), json!({ "exp": NOW_SECS - 30 }), Err(Refusal::Expired));
        check(json!({}), json!({ "exp": null }), Err(Refusal::Expired));
        check(json!({}), json!({ "exp": "tomorrow" }), Err(Refusal::Malformed));
        check(json!({}), json!({ "nbf": NOW_SECS + 31 }), Err(Refusal::NotYet));
        check(json!({}), json!({ "iat": NOW_SECS + 31 }), Err(Refusal::NotYet));
        check(json!({}), json!({ "client_id": "stranger" }), Err(Refusal::Program));
        check(json!({}), json!({ "client_id": null }), Err(Refusal::Program));
        let two = json!({ "client_id": ["shipper"], "sub": "shipper" });
        check(json!({}), two, Err(Refusal::Program));
    }

    #[test]
    fn a_claim_that_stands_twice_makes_a_token_none() {
        let payload = |claims: &str| payload(&format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims)));
        assert_eq!(payload(r#"{"iss":"a","exp":1}"#).map(|claims| claims.len()), Some(2));
        for twice in [r#"{"exp":1,"exp":1}"#, r#"{"aud":"a","iss":"b","aud":"c"}"#, "[]", "1"] {
            assert_eq!(payload(twice), None, "{twice}");
        }
    }

    #[test]
    fn a_signature_is_that_of_the_providers_key() {
        let issuer = issuer();
        let foreign = issuer.sign(&key(), &header(), &claims());
        assert_eq!(issuer.ask(&foreign), Err(Refusal::Signature));
        let good = issuer.sign(&issuer.key, &header(), &claims());
        let (signed, signature) = good.rsplit_once('.').expect("three parts");
        let other = unsigned(&header(), &changed(claims(), &json!({ "exp": NOW_SECS + 301 })));
        for wrong in [format!("{other}.{signature}"), format!("{signed}."), format!("{good}AA")] {
            assert_eq!(issuer.ask(&wrong), Err(Refusal::Signature), "{wrong}");
        }
        // The public key as the secret of an HMAC: everybody has it.
        let secret =
            ring::hmac::Key::new(ring::hmac::HMAC_SHA256, issuer.key.public_key().as_ref());
        let signed = unsigned(&json!({ "alg": "HS256", "kid": "1" }), &claims());
        let tag = URL_SAFE_NO_PAD.encode(ring::hmac::sign(&secret, signed.as_bytes()));
        assert_eq!(issuer.ask(&format!("{signed}.{tag}")), Err(Refusal::Algorithm));
        let long = format!("{good}{}", "A".repeat(TOKEN_BYTES_MAX));
        for wrong in ["", "a.b.c", "..", &long, "lw_x.y.z", "e30.e30"] {
            assert_eq!(issuer.ask(wrong), Err(Refusal::Malformed), "{wrong}");
        }
        let nobody = ProviderConfig { audience: None, ..issuer.config.clone() };
        let now = Timestamp::from_secs(NOW_SECS);
        assert_eq!(program(&nobody, &issuer.known, &good, now), Err(Refusal::Audience));
    }
}
