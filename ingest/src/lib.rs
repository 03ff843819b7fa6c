//! Listeners, protocols and normalization: from a record to the journal.

pub mod config;
pub mod normalize;

pub use config::{Config, ConfigError, Limits};
pub use normalize::{Normalizer, Origin};
