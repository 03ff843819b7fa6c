//! What the command line did to users and tokens, until a server writes it into the audit records.
//!
//! A command has no journal of its own: it leaves a line in the catalog, in the transaction of what it changed. The
//! server that runs on the data directory, or the next one, takes the lines over and forgets them.

use std::sync::atomic::Ordering;

use logwarden_event::Timestamp;

use super::{Identity, IdentityError, rows};
use crate::catalog::{SqlValue, Statement};
use crate::random;

/// Lines handed out at a time.
const LINES_MAX: i64 = 256;

/// Where a line belongs to a change: it is left only when the change is made, and with it.
pub(super) enum Made<'a> {
    /// The token of this hash is there.
    Token(&'a [u8; 32]),
    /// The token of this name was revoked.
    Revoked(&'a str),
    /// A user has this hash of a password.
    User(&'a str),
}

/// One thing that a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    id: String,
    /// When.
    pub at: Timestamp,
    /// What was done, such as `token.create`.
    pub action: String,
    /// To what.
    pub object: String,
    /// In words; the rest of a sentence after who did it.
    pub message: String,
}

impl Identity {
    /// From now on every token and user that is made, and every token that is revoked, leaves a line for the server:
    /// the commands call this, which have no audit records of their own.
    pub fn leave_lines(&self) {
        self.leaves_lines.store(true, Ordering::Relaxed);
    }

    /// The statement that leaves a line when the change before it in the same transaction is made.
    pub(super) fn line(
        &self,
        made: &Made<'_>,
        action: &str,
        object: &str,
        message: &str,
    ) -> Option<Statement> {
        let (sql, mark) = match made {
            Made::Token(hash) => (
                "INSERT INTO identity_told (id, at_ns, action, object, message)
                 SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM tokens WHERE hash = ?6)
                 ON CONFLICT (id) DO NOTHING",
                SqlValue::Blob(hash.to_vec()),
            ),
            Made::Revoked(name) => (
                "INSERT INTO identity_told (id, at_ns, action, object, message)
                 SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM tokens WHERE name = ?6)
                 ON CONFLICT (id) DO NOTHING",
                rows::from_text(name),
            ),
            Made::User(password_hash) => (
                "INSERT INTO identity_told (id, at_ns, action, object, message)
                 SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM users WHERE password_hash = ?6)
                 ON CONFLICT (id) DO NOTHING",
                rows::from_text(password_hash),
            ),
        };
        let entropy = u128::from_le_bytes(random::unguessable());
        self.leaves_lines.load(Ordering::Relaxed).then(|| Statement {
            sql,
            values: vec![
                rows::from_text(&format!("{entropy:032x}")),
                rows::from_time(self.clock.now()),
                rows::from_text(action),
                rows::from_text(object),
                rows::from_text(message),
                mark,
            ],
        })
    }

    /// The oldest lines that no server has taken over yet.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Catalog`].
    pub async fn told(&self) -> Result<Vec<Told>, IdentityError> {
        let statement = Statement {
            sql: "SELECT id, at_ns, action, object, message FROM identity_told
                ORDER BY at_ns, id LIMIT ?1",
            values: vec![SqlValue::Integer(LINES_MAX)],
        };
        let answers = self.catalog.query(vec![statement]).await?;
        let mut told = Vec::new();
        for row in answers.into_iter().flatten() {
            let [id, at, action, object, message] = row.0.as_slice() else {
                return Err(rows::unexpected("line").into());
            };
            told.push(Told {
                id: rows::text(id)?,
                at: rows::time(at)?,
                action: rows::text(action)?,
                object: rows::text(object)?,
                message: rows::text(message)?,
            });
        }
        Ok(told)
    }

    /// Forgets a line that was taken over.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Catalog`].
    pub async fn forget(&self, told: &Told) -> Result<(), IdentityError> {
        let statement = Statement {
            sql: "DELETE FROM identity_told WHERE id = ?1",
            values: vec![rows::from_text(&told.id)],
        };
        rows::change(&*self.catalog, vec![statement]).await?;
        Ok(())
    }
}
