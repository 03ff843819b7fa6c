//! The catalog: small records with transactions.
//!
//! It knows no type of the floors above: each crate brings its own migrations and statements, in
//! the part of SQL that SQLite and PostgreSQL share (placeholders `?1`, `ON CONFLICT`, `RETURNING`).

pub(crate) mod embedded;
pub(crate) mod simulated;
pub(crate) mod sqlite;

use async_trait::async_trait;
use logwarden_event::Position;

/// A value in a row.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlValue {
    /// `NULL`.
    Null,
    /// A 64-bit integer; also booleans (0, 1) and times (nanoseconds).
    Integer(i64),
    /// A double.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// One row of an answer, in the order of the columns asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(pub Vec<SqlValue>);

/// One SQL statement with its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The text; never built from values.
    pub sql: &'static str,
    /// The values for `?1`, `?2`, ….
    pub values: Vec<SqlValue>,
}

/// A change of one crate's tables. Migrations are numbered by their place and never edited.
pub type Migration = &'static str;

/// Up to where a consumer's effects on one lane are durable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    /// Who: `index`, `detector`.
    pub consumer: String,
    /// The journal it belongs to.
    pub journal: [u8; 16],
    /// The next position to consume.
    pub position: Position,
}

/// A transaction: moves checkpoints and writes their outputs together.
///
/// A step with checkpoints can be repeated: once done, doing it again answers
/// [`StepOutcome::AlreadyDone`]. Statements of a step without checkpoints must be repeatable by
/// themselves (`ON CONFLICT DO NOTHING`).
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// What the checkpoints must be; `None` as position means that there is none yet.
    pub expected: Vec<(String, u32, Option<Position>)>,
    /// What they become.
    pub advance: Vec<Checkpoint>,
    /// What is written with them, in order.
    pub statements: Vec<Statement>,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum StepOutcome {
    /// Committed and durable. Rows per statement (of `RETURNING`), and rows changed per statement.
    Done {
        /// Answers of statements that return rows.
        rows: Vec<Vec<Row>>,
        /// Rows each statement changed.
        changed: Vec<usize>,
    },
    /// The checkpoints already stand where this step moves them. Nothing was done.
    AlreadyDone,
    /// Another one moved the checkpoints. Nothing was done.
    Stale(Vec<Checkpoint>),
}

/// Why the catalog cannot serve.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CatalogError {
    /// It may be committed or not: repeat the step.
    #[error("catalog did not say whether it committed")]
    Unknown,
    /// A constraint was violated, such as a name that is taken. Nothing was done.
    #[error("catalog refused: {0}")]
    Conflict(String),
    /// No room on the disk.
    #[error("catalog has no room")]
    Full,
    /// A newer release wrote the tables of this crate.
    #[error("tables of `{room}` have version {found}, this release knows up to {known}")]
    Version {
        /// Whose tables.
        room: String,
        /// The version found.
        found: u32,
        /// The newest version known.
        known: u32,
    },
    /// Anything else.
    #[error("catalog failed: {0}")]
    Failed(String),
}

/// Small records with transactions.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Brings the tables of `room` (a crate's name) to the newest version.
    async fn migrate(
        &self,
        room: &'static str,
        migrations: &'static [Migration],
    ) -> Result<(), CatalogError>;

    /// Commits a step, durably.
    async fn step(&self, step: Step) -> Result<StepOutcome, CatalogError>;

    /// Answers read-only statements, all on one snapshot.
    async fn query(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, CatalogError>;

    /// Where `consumer` stands on `lane`.
    async fn checkpoint(
        &self,
        consumer: &str,
        lane: u32,
    ) -> Result<Option<Checkpoint>, CatalogError>;
}
