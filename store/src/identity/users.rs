//! Users: local accounts with a role and a password, and the first administrator's set-up code.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use logwarden_event::Timestamp;
use subtle::ConstantTimeEq;

use super::authorize::Role;
use super::tokens::hash;
use super::told::Made;
use super::{Identity, IdentityError, breached, check_name, password, rows};
use crate::catalog::{CatalogError, Row, SqlValue, Statement};
use crate::random;
use crate::secret::Secret;

const SELECT_SETUP: &str = "SELECT hash FROM setup WHERE one = 1";
const DELETE_SESSIONS: &str = "DELETE FROM sessions WHERE user_name = ?1";

/// A user, without the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserInfo {
    /// The name they sign in with.
    pub name: String,
    /// The name of their role.
    pub role: String,
    /// When the account was made.
    pub created_at: Timestamp,
    /// Whether signing in needs a code besides the password.
    pub has_second_factor: bool,
    /// The provider that signs them in; none: a local account.
    pub provider: Option<String>,
}

/// Why the first administrator was not made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is an administrator.
    #[error("set-up is done already")]
    Done,
    /// The code is not the one that was printed.
    #[error("the set-up code is wrong")]
    WrongCode,
    /// The name or password is not acceptable, or the catalog failed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// What codes of a second factor are made of.
pub(super) struct SecondFactor {
    /// Sealed.
    pub(super) secret: Vec<u8>,
    /// The step of the code that counted last.
    pub(super) last_step: Option<i64>,
}

pub(super) struct UserRow {
    pub(super) info: UserInfo,
    pub(super) second_factor: Option<SecondFactor>,
    pub(super) password_hash: Arc<Secret<String>>,
}

impl UserRow {
    fn is_administrator(&self) -> bool {
        self.info.role == Role::Admin.as_str()
    }
}

impl Identity {
    /// Makes a user.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] when the name is taken or none, there is no such role, or the password is
    /// weak.
    pub async fn create_user(
        &self,
        name: &str,
        role: &str,
        password: &str,
    ) -> Result<(), IdentityError> {
        check_name(name)?;
        self.check_role_of_people(role)?;
        self.check_not_alike(name)?;
        let password_hash = self.hash_password(name, password).await?;
        let mut statements = vec![Statement {
            sql: "INSERT INTO users (name, role, password_hash, created_at)
                  VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO NOTHING",
            values: user_values(name, role, &password_hash, self.now()),
        }];
        let message = format!("made user {name} with role {role}");
        statements.extend(self.line(&Made::User(&password_hash), "user.create", name, &message));
        let changed = self.change_and_reload(statements).await?;
        if changed.first() == Some(&0) && !self.has_password_hash(name, &password_hash) {
            return Err(IdentityError::Taken(name.to_owned()));
        }
        Ok(())
    }

