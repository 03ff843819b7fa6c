//! The catalog in SQLite: one file, one thread that writes, one that reads.
//!
//! Write-ahead mode with `synchronous=FULL`: a step that was answered is on the disk. The command
//! line may have the same file open at the same time; each side waits for the other at most
//! [`BUSY_TIMEOUT`]. Requests wait in bounded channels, callers wait for room in them.

use std::path::Path;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::sqlite::{self, MEMORY_NAMES};
use super::{Catalog, CatalogError, Checkpoint, Migration, Row, Statement, Step, StepOutcome};

/// How long one process waits for another one's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests that wait for a thread; more wait at their callers.
const REQUESTS_MAX: usize = 256;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The catalog of one data directory.
pub(crate) struct EmbeddedCatalog {
    writer: mpsc::Sender<Job>,
    reader: mpsc::Sender<Job>,
}

impl EmbeddedCatalog {
    /// Opens or creates the file at `path`, with mode 0600.
    pub(crate) fn open(path: &Path) -> Result<Self, CatalogError> {
        debug_assert!(!MEMORY_NAMES.contains(&path.to_string_lossy().as_ref()));
        create_private(path).map_err(|error| CatalogError::Failed(error.to_string()))?;
        let mut writer = connect(path)?;
        sqlite::prepare(&mut writer)?;
        let reader = connect(path)?;
        reader.pragma_update(None, "query_only", true).map_err(|error| sqlite::failed(&error))?;
        Ok(Self { writer: spawn("catalog-write", writer)?, reader: spawn("catalog-read", reader)? })
    }

    /// Every checkpoint there is.
    pub(crate) async fn checkpoints(&self) -> Result<Vec<Checkpoint>, CatalogError> {
        self.run(&self.reader, sqlite::checkpoints).await
    }

    async fn run<T: Send + 'static>(
        &self,
        thread: &mpsc::Sender<Job>,
        work: impl FnOnce(&mut Connection) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // The caller may have gone; the work is done all the same.
            let _ = answer.send(work(connection));
        });
        let gone = |_| CatalogError::Failed("its thread has ended".to_owned());
        thread.send(job).await.map_err(|_| CatalogError::Failed("its thread has ended".into()))?;
        answered.await.map_err(gone)?
    }
}

#[async_trait]
impl Catalog for EmbeddedCatalog {
    async fn migrate(
        &self,
        room: &'static str,
        migrations: &'static [Migration],
    ) -> Result<(), CatalogError> {
        self.run(&self.writer, move |db| sqlite::migrate(db, room, migrations)).await
    }

    async fn step(&self, step: Step) -> Result<StepOutcome, CatalogError> {
        self.run(&self.writer, move |db| sqlite::step(db, &step)).await
    }

    async fn query(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, CatalogError> {
        self.run(&self.reader, move |db| sqlite::query(db, &statements)).await
    }

    async fn checkpoint(
        &self,
        consumer: &str,
        lane: u32,
    ) -> Result<Option<Checkpoint>, CatalogError> {
        let consumer = consumer.to_owned();
        self.run(&self.reader, move |db| sqlite::checkpoint(db, &consumer, lane)).await
    }
}

fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map(drop)
}

fn connect(path: &Path) -> Result<Connection, CatalogError> {
    let connection = Connection::open(path).map_err(|error| sqlite::failed(&error))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| sqlite::failed(&error))?;
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .and_then(|()| connection.pragma_update(None, "synchronous", "FULL"))
        .and_then(|()| connection.pragma_update(None, "foreign_keys", true))
        .map_err(|error| sqlite::failed(&error))?;
    Ok(connection)
}

/// Starts a thread that works off jobs until the last sender is gone.
fn spawn(name: &str, mut connection: Connection) -> Result<mpsc::Sender<Job>, CatalogError> {
    let (sender, mut jobs) = mpsc::channel::<Job>(REQUESTS_MAX);
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            while let Some(job) = jobs.blocking_recv() {
                job(&mut connection);
            }
        })
        .map_err(|error| CatalogError::Failed(error.to_string()))?;
    Ok(sender)
}
