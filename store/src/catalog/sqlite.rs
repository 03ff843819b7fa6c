//! What both forms of the catalog do with a SQLite connection: migrations, steps, queries.
//!
//! Synchronous; the callers decide on which thread. Every function is one transaction.

use logwarden_event::Position;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params_from_iter};

use super::{CatalogError, Checkpoint, Migration, Row, SqlValue, Statement, Step, StepOutcome};

/// Names SQLite keeps in memory instead of in a file.
pub(crate) const MEMORY_NAMES: [&str; 2] = ["", ":memory:"];

/// The catalog's own tables.
const OWN_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS migrations (
        room TEXT NOT NULL PRIMARY KEY,
        version INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS checkpoints (
        consumer TEXT NOT NULL,
        lane INTEGER NOT NULL,
        journal BLOB NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (consumer, lane)
    );";

/// What SQLite's own words mean to a caller.
pub(crate) fn failed(error: &rusqlite::Error) -> CatalogError {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => CatalogError::Conflict(error.to_string()),
        Some(ErrorCode::DiskFull) => CatalogError::Full,
        _ => CatalogError::Failed(error.to_string()),
    }
}

/// The same for a commit: an error of the disk leaves open whether it happened.
fn commit_failed(error: &rusqlite::Error) -> CatalogError {
    match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) => CatalogError::Unknown,
        _ => failed(error),
    }
}

/// Makes the catalog's own tables.
pub(crate) fn prepare(db: &mut Connection) -> Result<(), CatalogError> {
    db.execute_batch(OWN_TABLES).map_err(|error| failed(&error))
}

/// Brings the tables of `room` to the newest version.
pub(crate) fn migrate(
    db: &mut Connection,
    room: &str,
    migrations: &[Migration],
) -> Result<(), CatalogError> {
    let transaction = begin(db)?;
    let found = version_of(&transaction, room)?;
    let known = u32::try_from(migrations.len()).expect("fewer than 2^32 migrations");
    if found > known {
        return Err(CatalogError::Version { room: room.to_owned(), found, known });
    }
    if found == known {
        return Ok(());
    }
    for migration in &migrations[found as usize..] {
        transaction.execute_batch(migration).map_err(|error| failed(&error))?;
    }
    transaction
        .execute(
            "INSERT INTO migrations (room, version) VALUES (?1, ?2)
             ON CONFLICT (room) DO UPDATE SET version = excluded.version",
            (room, known),
        )
        .map_err(|error| failed(&error))?;
    transaction.commit().map_err(|error| commit_failed(&error))
}

fn version_of(db: &Connection, room: &str) -> Result<u32, CatalogError> {
    let version =
        db.query_row("SELECT version FROM migrations WHERE room = ?1", [room], |row| row.get(0));
    match version {
        Ok(version) => Ok(version),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(0),
        Err(error) => Err(failed(&error)),
    }
}

/// Commits a step, or tells why nothing was done.
pub(crate) fn step(db: &mut Connection, step: &Step) -> Result<StepOutcome, CatalogError> {
    let transaction = begin(db)?;
    if let Some(outcome) = compare(&transaction, step)? {
        return Ok(outcome);
    }
    let mut rows = Vec::with_capacity(step.statements.len());
    let mut changed = Vec::with_capacity(step.statements.len());
    for statement in &step.statements {
        let before = transaction.total_changes();
        rows.push(run(&transaction, statement)?);
        changed.push(usize::try_from(transaction.total_changes() - before).unwrap_or(usize::MAX));
    }
    for checkpoint in &step.advance {
        advance(&transaction, checkpoint)?;
    }
    transaction.commit().map_err(|error| commit_failed(&error))?;
    Ok(StepOutcome::Done { rows, changed })
}

/// `None` when the checkpoints stand where the step expects them.
fn compare(db: &Connection, step: &Step) -> Result<Option<StepOutcome>, CatalogError> {
    let mut found = Vec::new();
    let mut is_expected = true;
    for (consumer, lane, position) in &step.expected {
        let current = checkpoint(db, consumer, *lane)?;
        is_expected &= current.as_ref().map(|current| current.position) == *position;
        found.extend(current);
    }
    for target in &step.advance {
        let current = checkpoint(db, &target.consumer, target.position.lane)?;
        // A checkpoint before the first record was made with no journal in particular.
        is_expected &= current
            .is_none_or(|current| current.journal == target.journal || current.position.seq <= 1);
    }
    if is_expected {
        return Ok(None);
    }
    let mut is_done = !step.advance.is_empty();
    for target in &step.advance {
        is_done &= checkpoint(db, &target.consumer, target.position.lane)?.as_ref() == Some(target);
    }
    Ok(Some(if is_done { StepOutcome::AlreadyDone } else { StepOutcome::Stale(found) }))
}

