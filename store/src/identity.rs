//! Who somebody is and what they may do: users, tokens, sessions, and the one [`authorize`].
//!
//! Only hashes are kept: SHA-256 of tokens and sessions (they are random), argon2id of passwords.
//! Everything needed to answer a request is in memory; changes by another process (the command
//! line) are seen within [`REFRESH_INTERVAL`] while [`Identity::run`] runs.

mod attempts;
mod authorize;
mod breached;
mod certificates;
mod external;
mod passkeys;
mod password;
mod roles;
mod rows;
mod sessions;
mod tokens;
mod told;
mod totp;
mod url;
mod users;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use logwarden_event::{Clock, Timestamp, is_own_name};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::catalog::{Catalog, CatalogError, Migration, Statement};
use crate::seal::Seal;

pub use authorize::{Action, Denied, Object, Principal, PrincipalKind, Role, authorize};
pub use certificates::{CertificateConfig, ClientNames};
pub use external::{ExternalProgram, ExternalTokens, ExternalUser};
pub use passkeys::{Assertion, NewPasskey, PasskeyInfo, Site};
pub use password::{PASSWORD_CHARS_MIN, PasswordError};
pub use roles::{Grant, RoleConfig, RoleError, Roles};
pub use sessions::{SessionInfo, SessionToken, SignInError};
pub use tokens::{NewToken, TOKEN_PREFIX, TokenInfo};
pub use told::Told;
pub use url::is_credential_in_url;
pub use users::{SetupError, UserInfo};

use attempts::Attempts;
use passkeys::{Challenges, PasskeyRow};
use sessions::SessionRow;
use tokens::TokenRow;
use users::UserRow;

/// How long a change by another process may stay unseen.
pub const REFRESH_INTERVAL: Duration = Duration::from_millis(500);

/// How often it is written down when a token or session was last used.
const LAST_USED_INTERVAL: Duration = Duration::from_secs(60);

/// Longest name of a user or token, in characters.
const NAME_CHARS_MAX: usize = 128;

/// Passwords checked at the same time; more wait. Each takes 19 MiB.
const PASSWORD_CHECKS_MAX: usize = 2;

const MIGRATIONS: &[Migration] = &[
    "
    CREATE TABLE users (
        name TEXT NOT NULL PRIMARY KEY,
        role TEXT NOT NULL,
        password_hash TEXT NOT NULL,
        created_at BIGINT NOT NULL
    );
    CREATE TABLE tokens (
        name TEXT NOT NULL PRIMARY KEY,
        hash BLOB NOT NULL UNIQUE,
        role TEXT NOT NULL,
        source TEXT,
        filter TEXT,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        last_used_at BIGINT,
        revoked_at BIGINT
    );
    CREATE TABLE sessions (
        hash BLOB NOT NULL PRIMARY KEY,
        user_name TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        used_at BIGINT NOT NULL
    );
    CREATE INDEX sessions_by_user ON sessions (user_name);
    CREATE TABLE setup (
        one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
        hash BLOB NOT NULL
    );
    CREATE TABLE identity_version (
        one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
        version BIGINT NOT NULL
    );
    INSERT INTO identity_version (one, version) VALUES (1, 0);
",
    "
    ALTER TABLE users ADD COLUMN totp_secret BLOB;
    ALTER TABLE users ADD COLUMN totp_step BIGINT;
",
    "
    ALTER TABLE users ADD COLUMN provider TEXT;
    ALTER TABLE users ADD COLUMN subject TEXT;
",
    "
    CREATE TABLE passkeys (
        id BLOB NOT NULL PRIMARY KEY,
        user_name TEXT NOT NULL,
        name TEXT NOT NULL,
        public_key BLOB NOT NULL,
        signatures BIGINT NOT NULL,
        created_at BIGINT NOT NULL,
        used_at BIGINT
    );
",
    "
    CREATE TABLE identity_told (
        id TEXT NOT NULL PRIMARY KEY,
        at_ns BIGINT NOT NULL,
        action TEXT NOT NULL,
        object TEXT NOT NULL,
        message TEXT NOT NULL
    );
",
];

const BUMP_VERSION: &str = "UPDATE identity_version SET version = version + 1 WHERE one = 1";

