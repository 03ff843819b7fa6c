//! What the command line did to users and tokens, until a server writes it into the audit records.
//!
//! A command has no journal of its own: it leaves a line in the catalog, beside what it changed. The server that
//! runs on the data directory, or the next one, takes the lines over and forgets them.

use logwarden_event::Timestamp;

use super::{Identity, IdentityError, rows};
use crate::catalog::{SqlValue, Statement};
use crate::random;

/// Lines handed out at a time.
const LINES_MAX: i64 = 256;

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
    /// Leaves a line for the server.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Catalog`].
    pub async fn tell(
        &self,
        action: &str,
        object: &str,
        message: &str,
    ) -> Result<(), IdentityError> {
        let entropy = u128::from_le_bytes(random::unguessable());
        let statement = Statement {
            sql: "INSERT INTO identity_told (id, at_ns, action, object, message)
                VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO NOTHING",
            values: vec![
                rows::from_text(&format!("{entropy:032x}")),
                rows::from_time(self.clock.now()),
                rows::from_text(action),
                rows::from_text(object),
                rows::from_text(message),
            ],
        };
        rows::change(&*self.catalog, vec![statement]).await?;
        Ok(())
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
