//! The embedded store over a simulated disk, for the tests of every crate.
//!
//! A run repeats from its seed: no threads, no wall clock, no randomness but the seed's. Nothing
//! goes wrong until the test asks for it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use logwarden_event::{ManualClock, Timestamp};

use crate::blobs::local::LocalBlobs;
use crate::catalog::simulated::SimulatedCatalog;
use crate::config::{Config, OnForeignJournal};
use crate::disk::Disk;
use crate::disk::simulated::SimulatedDisk;
use crate::error::OpenError;
use crate::journal::idempotency;
use crate::journal::local::{Driver, LocalJournal, Setup};
use crate::random::{Entropy, Random};
use crate::replay::Replays;
use crate::{Recovery, Store, check_checkpoints};

pub use crate::disk::simulated::DiskFaults;

/// When a simulation begins: a fixed instant, so that runs repeat (2026-01-01T00:00:00Z).
pub const EPOCH: Timestamp = Timestamp::from_secs(1_767_225_600);

/// Size of the simulated volume, in bytes.
pub const VOLUME_BYTES: u64 = 1024 * 1024 * 1024;

/// Size of a segment, in bytes: small, so that simulations meet many of them.
const SEGMENT_BYTES: u64 = 256 * 1024;

/// What goes wrong in a simulation, and how often. The default is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// What the disk does.
    pub disk: DiskFaults,
    /// Steps of a thousand to which the catalog answers that it does not know; half of them are
    /// done.
    pub catalog_unknown_per_mille: u32,
}

/// The world around a simulated store: its disk, its clock, its accidents.
pub struct Simulation {
    disk: SimulatedDisk,
    catalog: Arc<SimulatedCatalog>,
    clock: Arc<ManualClock>,
    entropy: Mutex<Random>,
    config: Config,
}

impl Simulation {
    pub(crate) fn new(seed: u64) -> Result<Self, OpenError> {
        let mut random = Random::new(seed);
        let disk = SimulatedDisk::new(random.fork(), VOLUME_BYTES);
        Ok(Self {
            catalog: Arc::new(SimulatedCatalog::new(random.fork(), disk.clone())?),
            disk,
            clock: Arc::new(ManualClock::new(EPOCH)),
            entropy: Mutex::new(random.fork()),
            config: Config {
                segment_bytes: SEGMENT_BYTES,
                reserve_bytes: SEGMENT_BYTES,
                consumers: Vec::new(),
                ..Config::default()
            },
        })
    }

    /// Settings of the store from the next [`Simulation::reopen`] on.
    pub fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    /// The clock of the store; move it at will.
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    /// What goes wrong from now on, until the next crash.
    pub fn set_faults(&self, faults: Faults) {
        self.disk.set_faults(faults.disk);
        self.catalog.set_unknown_per_mille(faults.catalog_unknown_per_mille);
    }

    /// Leaves `free_bytes` on the volume; 0 fills it.
    pub fn set_free_bytes(&self, free_bytes: u64) {
        self.disk.set_free_bytes(free_bytes);
    }

    /// Gives the volume another size, for the next [`Simulation::reopen`].
    pub fn set_volume_bytes(&self, volume_bytes: u64) {
        self.disk.set_volume_bytes(volume_bytes);
    }

    /// Bytes free on the volume.
    pub fn free_bytes(&self) -> u64 {
        self.disk.volume().map_or(0, |volume| volume.free_bytes.min(volume.total_bytes))
    }

    /// Bytes all files take.
    pub fn used_bytes(&self) -> u64 {
        self.disk.used_bytes().unwrap_or(0)
    }

    /// Syncs that failed so far.
    pub fn sync_failures(&self) -> u64 {
        self.disk.sync_failures()
    }

    /// Writes that found no room so far.
    pub fn no_room_errors(&self) -> u64 {
        self.disk.no_room_errors()
    }

    /// Flips one durable bit of a file whose path begins with `prefix` (`wal/`, `blobs/`); tells
    /// which file and byte, or that there is none.
    pub fn flip_bit(&self, prefix: &str) -> Option<(String, u64)> {
        self.disk.flip_bit(prefix)
    }

    /// Whether the process died by itself ([`DiskFaults::crash_after_operations`]).
    pub fn has_crashed(&self) -> bool {
        self.disk.has_crashed()
    }

    /// The power goes and comes back. Everything that was opened before is dead: its calls fail.
    pub fn crash(&self) {
        self.disk.crash();
    }

    /// The process dies and nothing else; what was written but not synced is still there.
    pub fn kill(&self) {
        self.disk.kill();
    }

    /// Opens the store again, as a start of the process does.
    ///
    /// # Errors
    ///
    /// [`OpenError`] as [`Store::embedded`].
    pub fn reopen(&self) -> Result<(Store, Recovery), OpenError> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let clock = Arc::clone(&self.clock);
        let blobs = LocalBlobs::open(Arc::clone(&disk))
            .map_err(|error| OpenError::io_at("blobs", &error))?;
        self.catalog.migrate_now(idempotency::ROOM, idempotency::MIGRATIONS)?;
        let random = self.entropy.lock().expect("no holder of this lock panics").fork();
        let setup = Setup {
            disk: Arc::clone(&disk),
            catalog: self.catalog.clone(),
            clock: clock.clone(),
            config: &self.config,
            entropy: Entropy::Seeded(random),
            driver: Driver::Inline,
        };
        let (journal, recovery) = LocalJournal::open(setup)?;
        if self.config.on_foreign_journal == OnForeignJournal::Refuse {
            check_checkpoints(&journal, &self.config, &self.catalog.checkpoints_now()?)?;
        }
        let store = Store {
            journal: Arc::new(journal),
            blobs: Arc::new(blobs),
            catalog: self.catalog.clone(),
            clock,
            replays: Replays::new(disk),
        };
        Ok((store, recovery))
    }
}