/// Why a change of users or tokens was not made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is one of this name already.
    #[error("the name `{0}` is taken")]
    Taken(String),
    /// There is none of this name.
    #[error("there is no `{0}`")]
    NotFound(String),
    /// Names have 1 to 128 letters, digits and `-._@`.
    #[error("`{0}` is no name: 1 to 128 letters, digits, `-`, `.`, `_` and `@`")]
    BadName(String),
    /// Sources have 1 to 128 characters, none of which controls a terminal, and no name of ours.
    #[error(
        "a source has 1 to 128 characters, no control characters, and is not called `logwarden`"
    )]
    BadSource,
    /// A password that anybody would guess.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Nobody has configured a role of this name.
    #[error("there is no role `{0}`")]
    NoRole(String),
    /// A role for programs alone.
    #[error(
        "`{0}` is a role of tokens: a user is a reader, an analyst, an administrator, or has a configured role"
    )]
    RoleOfTokens(String),
    /// Somebody whose password is their provider's affair.
    #[error("`{0}` keeps the password")]
    External(String),
    /// A token would never expire, or has already.
    #[error("a token expires within a year from now")]
    BadExpiry,
    /// The last administrator stays.
    #[error("`{0}` is the last administrator")]
    LastAdministrator(String),
    /// What is kept cannot be opened.
    #[error("the second factor of `{0}` was sealed with another master key")]
    WrongKey(String),
    /// The catalog failed; the change may be made or not.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Users, tokens and sessions.
pub struct Identity {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    /// What must be kept as it is, is kept sealed.
    seal: RwLock<Arc<Seal>>,
    breached: RwLock<Option<PathBuf>>,
    state: RwLock<State>,
    roles: RwLock<Arc<Roles>>,
    external: RwLock<Option<ExternalTokens>>,
    certificates: RwLock<Vec<CertificateConfig>>,
    attempts: Attempts,
    challenges: Challenges,
    password_checks: Arc<Semaphore>,
    leaves_lines: AtomicBool,
}

#[derive(Default)]
struct State {
    version: i64,
    users: HashMap<String, UserRow>,
    tokens: HashMap<[u8; 32], TokenRow>,
    sessions: HashMap<[u8; 32], SessionRow>,
    passkeys: HashMap<Vec<u8>, PasskeyRow>,
}

impl Identity {
    /// Brings the tables up to date and reads them.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Catalog`] when the catalog fails or is too new; [`IdentityError::WrongKey`]
    /// when something in it was sealed under another key.
    pub async fn open(
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
        seal: Seal,
    ) -> Result<Arc<Self>, IdentityError> {
        catalog.migrate("identity", MIGRATIONS).await?;
        let identity = Self {
            catalog,
            clock,
            seal: RwLock::new(Arc::new(seal)),
            breached: RwLock::default(),
            state: RwLock::default(),
            roles: RwLock::default(),
            external: RwLock::default(),
            certificates: RwLock::default(),
            attempts: Attempts::default(),
            challenges: Challenges::default(),
            password_checks: Arc::new(Semaphore::new(PASSWORD_CHECKS_MAX)),
            leaves_lines: AtomicBool::new(false),
        };
        identity.reload().await?;
        identity.seal_second_factors().await?;
        Ok(Arc::new(identity))
    }

    /// From now on passwords in this file are refused: one a line, as it is or as its SHA-1 in
    /// hexadecimal with anything after a `:`.
    pub fn set_breached_passwords(&self, file: Option<PathBuf>) {
        *self.breached.write().expect("no holder of this lock panics") = file;
    }

    /// Makes these the roles there are, for everybody at once. Users and tokens whose role is gone
    /// are nobody until it is back.
    pub fn set_roles(&self, roles: Roles) {
        let names = {
            let state = self.read();
            let users = state.users.values().map(|user| (&user.info.name, &user.info.role));
            let tokens = state.tokens.values().map(TokenRow::name_and_role);
            let lost = users.chain(tokens).filter(|(_, role)| roles.get(role).is_none());
            lost.map(|(name, role)| format!("{name} ({role})")).collect::<Vec<_>>()
        };
        if !names.is_empty() {
            warn!("{} users and tokens have a role that is not configured: {names:?}", names.len());
        }
        *self.roles.write().expect("no holder of this lock panics") = Arc::new(roles);
    }

    /// The roles there are.
    pub fn roles(&self) -> Arc<Roles> {
        Arc::clone(&self.roles.read().expect("no holder of this lock panics"))
    }

    fn seal(&self) -> Arc<Seal> {
        Arc::clone(&self.seal.read().expect("no holder of this lock panics"))
    }

    /// The role as it is written down, when there is one of this name.
    fn check_role(&self, name: &str) -> Result<(), IdentityError> {
        let known = self.roles().get(name).is_some();
        if known { Ok(()) } else { Err(IdentityError::NoRole(name.to_owned())) }
    }

    /// The same for a role that people have: what only sends or only reads metrics is for programs.
    fn check_role_of_people(&self, name: &str) -> Result<(), IdentityError> {
        self.check_role(name)?;
        match self.roles().get(name).map(|grant| grant.role) {
            Some(Role::Ingest | Role::Metrics) => Err(IdentityError::RoleOfTokens(name.to_owned())),
            _ => Ok(()),
        }
    }

