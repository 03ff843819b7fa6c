//! What every input does with its records: the intent first, then the journal, then on.
//!
//! Everything here is patient: what the catalog or the journal does not take now is tried again,
//! until the process stops.

use std::sync::Arc;
use std::time::Duration;

use logwarden_event::EventBuilder;
use logwarden_store::{
    Append, AppendOutcome, Draft, IdempotencyKey, RecordKind, SqlValue, Statement, Step, Store,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::InputReport;
use crate::batch::Batch;
use crate::normalize::Origin;
use crate::pipeline::Pipeline;
use crate::quota::Quota;

/// The dataset of what we note about inputs.
const DATASET: &str = "logwarden.input";
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// The process stops; what was begun is settled at the next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped;

/// Where an input hands its records in.
pub(super) struct Feed {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) store: Store,
    pub(super) origin: Origin,
    pub(super) quota: Arc<Quota>,
    pub(super) name: String,
    /// Its place among the reports.
    pub(super) place: usize,
    pub(super) shutdown: CancellationToken,
}

/// A key for one batch.
pub(super) fn new_nonce() -> [u8; 16] {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).expect("the system has randomness");
    nonce
}

impl Feed {
    /// What was saved of this input, by item.
    pub(super) async fn load<T: DeserializeOwned>(&self) -> Result<Vec<(String, T)>, Stopped> {
        loop {
            let select = Statement {
                sql: "SELECT item, state FROM ingest_inputs WHERE input = ?1",
                values: vec![SqlValue::Text(self.name.clone())],
            };
            let error = match self.store.catalog.query(vec![select]).await {
                Ok(answers) => {
                    let rows = answers.into_iter().flatten();
                    return Ok(rows.filter_map(|row| self.read(row.0)).collect());
                }
                Err(error) => error.to_string(),
            };
            self.trouble(&format!("its position cannot be read: {error}"));
            self.pause(PAUSE).await?;
        }
    }

    fn read<T: DeserializeOwned>(&self, values: Vec<SqlValue>) -> Option<(String, T)> {
        let [SqlValue::Text(item), SqlValue::Text(state)] = values.as_slice() else { return None };
        match serde_json::from_str(state) {
            Ok(state) => Some((item.clone(), state)),
            Err(error) => {
                warn!(input = %self.name, error = %error, "a position cannot be read: {error}");
                None
            }
        }
    }

    /// Saves how far the input came with one item; without a state the item is forgotten.
    pub(super) async fn save<T: Serialize>(
        &self,
        item: &str,
        state: Option<&T>,
    ) -> Result<(), Stopped> {
        let key = || vec![SqlValue::Text(self.name.clone()), SqlValue::Text(item.to_owned())];
        let statement = match state {
            None => Statement {
                sql: "DELETE FROM ingest_inputs WHERE input = ?1 AND item = ?2",
                values: key(),
            },
            Some(state) => {
                let text = serde_json::to_string(state).expect("positions are plain data");
                let mut values = key();
                values.push(SqlValue::Text(text));
                Statement {
                    sql: "INSERT INTO ingest_inputs (input, item, state) VALUES (?1, ?2, ?3)
                          ON CONFLICT (input, item) DO UPDATE SET state = excluded.state",
                    values,
                }
            }
        };
        loop {
            let step = Step { statements: vec![statement.clone()], ..Step::default() };
            match self.store.catalog.step(step).await {
                Ok(_) => return Ok(()),
                Err(error) => self.trouble(&format!("its position cannot be saved: {error}")),
            }
            self.pause(PAUSE).await?;
        }
    }

    /// Makes a batch durable whose intent was saved with this key.
    pub(super) async fn append(&self, batch: Batch, nonce: [u8; 16]) -> Result<(), Stopped> {
        let records = batch.record_count();
        let bytes = usize::try_from(batch.bytes).unwrap_or(usize::MAX);
        let room = tokio::select! {
            () = self.shutdown.cancelled() => return Err(Stopped),
            room = self.quota.room(bytes) => room,
        };
        let key = IdempotencyKey { key: nonce, body: nonce };
        let (origin, quota) = (&self.origin, &self.quota);
        let appended =
            self.pipeline.append_patiently(batch, origin, quota, Some(key), &self.shutdown).await;
        drop(room);
        if !appended {
            return Err(Stopped);
        }
        self.report(|report| {
            report.records += records;
            report.problem.clear();
        });
        Ok(())
    }

    /// Whether the batch of this key is durable, which a crash has left open. The answer is final: a
    /// batch that is not there gets another key. The journal keeps a note in its place.
    pub(super) async fn was_stored(&self, nonce: [u8; 16]) -> Result<bool, Stopped> {
        let mut body = [0; 16];
        body.copy_from_slice(&Sha256::digest(nonce)[..16]);
        let text = format!("input `{}` goes on where it was cut off", self.name);
        let mut event = EventBuilder::new(text.as_bytes());
        event.source(&self.origin.source).dataset(DATASET).message(&text);
        let draft = Draft { kind: RecordKind::Audit, event: event.build() };
        let append = Append {
            drafts: vec![draft],
            idempotency: Some(IdempotencyKey { key: nonce, body }),
            ..Append::default()
        };
        loop {
            let problem = match self.store.journal.append(append.clone()).await {
                Ok(AppendOutcome::KeyConflict) => return Ok(true),
                Ok(AppendOutcome::Appended(_) | AppendOutcome::Duplicate(_)) => return Ok(false),
                Ok(outcome) => format!("the journal answers {outcome:?}"),
                Err(error) => error.to_string(),
            };
            self.trouble(&problem);
            self.pause(PAUSE).await?;
        }
    }

    /// Waits, unless the process stops.
    pub(super) async fn pause(&self, span: Duration) -> Result<(), Stopped> {
        tokio::select! {
            () = self.shutdown.cancelled() => Err(Stopped),
            () = tokio::time::sleep(span) => Ok(()),
        }
    }

    /// Says what is wrong, once as long as it stays the same.
    pub(super) fn trouble(&self, problem: &str) {
        self.report(|report| {
            if report.problem != problem {
                warn!(input = %self.name, "input `{}`: {problem}", self.name);
                problem.clone_into(&mut report.problem);
            }
        });
    }

    pub(super) fn report(&self, change: impl FnOnce(&mut InputReport)) {
        self.pipeline.inputs.change(self.place, change);
    }
}
