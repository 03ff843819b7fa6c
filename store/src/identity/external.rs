//! Who a provider of identities vouches for: users without a password, and programs with its tokens.

use std::sync::Arc;

use super::authorize::{Principal, PrincipalKind};
use super::sessions::SessionToken;
use super::{Identity, IdentityError, check_name, rows};
use crate::catalog::Statement;

/// Somebody whom a provider has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalUser {
    /// Which provider.
    pub provider: String,
    /// What it calls them; never anybody else.
    pub subject: String,
    /// The name they have here.
    pub name: String,
    /// The name of their role.
    pub role: String,
}

/// A program that brought a provider's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalProgram {
    /// The name it has here.
    pub name: String,
    /// The name of its role.
    pub role: String,
    /// The only source it may write as or see.
    pub source: Option<String>,
}

/// Tells whose token this is; `None` for every reason alike. Called for every request with a token
/// that is none of ours, so it must not wait.
pub type ExternalTokens = Arc<dyn Fn(&str) -> Option<ExternalProgram> + Send + Sync>;

impl Identity {
    /// From now on tokens that are none of ours are asked about there.
    pub fn set_external_tokens(&self, tokens: ExternalTokens) {
        *self.external.write().expect("no holder of this lock panics") = Some(tokens);
    }

    /// Signs in somebody whom a provider vouches for. Their account is made, or takes the role they
    /// have now; sessions that they have under another role end.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Taken`] when the name is that of a local account or of another person at the
    /// provider, whatever its case; [`IdentityError::NoRole`]; [`IdentityError::BadName`].
    pub async fn sign_in_external(
        &self,
        user: &ExternalUser,
    ) -> Result<SessionToken, IdentityError> {
        let ExternalUser { provider, subject, name, role } = user;
        check_name(name)?;
        self.check_role_of_people(role)?;
        self.check_not_alike(name)?;
        let end_others = Statement {
            sql: "DELETE FROM sessions WHERE user_name = ?1 AND EXISTS (SELECT 1 FROM users
                  WHERE name = ?1 AND provider = ?2 AND subject = ?3 AND role <> ?4)",
            values: [name, provider, subject, role].map(|text| rows::from_text(text)).to_vec(),
        };
        let statement = Statement {
            // Nobody signs in with an empty hash: it is none.
            sql: "INSERT INTO users (name, role, password_hash, created_at, provider, subject)
                  VALUES (?1, ?2, '', ?3, ?4, ?5)
                  ON CONFLICT (name) DO UPDATE SET role = excluded.role
                  WHERE users.provider = excluded.provider AND users.subject = excluded.subject",
            values: vec![
                rows::from_text(name),
                rows::from_text(role),
                rows::from_time(self.now()),
                rows::from_text(provider),
                rows::from_text(subject),
            ],
        };
        if self.change_and_reload(vec![end_others, statement]).await?.get(1) == Some(&0) {
            return Err(IdentityError::Taken(name.clone()));
        }
        self.create_session(name).await
    }

    /// Ends the sessions of somebody to whom a provider gives no role any more.
    ///
    /// # Errors
    ///
    /// When the catalog cannot be written.
    pub async fn end_external_sessions(
        &self,
        provider: &str,
        subject: &str,
    ) -> Result<(), IdentityError> {
        let statement = Statement {
            sql: "DELETE FROM sessions WHERE user_name IN
                  (SELECT name FROM users WHERE provider = ?1 AND subject = ?2)",
            values: [provider, subject].map(rows::from_text).to_vec(),
        };
        self.change_and_reload(vec![statement]).await.map(drop)
    }

    /// The program that brings a token which is none of ours.
    pub(super) fn authenticate_external(&self, token: &str) -> Option<Principal> {
        let external = self.external.read().expect("no holder of this lock panics").clone()?;
        let program = external(token)?;
        let mut principal = self.principal(&program.name, PrincipalKind::Token, &program.role)?;
        principal.source = program.source;
        Some(principal)
    }

    /// Refuses to give a password to somebody who has one at their provider.
    pub(super) fn check_is_local(&self, name: &str) -> Result<(), IdentityError> {
        let state = self.read();
        let provider = state.users.get(name).and_then(|user| user.info.provider.clone());
        provider.map_or(Ok(()), |provider| Err(IdentityError::External(provider)))
    }
}
