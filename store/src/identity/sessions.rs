//! Sessions of signed-in users: kept here, so that signing out ends them at once.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use logwarden_event::Timestamp;
use metrics::counter;
use tracing::{info, warn};

use super::authorize::{Principal, PrincipalKind};
use super::tokens::hash;
use super::users::{SecondFactor, UserInfo};
use super::{Identity, IdentityError, password, rows, totp};
use crate::catalog::{CatalogError, Row, SqlValue, Statement};
use crate::metrics::SIGN_INS_LIMITED;
use crate::random;
use crate::seal::Seal;
use crate::secret::Secret;

/// How long a session lasts.
const LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a session lasts unused.
const IDLE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Sessions of one user; the one unused for longest ends first.
const SESSIONS_PER_USER_MAX: i64 = 20;

const WITHOUT_CODE: &str = "UPDATE users SET totp_secret = NULL, totp_step = NULL WHERE name = ?1";

/// Bytes of a session's hash that make its id.
const SESSION_ID_BYTES: usize = 12;

/// A session, without what it is proven with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Names it.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// When somebody signed in.
    pub created_at: Timestamp,
    /// When it was last used.
    pub used_at: Timestamp,
}

/// What the browser keeps; it goes into a cookie and nowhere else.
pub type SessionToken = Secret<String>;

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No such user or another password; nobody is told which.
    #[error("name or password is wrong")]
    BadCredentials,
    /// The password is right; a code of the second factor is needed besides.
    #[error("a code of the second factor is needed")]
    SecondFactor,
    /// Too many attempts.
    #[error("too many attempts, try again in {retry_after_secs} seconds")]
    TooManyAttempts {
        /// When to try again.
        retry_after_secs: u64,
    },
    /// The catalog failed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

pub(super) struct SessionRow {
    user: String,
    created_at: Timestamp,
    used_at: AtomicI64,
    has_new_use: AtomicBool,
}

impl Identity {
    /// Signs somebody in.
    ///
    /// # Errors
    ///
    /// [`SignInError`] when the password is wrong or there were too many attempts.
    pub async fn sign_in(
        &self,
        name: &str,
        password: &str,
        peer: IpAddr,
    ) -> Result<SessionToken, SignInError> {
        self.sign_in_with(name, password, None, peer).await
    }

    /// Signs somebody in who has a second factor.
    ///
    /// # Errors
    ///
    /// [`SignInError::SecondFactor`] when a code is needed and there is none; else as with
    /// [`Identity::sign_in`].
    pub async fn sign_in_with(
        &self,
        name: &str,
        password: &str,
        code: Option<&str>,
        peer: IpAddr,
    ) -> Result<SessionToken, SignInError> {
        self.check_password(name, password, peer).await?;
        self.check_code(name, code).await?;
        self.attempts.succeeded(name, peer);
        Ok(self.create_session(name).await?)
    }

    /// A secret for an authenticator app; nothing is kept before [`Identity::set_second_factor`].
    pub fn new_second_factor(&self) -> String {
        totp::new_secret()
    }

    /// From now on signing in needs a code made of this secret. `code` shows that the app makes them.
    ///
    /// # Errors
    ///
    /// [`SignInError::BadCredentials`] when the code or the secret is wrong.
    pub async fn set_second_factor(
        &self,
        name: &str,
        secret: &str,
        code: &str,
    ) -> Result<(), SignInError> {
        let secret = totp::decode(secret).ok_or(SignInError::BadCredentials)?;
        let step = totp::step_of(&secret, code, self.now(), None);
        let step = step.ok_or(SignInError::BadCredentials)?;
        let statement = Statement {
            sql: "UPDATE users SET totp_secret = ?2, totp_step = ?3 WHERE name = ?1",
            values: vec![
                rows::from_text(name),
                SqlValue::Blob(self.seal().seal(&second_factor_of(name), &secret)),
                SqlValue::Integer(step),
            ],
        };
        self.change_and_reload(vec![statement]).await?;
        Ok(())
    }

    /// Seals from now on under the key of `seal`, and what was sealed before, too.
    ///
    /// # Errors
    ///
    /// [`IdentityError::WrongKey`] when it does not open what is kept: nothing changes then.
    pub async fn set_seal(&self, seal: Seal) -> Result<(), IdentityError> {
        self.check_second_factors(&seal)?;
        // It opens what the one before has sealed, so that nobody waits meanwhile.
        *self.seal.write().expect("no holder of this lock panics") = Arc::new(seal);
        self.seal_second_factors().await
    }

