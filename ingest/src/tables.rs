//! The tables of this crate in the catalog, and how they came to be.

use logwarden_store::Migration;

use crate::{health, input, replay};

/// The name under which ingest keeps its tables.
pub(crate) const ROOM: &str = "ingest";

/// Numbered by their place; what was released is never edited.
pub(crate) const MIGRATIONS: &[Migration] =
    &[health::SOURCES_TABLE, replay::REPLAYS_TABLE, input::INPUTS_TABLE];