fn advance(db: &Connection, checkpoint: &Checkpoint) -> Result<(), CatalogError> {
    let seq = checkpoint.position.seq.cast_signed();
    db.prepare_cached(
        "INSERT INTO checkpoints (consumer, lane, journal, seq) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (consumer, lane) DO UPDATE
         SET journal = excluded.journal, seq = excluded.seq",
    )
    .and_then(|mut statement| {
        statement.execute((&checkpoint.consumer, checkpoint.position.lane, checkpoint.journal, seq))
    })
    .map(drop)
    .map_err(|error| failed(&error))
}

/// Answers all statements on one snapshot.
pub(crate) fn query(
    db: &mut Connection,
    statements: &[Statement],
) -> Result<Vec<Vec<Row>>, CatalogError> {
    let transaction = db.transaction().map_err(|error| failed(&error))?;
    statements.iter().map(|statement| run(&transaction, statement)).collect()
}

/// Where a consumer stands.
pub(crate) fn checkpoint(
    db: &Connection,
    consumer: &str,
    lane: u32,
) -> Result<Option<Checkpoint>, CatalogError> {
    let found = db
        .prepare_cached("SELECT journal, seq FROM checkpoints WHERE consumer = ?1 AND lane = ?2")
        .and_then(|mut statement| {
            statement.query_row((consumer, lane), |row| {
                let seq: i64 = row.get(1)?;
                Ok(Checkpoint {
                    consumer: consumer.to_owned(),
                    journal: row.get(0)?,
                    position: Position { lane, seq: seq.cast_unsigned() },
                })
            })
        });
    match found {
        Ok(checkpoint) => Ok(Some(checkpoint)),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}

/// Every checkpoint there is.
pub(crate) fn checkpoints(db: &mut Connection) -> Result<Vec<Checkpoint>, CatalogError> {
    let read = || -> rusqlite::Result<Vec<Checkpoint>> {
        let mut statement = db.prepare_cached(
            "SELECT consumer, lane, journal, seq FROM checkpoints ORDER BY consumer, lane",
        )?;
        let rows = statement.query_map([], |row| {
            let seq: i64 = row.get(3)?;
            Ok(Checkpoint {
                consumer: row.get(0)?,
                position: Position { lane: row.get(1)?, seq: seq.cast_unsigned() },
                journal: row.get(2)?,
            })
        })?;
        rows.collect()
    };
    read().map_err(|error| failed(&error))
}

fn begin(db: &mut Connection) -> Result<Transaction<'_>, CatalogError> {
    db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| failed(&error))
}

fn run(db: &Connection, statement: &Statement) -> Result<Vec<Row>, CatalogError> {
    let run = || -> rusqlite::Result<Vec<Row>> {
        let mut prepared = db.prepare_cached(statement.sql)?;
        let columns = prepared.column_count();
        let mut rows = prepared.query(params_from_iter(statement.values.iter().map(to_sqlite)))?;
        let mut answer = Vec::new();
        while let Some(row) = rows.next()? {
            let values = (0..columns).map(|column| Ok(from_sqlite(row.get_ref(column)?)));
            answer.push(Row(values.collect::<rusqlite::Result<_>>()?));
        }
        Ok(answer)
    };
    run().map_err(|error| failed(&error))
}

fn to_sqlite(value: &SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(number) => Value::Integer(*number),
        SqlValue::Real(number) => Value::Real(*number),
        SqlValue::Text(text) => Value::Text(text.clone()),
        SqlValue::Blob(bytes) => Value::Blob(bytes.clone()),
    }
}

fn from_sqlite(value: ValueRef<'_>) -> SqlValue {
    match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(number) => SqlValue::Integer(number),
        ValueRef::Real(number) => SqlValue::Real(number),
        ValueRef::Text(text) => SqlValue::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => SqlValue::Blob(bytes.to_vec()),
    }
}