    fn check_second_factors(&self, seal: &Seal) -> Result<(), IdentityError> {
        for (name, user) in &self.read().users {
            let Some(SecondFactor { secret, .. }) = &user.second_factor else { continue };
            let is_plain = secret.len() == totp::SECRET_BYTES;
            if !is_plain && seal.open(&second_factor_of(name), secret).is_err() {
                return Err(IdentityError::WrongKey(name.clone()));
            }
        }
        Ok(())
    }

    /// Seals second factors that are sealed under a key before, or that an earlier release kept as they
    /// were, and makes sure that the others open.
    pub(super) async fn seal_second_factors(&self) -> Result<(), IdentityError> {
        let seal = self.seal();
        let mut statements = Vec::new();
        for (name, user) in &self.read().users {
            let Some(SecondFactor { secret: kept, .. }) = &user.second_factor else { continue };
            let context = second_factor_of(name);
            let plain = match kept.len() {
                totp::SECRET_BYTES => kept.to_vec(),
                _ => {
                    seal.open(&context, kept).map_err(|_| IdentityError::WrongKey(name.clone()))?
                }
            };
            if !seal.is_current(kept) {
                statements.push(Statement {
                    // Not where it was replaced meanwhile.
                    sql: "UPDATE users SET totp_secret = ?2 WHERE name = ?1 AND totp_secret = ?3",
                    values: vec![
                        rows::from_text(name),
                        SqlValue::Blob(seal.seal(&context, &plain)),
                        SqlValue::Blob(kept.to_vec()),
                    ],
                });
            }
        }
        if statements.is_empty() {
            return Ok(());
        }
        let count = statements.len();
        match self.change_and_reload(statements).await {
            Ok(_) => info!("{count} second factors are sealed with the present master key"),
            // The key before opens them still, or they could not have been opened here.
            Err(IdentityError::Catalog(CatalogError::Full)) => {
                warn!("no room is left; {count} second factors stay sealed as they are");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Signing in asks for no code any more.
    ///
    /// # Errors
    ///
    /// [`IdentityError::NotFound`] when there is no such user.
    pub async fn remove_second_factor(&self, name: &str) -> Result<(), IdentityError> {
        self.remove_factors(name, vec![WITHOUT_CODE]).await
    }

    /// Signing in needs the password alone again: there is no code and no passkey any more.
    ///
    /// # Errors
    ///
    /// [`IdentityError::NotFound`] when there is no such user.
    pub async fn remove_all_factors(&self, name: &str) -> Result<(), IdentityError> {
        let without_passkeys = "DELETE FROM passkeys WHERE user_name = ?1";
        self.remove_factors(name, vec![WITHOUT_CODE, without_passkeys]).await
    }

    async fn remove_factors(
        &self,
        name: &str,
        texts: Vec<&'static str>,
    ) -> Result<(), IdentityError> {
        let of = |sql| Statement { sql, values: vec![rows::from_text(name)] };
        match self.change_and_reload(texts.into_iter().map(of).collect()).await?.first() {
            Some(0) => Err(IdentityError::NotFound(name.to_owned())),
            _ => Ok(()),
        }
    }

    /// Whether the password of a user is this one; counts as an attempt to sign in.
    ///
    /// # Errors
    ///
    /// As with [`Identity::sign_in`].
    pub async fn confirm_password(
        &self,
        name: &str,
        password: &str,
        peer: IpAddr,
    ) -> Result<(), SignInError> {
        self.check_password(name, password, peer).await?;
        self.attempts.succeeded(name, peer);
        Ok(())
    }

    /// Lets pass who has neither a second factor nor a passkey, and who brings a code that has not counted yet.
    async fn check_code(&self, name: &str, code: Option<&str>) -> Result<(), SignInError> {
        let found = {
            let state = self.read();
            let factor = state.users.get(name).and_then(|user| user.second_factor.as_ref());
            let Some(factor) = factor else {
                let has_passkey = state.passkeys.values().any(|one| one.is_of(name));
                return if has_passkey { Err(SignInError::SecondFactor) } else { Ok(()) };
            };
            let code = code.ok_or(SignInError::SecondFactor)?;
            let secret = self.seal().open(&second_factor_of(name), &factor.secret);
            let secret = secret.map_err(|_| IdentityError::WrongKey(name.to_owned()))?;
            totp::step_of(&secret, code, self.now(), factor.last_step)
        };
        let step = found.ok_or(SignInError::BadCredentials)?;
        let statement = Statement {
            // The condition again, inside the transaction: two may bring the same code at once.
            sql: "UPDATE users SET totp_step = ?2
                  WHERE name = ?1 AND (totp_step IS NULL OR totp_step < ?2)",
            values: vec![rows::from_text(name), SqlValue::Integer(step)],
        };
        match self.change_and_reload(vec![statement]).await?.first() {
            Some(0) => Err(SignInError::BadCredentials),
            _ => Ok(()),
        }
    }

    /// Gives a user another password, when they know the present one. Their sessions end; the one
    /// returned is new.
    ///
    /// # Errors
    ///
    /// As with [`Identity::sign_in`]; [`SignInError::Identity`] when the new password is weak.
    pub async fn change_password(
        &self,
        name: &str,
        current: &str,
        new: &str,
        peer: IpAddr,
    ) -> Result<SessionToken, SignInError> {
        self.confirm_password(name, current, peer).await?;
        self.set_password(name, new).await?;
        Ok(self.create_session(name).await?)
    }

    /// Counts as failed until [`Attempts::succeeded`].
    ///
    /// [`Attempts::succeeded`]: super::attempts::Attempts::succeeded
    async fn check_password(
        &self,
        name: &str,
        password: &str,
        peer: IpAddr,
    ) -> Result<(), SignInError> {
        if let Some(retry_after_secs) = self.attempts.begin(name, peer, self.now()) {
            counter!(SIGN_INS_LIMITED).increment(1);
            return Err(SignInError::TooManyAttempts { retry_after_secs });
        }
        if password.len() > password::PASSWORD_BYTES_MAX {
            return Err(SignInError::BadCredentials);
        }
        let known = self.read().users.get(name).map(|user| Arc::clone(&user.password_hash));
        let text = Secret::new(password.to_owned());
        let is_right = self
            .with_password_thread(move || {
                password::verify(text.expose(), known.as_ref().map(|hash| hash.expose().as_str()))
            })
            .await;
        if is_right != Some(true) {
            return Err(SignInError::BadCredentials);
        }
        Ok(())
    }

    pub(super) async fn create_session(&self, name: &str) -> Result<SessionToken, IdentityError> {
        let token = URL_SAFE_NO_PAD.encode(random::unguessable::<32>());
        let now = self.now();
        let user = rows::from_text(name);
        self.change_and_reload(vec![
            Statement {
                sql: "DELETE FROM sessions WHERE created_at < ?1 OR used_at < ?2",
                values: vec![
                    rows::from_time(now.saturating_sub(LIFE_MAX)),
                    rows::from_time(now.saturating_sub(IDLE_MAX)),
                ],
            },
            Statement {
                sql: "INSERT INTO sessions (hash, user_name, created_at, used_at)
                      SELECT ?1, ?2, ?3, ?3 WHERE EXISTS (SELECT 1 FROM users WHERE name = ?2)
                      ON CONFLICT (hash) DO NOTHING",
                values: vec![
                    SqlValue::Blob(hash(&token).to_vec()),
                    user.clone(),
                    rows::from_time(now),
                ],
            },
            Statement {
                sql: "DELETE FROM sessions WHERE user_name = ?1 AND hash NOT IN
                      (SELECT hash FROM sessions WHERE user_name = ?1
                       ORDER BY used_at DESC, created_at DESC LIMIT ?2)",
                values: vec![user, SqlValue::Integer(SESSIONS_PER_USER_MAX)],
            },
        ])
        .await?;
        Ok(Secret::new(token))
    }

    /// Whose session this is; `None` for every reason alike.
    pub fn authenticate_session(&self, token: &str) -> Option<Principal> {
        let state = self.read();
        let session = state.sessions.get(&hash(token))?;
        let user = state.users.get(&session.user)?;
        let now = self.now();
        let used_at = Timestamp::from_nanos(session.used_at.load(Ordering::Relaxed));
        if now.since(session.created_at) >= LIFE_MAX || now.since(used_at) >= IDLE_MAX {
            return None;
        }
        let UserInfo { name, role, .. } = &user.info;
        let principal = self.principal(name, PrincipalKind::User, role)?;
        session.used_at.store(now.nanos(), Ordering::Relaxed);
        session.has_new_use.store(true, Ordering::Relaxed);
        Some(principal)
    }

    /// The sessions that still count, of one user or of all, the one used last first.
    pub fn sessions(&self, of: Option<&str>) -> Vec<SessionInfo> {
        let now = self.now();
        let state = self.read();
        let asked = state.sessions.iter().filter(|(_, session)| session.is_of(of));
        let mut sessions: Vec<SessionInfo> = asked
            .map(|(hash, session)| SessionInfo {
                id: session_id(hash),
                user: session.user.clone(),
                created_at: session.created_at,
                used_at: Timestamp::from_nanos(session.used_at.load(Ordering::Relaxed)),
            })
            .filter(|one| now.since(one.created_at) < LIFE_MAX && now.since(one.used_at) < IDLE_MAX)
            .collect();
        sessions.sort_by(|one, other| other.used_at.cmp(&one.used_at).then(one.id.cmp(&other.id)));
        sessions
    }

    /// The [`SessionInfo::id`] of the session with this secret.
    pub fn id_of_session(&self, token: &str) -> String {
        session_id(&hash(token))
    }

    /// Ends the session that has this [`SessionInfo::id`], if it is of this user; answers whose it was.
    ///
    /// # Errors
    ///
    /// [`IdentityError::NotFound`] when there is none like it.
    pub async fn end_session(&self, of: Option<&str>, id: &str) -> Result<String, IdentityError> {
        let found = {
            let state = self.read();
            let mut asked = state.sessions.iter().filter(|(_, session)| session.is_of(of));
            let found = asked.find(|(hash, _)| session_id(hash) == id);
            found.map(|(hash, session)| (hash.to_vec(), session.user.clone()))
        };
        let (hash, user) = found.ok_or_else(|| IdentityError::NotFound(id.to_owned()))?;
        let statement = Statement {
            sql: "DELETE FROM sessions WHERE hash = ?1",
            values: vec![SqlValue::Blob(hash)],
        };
        self.change_and_reload(vec![statement]).await.map(|_| user)
    }

    /// Ends a session; one that does not exist counts as ended.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Catalog`] when the catalog fails.
    pub async fn sign_out(&self, token: &str) -> Result<(), IdentityError> {
        let statement = Statement {
            sql: "DELETE FROM sessions WHERE hash = ?1",
            values: vec![SqlValue::Blob(hash(token).to_vec())],
        };
        self.change_and_reload(vec![statement]).await.map(drop)
    }

    /// Ends all sessions of a user.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Catalog`] when the catalog fails.
    pub async fn end_sessions(&self, name: &str) -> Result<(), IdentityError> {
        let statement = Statement {
            sql: "DELETE FROM sessions WHERE user_name = ?1",
            values: vec![rows::from_text(name)],
        };
        self.change_and_reload(vec![statement]).await.map(drop)
    }
}

/// What a second factor is sealed for.
fn second_factor_of(name: &str) -> String {
    format!("second factor of {name}")
}

/// The beginning of the hash: says which session, opens none.
fn session_id(hash: &[u8; 32]) -> String {
    hash[..SESSION_ID_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl SessionRow {
    fn is_of(&self, user: Option<&str>) -> bool {
        user.is_none_or(|user| user == self.user)
    }

    /// The statement that writes down when it was used, if it was since the last time.
    pub(super) fn note_use(&self, hash: &[u8; 32]) -> Option<Statement> {
        self.has_new_use.swap(false, Ordering::Relaxed).then(|| Statement {
            sql: "UPDATE sessions SET used_at = ?2 WHERE hash = ?1",
            values: vec![
                SqlValue::Blob(hash.to_vec()),
                SqlValue::Integer(self.used_at.load(Ordering::Relaxed)),
            ],
        })
    }
}

pub(super) fn select() -> Statement {
    Statement {
        sql: "SELECT hash, user_name, created_at, used_at FROM sessions",
        values: Vec::new(),
    }
}

pub(super) fn read(row: &Row) -> Result<([u8; 32], SessionRow), CatalogError> {
    let [hash, user, created_at, used_at] = row.0.as_slice() else {
        return Err(rows::unexpected("row"));
    };
    let session = SessionRow {
        user: rows::text(user)?,
        created_at: rows::time(created_at)?,
        used_at: AtomicI64::new(rows::time(used_at)?.nanos()),
        has_new_use: AtomicBool::new(false),
    };
    Ok((rows::hash(hash)?, session))
}
