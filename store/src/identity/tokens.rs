//! Tokens: made once, shown once, kept as a hash.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use logwarden_event::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::authorize::{Principal, PrincipalKind};
use super::told::Made;
use super::{Identity, IdentityError, check_name, check_source, rows};
use crate::catalog::{CatalogError, Row, SqlValue, Statement};
use crate::random;

/// What every token begins with, so that a scanner can find a leaked one.
pub const TOKEN_PREFIX: &str = "lw_";

/// Longest life of a token, and the one it has when nothing is said.
const LIFE_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// A token to make.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Its name.
    pub name: String,
    /// The name of its role.
    pub role: String,
    /// The source its records belong to.
    pub source: Option<String>,
    /// A query that every event it sees must match, besides those of the role. The caller has checked that it is one.
    pub filter: Option<String>,
    /// When it ends; a year from now when nothing is said.
    pub expires_at: Option<Timestamp>,
}

/// A token, without what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its name.
    pub name: String,
    /// The name of its role.
    pub role: String,
    /// The source its records belong to.
    pub source: Option<String>,
    /// A query that every event it sees must match.
    pub filter: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<Timestamp>,
    /// Whether it was revoked.
    pub is_revoked: bool,
}

pub(super) struct TokenRow {
    hash: [u8; 32],
    info: TokenInfo,
    used_at: AtomicI64,
    has_new_use: AtomicBool,
}

impl Identity {
    /// Makes a token and returns it; it cannot be had again.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] when the name is taken or none, the expiry lies too far, or the catalog
    /// fails.
    pub async fn create_token(&self, new: NewToken) -> Result<String, IdentityError> {
        check_name(&new.name)?;
        // Without a source a token's records stand under its name.
        check_source(new.source.as_ref().unwrap_or(&new.name))?;
        self.check_role(&new.role)?;
        let now = self.now();
        let latest = now.saturating_add(LIFE_MAX);
        let expires_at = new.expires_at.unwrap_or(latest);
        if expires_at <= now || expires_at > latest {
            return Err(IdentityError::BadExpiry);
        }
        let token =
            format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(random::unguessable::<32>()));
        let mut statements = vec![insert(&new, &token, now, expires_at)];
        let message = format!("made token {} with role {}", new.name, new.role);
        statements.extend(self.line(
            &Made::Token(&hash(&token)),
            "token.create",
            &new.name,
            &message,
        ));
        let changed = self.change_and_reload(statements).await?;
        if changed.first() == Some(&0) && !self.has_token(&token) {
            return Err(IdentityError::Taken(new.name));
        }
        Ok(token)
    }

    /// Every token, by name.
    pub fn list_tokens(&self) -> Vec<TokenInfo> {
        let mut tokens: Vec<TokenInfo> = self.read().tokens.values().map(TokenRow::info).collect();
        tokens.sort_by(|one, other| one.name.cmp(&other.name));
        tokens
    }

    /// Ends a token; it stays in the list.
    ///
    /// # Errors
    ///
    /// [`IdentityError::NotFound`] when there is none of this name.
    pub async fn revoke_token(&self, name: &str) -> Result<(), IdentityError> {
        let mut statements = vec![Statement {
            sql: "UPDATE tokens SET revoked_at = COALESCE(revoked_at, ?2) WHERE name = ?1",
            values: vec![rows::from_text(name), rows::from_time(self.now())],
        }];
        let message = format!("revoked token {name}");
        statements.extend(self.line(&Made::Revoked(name), "token.revoke", name, &message));
        match self.change_and_reload(statements).await?.first() {
            Some(0) => Err(IdentityError::NotFound(name.to_owned())),
            _ => Ok(()),
        }
    }

    /// Whose token this is; `None` for every reason alike.
    pub fn authenticate_token(&self, token: &str) -> Option<Principal> {
        if !token.starts_with(TOKEN_PREFIX) {
            return self.authenticate_external(token);
        }
        let hash = hash(token);
        let state = self.read();
        let row = state.tokens.get(&hash)?;
        let now = self.now();
        let is_same = bool::from(row.hash.ct_eq(&hash));
        if !is_same || row.info.is_revoked || now >= row.info.expires_at {
            return None;
        }
        let TokenInfo { name, role, source, filter, .. } = &row.info;
        let mut principal = self.principal(name, PrincipalKind::Token, role)?;
        principal.source.clone_from(source);
        principal.filters.extend(filter.clone());
        row.used_at.store(now.nanos(), Ordering::Relaxed);
        row.has_new_use.store(true, Ordering::Relaxed);
        Some(principal)
    }

    fn has_token(&self, token: &str) -> bool {
        self.read().tokens.contains_key(&hash(token))
    }
}

impl TokenRow {
    pub(super) fn name_and_role(&self) -> (&String, &String) {
        (&self.info.name, &self.info.role)
    }

    fn info(&self) -> TokenInfo {
        let used_at = self.used_at.load(Ordering::Relaxed);
        let last_used_at = (used_at != i64::MIN).then(|| Timestamp::from_nanos(used_at));
        TokenInfo { last_used_at, ..self.info.clone() }
    }

    /// The statement that writes down when it was used, if it was since the last time.
    pub(super) fn note_use(&self) -> Option<Statement> {
        self.has_new_use.swap(false, Ordering::Relaxed).then(|| Statement {
            sql: "UPDATE tokens SET last_used_at = ?2 WHERE name = ?1",
            values: vec![
                rows::from_text(&self.info.name),
                SqlValue::Integer(self.used_at.load(Ordering::Relaxed)),
            ],
        })
    }
}

/// SHA-256 of a random secret: no salt is needed, it cannot be guessed.
pub(super) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn insert(new: &NewToken, token: &str, now: Timestamp, expires_at: Timestamp) -> Statement {
    Statement {
        // Repeatable: the same token again is no conflict, another one under the name is.
        sql: "INSERT INTO tokens (name, hash, role, source, filter, created_at, expires_at)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (name) DO NOTHING",
        values: vec![
            rows::from_text(&new.name),
            SqlValue::Blob(hash(token).to_vec()),
            rows::from_text(&new.role),
            rows::from_optional(new.source.as_deref()),
            rows::from_optional(new.filter.as_deref()),
            rows::from_time(now),
            rows::from_time(expires_at),
        ],
    }
}

pub(super) fn select() -> Statement {
    Statement {
        sql: "SELECT hash, name, role, source, filter, created_at, expires_at, last_used_at,
              revoked_at FROM tokens",
        values: Vec::new(),
    }
}

pub(super) fn read(row: &Row) -> Result<([u8; 32], TokenRow), CatalogError> {
    let [hash, name, role, source, filter, created_at, expires_at, last_used_at, revoked_at] =
        row.0.as_slice()
    else {
        return Err(rows::unexpected("row"));
    };
    let hash = rows::hash(hash)?;
    let last_used_at = rows::optional_time(last_used_at)?;
    let info = TokenInfo {
        name: rows::text(name)?,
        role: rows::text(role)?,
        source: rows::optional_text(source)?,
        filter: rows::optional_text(filter)?,
        created_at: rows::time(created_at)?,
        expires_at: rows::time(expires_at)?,
        last_used_at,
        is_revoked: rows::optional_time(revoked_at)?.is_some(),
    };
    let used_at = AtomicI64::new(last_used_at.map_or(i64::MIN, Timestamp::nanos));
    Ok((hash, TokenRow { hash, info, used_at, has_new_use: AtomicBool::new(false) }))
}