    /// Refuses a new name that people would take for another's: it differs in case alone.
    pub(super) fn check_not_alike(&self, name: &str) -> Result<(), IdentityError> {
        let state = self.read();
        let folded = name.to_lowercase();
        let is_alike = |known: &&String| known.to_lowercase() == folded;
        match state.users.keys().find(is_alike) {
            Some(known) if !state.users.contains_key(name) => {
                Err(IdentityError::Taken(known.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Every user, by name.
    pub fn list_users(&self) -> Vec<UserInfo> {
        let mut users: Vec<UserInfo> =
            self.read().users.values().map(|user| user.info.clone()).collect();
        users.sort_by(|one, other| one.name.cmp(&other.name));
        users
    }

    /// Removes a user and ends their sessions.
    ///
    /// # Errors
    ///
    /// [`IdentityError::LastAdministrator`] when nobody could make another one afterwards.
    pub async fn delete_user(&self, name: &str) -> Result<(), IdentityError> {
        self.check_not_last_administrator(name)?;
        let values = vec![rows::from_text(name)];
        let changed = self
            .change_and_reload(vec![
                Statement {
                    // The condition again, inside the transaction: two may be deleted at once.
                    sql: "DELETE FROM users WHERE name = ?1 AND (role <> 'admin' OR EXISTS
                          (SELECT 1 FROM users WHERE role = 'admin' AND name <> ?1))",
                    values: values.clone(),
                },
                Statement { sql: DELETE_SESSIONS, values: values.clone() },
                Statement {
                    sql: "DELETE FROM passkeys WHERE user_name = ?1
                          AND NOT EXISTS (SELECT 1 FROM users WHERE name = ?1)",
                    values,
                },
            ])
            .await?;
        if changed.first() == Some(&0) {
            self.check_not_last_administrator(name)?;
            return Err(IdentityError::NotFound(name.to_owned()));
        }
        Ok(())
    }

    /// Gives a user another password and ends their sessions.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] when there is no such user, the password is weak or a provider's affair.
    pub async fn set_password(&self, name: &str, password: &str) -> Result<(), IdentityError> {
        self.check_is_local(name)?;
        let password_hash = self.hash_password(name, password).await?;
        let values = vec![rows::from_text(name), SqlValue::Text(password_hash)];
        let sql = "UPDATE users SET password_hash = ?2 WHERE name = ?1";
        self.change_user(name, Statement { sql, values }).await
    }

    /// Gives a user another role and ends their sessions.
    ///
    /// # Errors
    ///
    /// [`IdentityError::LastAdministrator`] when nobody would be one afterwards;
    /// [`IdentityError::NoRole`] and [`IdentityError::RoleOfTokens`].
    pub async fn set_role(&self, name: &str, role: &str) -> Result<(), IdentityError> {
        self.check_role_of_people(role)?;
        if role != Role::Admin.as_str() {
            self.check_not_last_administrator(name)?;
        }
        let values = vec![rows::from_text(name), rows::from_text(role)];
        let sql = "UPDATE users SET role = ?2 WHERE name = ?1 AND (?2 = 'admin' OR role <> 'admin'
                   OR EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND name <> ?1))";
        self.change_user(name, Statement { sql, values }).await
    }

    async fn change_user(&self, name: &str, change: Statement) -> Result<(), IdentityError> {
        let end_sessions = Statement { sql: DELETE_SESSIONS, values: vec![rows::from_text(name)] };
        match self.change_and_reload(vec![change, end_sessions]).await?.first() {
            Some(0) => Err(IdentityError::NotFound(name.to_owned())),
            _ => Ok(()),
        }
    }

    /// Whether nobody can administer yet.
    pub fn needs_setup(&self) -> bool {
        !self.read().users.values().any(UserRow::is_administrator)
    }

    /// Makes a new set-up code when there is no administrator; the one before it ends.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Catalog`] when it cannot be kept.
    pub async fn setup_code(&self) -> Result<Option<String>, IdentityError> {
        self.reload().await?;
        if !self.needs_setup() {
            return Ok(None);
        }
        let code = URL_SAFE_NO_PAD.encode(random::unguessable::<32>());
        let statement = Statement {
            sql: "INSERT INTO setup (one, hash) VALUES (1, ?1)
                  ON CONFLICT (one) DO UPDATE SET hash = excluded.hash",
            values: vec![SqlValue::Blob(hash(&code).to_vec())],
        };
        self.change(vec![statement]).await?;
        Ok(Some(code))
    }

    /// Makes the first administrator, once.
    ///
    /// # Errors
    ///
    /// [`SetupError::Done`] when there is one, [`SetupError::WrongCode`] for any other code.
    pub async fn complete_setup(
        &self,
        code: &str,
        name: &str,
        password: &str,
    ) -> Result<(), SetupError> {
        if !self.needs_setup() {
            return Err(SetupError::Done);
        }
        let code_hash = hash(code);
        if !self.is_setup_code(&code_hash).await? {
            return Err(SetupError::WrongCode);
        }
        check_name(name)?;
        let password_hash = self.hash_password(name, password).await?;
        let code = SqlValue::Blob(code_hash.to_vec());
        let mut values = user_values(name, Role::Admin.as_str(), &password_hash, self.now());
        values.push(code.clone());
        let changed = self
            .change_and_reload(vec![
                Statement {
                    sql: "INSERT INTO users (name, role, password_hash, created_at)
                          SELECT ?1, ?2, ?3, ?4
                          WHERE EXISTS (SELECT 1 FROM setup WHERE hash = ?5)
                          AND NOT EXISTS (SELECT 1 FROM users WHERE role = 'admin')
                          ON CONFLICT (name) DO NOTHING",
                    values,
                },
                Statement {
                    sql: "DELETE FROM setup
                          WHERE EXISTS (SELECT 1 FROM users WHERE role = 'admin') AND hash = ?1",
                    values: vec![code],
                },
            ])
            .await?;
        if changed.first() == Some(&1) || self.has_password_hash(name, &password_hash) {
            return Ok(());
        }
        if self.needs_setup() {
            return Err(IdentityError::Taken(name.to_owned()).into());
        }
        Err(SetupError::Done)
    }

    async fn is_setup_code(&self, code_hash: &[u8; 32]) -> Result<bool, IdentityError> {
        let statement = Statement { sql: SELECT_SETUP, values: Vec::new() };
        let answers = self.catalog.query(vec![statement]).await?;
        let Some(row) = answers.first().and_then(|rows| rows.first()) else {
            return Ok(false);
        };
        let known = row.0.first().map(rows::hash).transpose()?;
        Ok(known.is_some_and(|known| known.ct_eq(code_hash).into()))
    }

    fn check_not_last_administrator(&self, name: &str) -> Result<(), IdentityError> {
        let state = self.read();
        let others =
            state.users.values().any(|user| user.is_administrator() && user.info.name != name);
        if state.users.get(name).is_some_and(UserRow::is_administrator) && !others {
            return Err(IdentityError::LastAdministrator(name.to_owned()));
        }
        Ok(())
    }

    fn has_password_hash(&self, name: &str, password_hash: &str) -> bool {
        let state = self.read();
        state.users.get(name).is_some_and(|user| user.password_hash.expose() == password_hash)
    }

    /// Checks and hashes a password off the async threads.
    async fn hash_password(&self, name: &str, text: &str) -> Result<String, IdentityError> {
        password::check(name, text)?;
        let text = Secret::new(text.to_owned());
        let breached = self.breached.read().expect("no holder of this lock panics").clone();
        let work = move || {
            breached.map_or(Ok(()), |file| breached::check(&file, text.expose()))?;
            password::hash(text.expose())
        };
        let hashed = self.with_password_thread(work).await;
        Ok(hashed.ok_or(password::PasswordError::Failed)??)
    }

    /// Runs slow work off the async threads, a few at a time; `None` when it panicked.
    pub(super) async fn with_password_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let permit = Arc::clone(&self.password_checks).acquire_owned().await.ok()?;
        tokio::task::spawn_blocking(move || {
            let answer = work();
            drop(permit);
            answer
        })
        .await
        .ok()
    }
}

fn user_values(name: &str, role: &str, password_hash: &str, now: Timestamp) -> Vec<SqlValue> {
    vec![
        rows::from_text(name),
        rows::from_text(role),
        rows::from_text(password_hash),
        rows::from_time(now),
    ]
}

pub(super) fn select() -> Statement {
    Statement {
        sql: "SELECT name, role, password_hash, created_at, totp_secret, totp_step,
              provider FROM users",
        values: Vec::new(),
    }
}

pub(super) fn read(row: &Row) -> Result<(String, UserRow), CatalogError> {
    let [name, role, password_hash, created_at, secret, step, provider] = row.0.as_slice() else {
        return Err(rows::unexpected("row"));
    };
    let name = rows::text(name)?;
    let info = UserInfo {
        name: name.clone(),
        role: rows::text(role)?,
        created_at: rows::time(created_at)?,
        has_second_factor: *secret != SqlValue::Null,
        provider: rows::optional_text(provider)?,
    };
    let second_factor = match secret {
        SqlValue::Null => None,
        SqlValue::Blob(bytes) => Some(SecondFactor {
            secret: bytes.clone(),
            last_step: match step {
                SqlValue::Integer(step) => Some(*step),
                _ => None,
            },
        }),
        _ => return Err(rows::unexpected("secret")),
    };
    let password_hash = Arc::new(Secret::new(rows::text(password_hash)?));
    Ok((name, UserRow { info, second_factor, password_hash }))
}
