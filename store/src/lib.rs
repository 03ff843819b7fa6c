//! Everything durable: journal, blobs, catalog, identity, secrets.
//!
//! Three doors, each with an embedded and a simulated form, shaped so that a clustered form is one
//! more implementation: [`Journal`] (the ordered log of records), [`Blobs`] (immutable files) and
//! [`Catalog`] (small records with transactions). This crate knows neither alerts nor queries.

pub mod blobs;
pub mod catalog;
pub mod config;
mod disk;
mod error;
pub mod identity;
pub mod journal;
pub mod metrics;
mod random;
pub mod replay;
pub mod seal;
pub mod secret;
pub mod simulation;

use std::path::Path;
use std::sync::Arc;

use logwarden_event::{Clock, Position};

pub use blobs::{BlobError, Blobs};
pub use catalog::{
    Catalog, CatalogError, Checkpoint, Migration, Row, SqlValue, Statement, Step, StepOutcome,
};
pub use config::Config;
pub use error::OpenError;
pub use journal::{
    Append, AppendOutcome, Chunk, Draft, Fullness, IdempotencyKey, Journal, JournalError,
    JournalHealth, JournalState, Receipt, Record, RecordKind,
};
pub use replay::{Replay, Replays};
pub use secret::{Secret, SecretError, SecretRef};
pub use simulation::Simulation;

use blobs::chunks::ChunkCache;
use blobs::local::LocalBlobs;
use blobs::remote::RemoteBlobs;
use catalog::embedded::EmbeddedCatalog;
use config::{OnForeignJournal, OnFull, S3Config};
use disk::Disk;
use disk::real::{RealDisk, check_private_dir, create_private_dir};
use journal::idempotency;
use journal::local::{Driver, LocalJournal, Setup};
use random::Entropy;

/// The catalog's file in the data directory.
const CATALOG_FILE: &str = "catalog.db";

/// The doors a role works through.
#[derive(Clone)]
pub struct Store {
    /// The ordered, durable log of records.
    pub journal: Arc<dyn Journal>,
    /// Immutable files.
    pub blobs: Arc<dyn Blobs>,
    /// Small records with transactions.
    pub catalog: Arc<dyn Catalog>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where consumers note what they are at work on.
    pub replays: Replays,
}

/// What recovery found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Records in the journal.
    pub records: u64,
    /// Segments of the journal.
    pub segments: usize,
    /// Bytes of a tail that was never acknowledged and was cut off.
    pub torn_tail_bytes: u64,
    /// Records that were lost to damage.
    pub gaps: Vec<Gap>,
    /// Files that were put aside in `quarantine/`.
    pub quarantined: Vec<String>,
}

/// Records that are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first position missing.
    pub from: Position,
    /// The next position that can be read.
    pub to: Position,
}

impl Store {
    /// Opens the store in one directory of this machine, and takes its lock.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the directory is in use, readable by others, damaged or too new.
    pub async fn embedded(
        config: &Config,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Recovery), OpenError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(&config.data_dir)?);
        let catalog = Arc::new(EmbeddedCatalog::open(&config.data_dir.join(CATALOG_FILE))?);
        let local =
            LocalBlobs::open(disk.clone()).map_err(|error| OpenError::io_at("blobs", &error))?;
        catalog.migrate(idempotency::ROOM, idempotency::MIGRATIONS).await?;
        let setup = Setup {
            disk: Arc::clone(&disk),
            catalog: catalog.clone(),
            clock: Arc::clone(&clock),
            config,
            entropy: Entropy::System,
            driver: Driver::Threads,
        };
        let (journal, recovery) = LocalJournal::open(setup)?;
        if config.on_foreign_journal == OnForeignJournal::Refuse {
            check_checkpoints(&journal, config, &catalog.checkpoints().await?)?;
        }
        let blobs = match &config.s3 {
            None => Arc::new(local) as Arc<dyn Blobs>,
            Some(s3) => open_bucket(&local, s3.clone(), journal.identity(), disk.clone()).await?,
        };
        let store =
            Self { journal: Arc::new(journal), blobs, catalog, clock, replays: Replays::new(disk) };
        Ok((store, recovery))
    }

    /// Begins a consumer's way through the journal; one at a time for each consumer.
    pub async fn replay(&self, consumer: &'static str) -> Replay {
        self.replays.open(Arc::clone(&self.journal), consumer).await
    }

    /// Makes an empty store over a simulated disk; the run repeats from `seed`.
    ///
    /// # Panics
    ///
    /// When SQLite cannot make a database in memory.
    pub fn simulated(seed: u64) -> (Self, Simulation) {
        let simulation = Simulation::new(seed).expect("a database in memory can be made");
        let (store, _) = simulation.reopen().expect("an empty simulated disk can be opened");
        (store, simulation)
    }
}

