//! The catalog in memory, for simulations: a crash leaves the last committed transaction, and by
//! seed a step answers [`CatalogError::Unknown`], done or not.
//!
//! Everything happens on the caller's thread, so that a run repeats from its seed.

use std::sync::Mutex;

use async_trait::async_trait;
use rusqlite::Connection;

use super::sqlite;
use super::{Catalog, CatalogError, Checkpoint, Migration, Row, Statement, Step, StepOutcome};
use crate::disk::simulated::SimulatedDisk;
use crate::random::Random;

/// A catalog that lives as long as its simulation.
pub(crate) struct SimulatedCatalog {
    state: Mutex<State>,
}

struct State {
    db: Connection,
    random: Random,
    unknown_per_mille: u32,
    /// The disk of the same process: when that is dead, nobody is there to ask.
    disk: SimulatedDisk,
}

impl SimulatedCatalog {
    /// An empty catalog whose faults follow from `random`.
    pub(crate) fn new(random: Random, disk: SimulatedDisk) -> Result<Self, CatalogError> {
        let mut db = Connection::open_in_memory().map_err(|error| sqlite::failed(&error))?;
        sqlite::prepare(&mut db)?;
        let state = State { db, random, unknown_per_mille: 0, disk };
        Ok(Self { state: Mutex::new(state) })
    }

    /// Brings tables up to date without waiting.
    pub(crate) fn migrate_now(
        &self,
        room: &str,
        migrations: &[Migration],
    ) -> Result<(), CatalogError> {
        self.with(|state| sqlite::migrate(&mut state.db, room, migrations))
    }

    /// Every checkpoint there is.
    pub(crate) fn checkpoints_now(&self) -> Result<Vec<Checkpoint>, CatalogError> {
        self.with(|state| sqlite::checkpoints(&mut state.db))
    }

    /// How many of a thousand steps answer that they do not know.
    pub(crate) fn set_unknown_per_mille(&self, unknown_per_mille: u32) {
        self.lock().unknown_per_mille = unknown_per_mille;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        let mut state = self.lock();
        if state.disk.has_crashed() {
            return Err(CatalogError::Unknown);
        }
        work(&mut state)
    }
}

#[async_trait]
impl Catalog for SimulatedCatalog {
    async fn migrate(
        &self,
        room: &'static str,
        migrations: &'static [Migration],
    ) -> Result<(), CatalogError> {
        self.with(|state| sqlite::migrate(&mut state.db, room, migrations))
    }

    async fn step(&self, step: Step) -> Result<StepOutcome, CatalogError> {
        self.with(|state| {
            if !state.random.happens(state.unknown_per_mille) {
                return sqlite::step(&mut state.db, &step);
            }
            if state.random.happens(500) {
                sqlite::step(&mut state.db, &step)?;
            }
            Err(CatalogError::Unknown)
        })
    }

    async fn query(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, CatalogError> {
        self.with(|state| sqlite::query(&mut state.db, &statements))
    }

    async fn checkpoint(
        &self,
        consumer: &str,
        lane: u32,
    ) -> Result<Option<Checkpoint>, CatalogError> {
        self.with(|state| sqlite::checkpoint(&state.db, consumer, lane))
    }
}