    /// The principal that the holder of a role is; `None` when there is no such role.
    fn principal(&self, name: &str, kind: PrincipalKind, role: &str) -> Option<Principal> {
        let roles = self.roles();
        let grant = roles.get(role)?;
        Some(Principal {
            name: name.to_owned(),
            kind,
            role: grant.role,
            role_name: grant.name.clone(),
            source: None,
            filters: grant.filters.clone(),
            mask: grant.mask.clone(),
        })
    }

    /// Follows changes by other processes and writes down when tokens were used, until `shutdown`.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut refresh = tokio::time::interval(REFRESH_INTERVAL);
        let mut last_used = tokio::time::interval(LAST_USED_INTERVAL);
        loop {
            let result = tokio::select! {
                () = shutdown.cancelled() => break,
                _ = refresh.tick() => self.refresh().await,
                _ = last_used.tick() => self.write_last_used().await,
            };
            if let Err(error) = result {
                warn!(error = %error, "users and tokens cannot be refreshed: {error}");
            }
        }
        if let Err(error) = self.write_last_used().await {
            warn!(error = %error, "the last use of tokens cannot be written: {error}");
        }
    }

    /// Reads everything again when another process changed something.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Catalog`] when the catalog fails; what was known stays.
    pub async fn refresh(&self) -> Result<(), IdentityError> {
        let version = self.catalog.query(vec![rows::select_version()]).await?;
        if rows::version_of(&version) != self.read().version {
            self.reload().await?;
        }
        Ok(())
    }

    async fn reload(&self) -> Result<(), IdentityError> {
        let answers = self
            .catalog
            .query(vec![
                rows::select_version(),
                users::select(),
                tokens::select(),
                sessions::select(),
                passkeys::select(),
            ])
            .await?;
        let [_, users, tokens, sessions, passkeys] = answers.as_slice() else {
            return Err(rows::unexpected("answer").into());
        };
        let version = rows::version_of(&answers);
        let users = users.iter().map(users::read).collect::<Result<_, _>>()?;
        let tokens: HashMap<_, _> =
            tokens.iter().map(tokens::read).collect::<Result<_, CatalogError>>()?;
        let sessions = sessions.iter().map(sessions::read).collect::<Result<_, _>>()?;
        let passkeys = passkeys.iter().map(passkeys::read).collect::<Result<_, _>>()?;
        let mut state = self.write();
        // A slow answer must not undo a newer one.
        if version >= state.version {
            *state = State { version, users, tokens, sessions, passkeys };
        }
        Ok(())
    }

    async fn write_last_used(&self) -> Result<(), IdentityError> {
        let statements: Vec<Statement> = {
            let state = self.read();
            let tokens = state.tokens.values().filter_map(TokenRow::note_use);
            let sessions =
                state.sessions.iter().filter_map(|(hash, session)| session.note_use(hash));
            tokens.chain(sessions).collect()
        };
        if !statements.is_empty() {
            self.change(statements).await?;
        }
        Ok(())
    }

    /// Does statements in one transaction; answers how many rows each changed.
    async fn change(&self, statements: Vec<Statement>) -> Result<Vec<usize>, CatalogError> {
        rows::change(&*self.catalog, statements).await
    }

    /// The same, tells other processes, and reads everything again.
    async fn change_and_reload(
        &self,
        mut statements: Vec<Statement>,
    ) -> Result<Vec<usize>, IdentityError> {
        statements.push(Statement { sql: BUMP_VERSION, values: Vec::new() });
        let changed = self.change(statements).await?;
        self.reload().await?;
        Ok(changed)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("no holder of this lock panics")
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect("no holder of this lock panics")
    }
}

fn check_name(name: &str) -> Result<(), IdentityError> {
    let is_name = (1..=NAME_CHARS_MAX).contains(&name.chars().count())
        && name.chars().all(|letter| letter.is_alphanumeric() || "-._@".contains(letter))
        && name.chars().any(char::is_alphanumeric);
    if is_name { Ok(()) } else { Err(IdentityError::BadName(name.to_owned())) }
}

/// Sources are named by whoever makes them; only what a terminal would obey is refused.
fn check_source(source: &str) -> Result<(), IdentityError> {
    let is_name = (1..=NAME_CHARS_MAX).contains(&source.chars().count())
        && !source.chars().any(char::is_control)
        && !is_own_name(source);
    if is_name { Ok(()) } else { Err(IdentityError::BadSource) }
}

#[cfg(test)]
mod tests;