impl Config {
    /// Looks at who may read the data directory, as a start would; makes and changes nothing.
    ///
    /// # Errors
    ///
    /// [`OpenError::Readable`] when others may, [`OpenError::Io`] when it is no directory of ours.
    pub fn check_data_dir(&self) -> Result<(), OpenError> {
        check_private_dir(&self.data_dir)
    }
}

/// Opens the blobs in a bucket. Those of the data directory would be missing: a node that has some
/// does not begin with a bucket.
async fn open_bucket(
    local: &LocalBlobs,
    s3: S3Config,
    identity: [u8; 16],
    disk: Arc<dyn Disk>,
) -> Result<Arc<dyn Blobs>, OpenError> {
    let unreadable = |error: BlobError| OpenError::Blobs(error.to_string());
    let left = local.list("").map_err(unreadable)?.len();
    if left > 0 {
        let reason = format!("`storage.s3` is set, but {left} blobs lie in the data directory");
        return Err(OpenError::Blobs(reason));
    }
    let cache = ChunkCache::open(disk, s3.cache_bytes_max)
        .map_err(|error| OpenError::io_at("cache", &error))?;
    let open = move || RemoteBlobs::open_as(&s3, identity, cache);
    let opened = tokio::task::spawn_blocking(open).await;
    let blobs = opened.map_err(|error| OpenError::Blobs(error.to_string()))??;
    Ok(Arc::new(blobs))
}

/// Checks that every checkpoint was made with this journal, does not lie behind its end, and that
/// every consumer has one behind its start.
fn check_checkpoints(
    journal: &LocalJournal,
    config: &Config,
    checkpoints: &[Checkpoint],
) -> Result<(), OpenError> {
    for checkpoint in checkpoints {
        // Whoever has read nothing yet may begin anywhere.
        if checkpoint.position.seq <= 1 {
            continue;
        }
        let end = journal.end(checkpoint.position.lane).seq;
        if checkpoint.journal != journal.identity() || checkpoint.position.seq > end {
            return Err(OpenError::ForeignJournal {
                consumer: checkpoint.consumer.clone(),
                position: checkpoint.position.seq,
                end,
            });
        }
    }
    let start = journal.start(0).seq;
    // Only what every consumer has in its checkpoint is let go, unless room or damage took it.
    let may_have_lost = journal.is_damaged() || config.on_full == OnFull::DropOldest;
    let known = config.consumers.iter().map(|consumer| {
        let checkpoint = checkpoints.iter().find(|checkpoint| checkpoint.consumer == *consumer);
        checkpoint.map_or(1, |checkpoint| checkpoint.position.seq)
    });
    match known.min() {
        Some(known) if known < start && !may_have_lost => {
            Err(OpenError::CatalogBehind { start, known })
        }
        _ => Ok(()),
    }
}

/// Opens the catalog of a data directory alone, for the command line beside a running server.
///
/// An empty directory gets a catalog and nothing else; the lock is not taken.
///
/// # Errors
///
/// [`OpenError`] when the directory cannot be made or is readable by others.
pub fn open_catalog(
    data_dir: &Path,
    _clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Catalog>, OpenError> {
    create_private_dir(data_dir)?;
    Ok(Arc::new(EmbeddedCatalog::open(&data_dir.join(CATALOG_FILE))?))
}
