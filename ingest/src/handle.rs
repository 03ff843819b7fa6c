//! What the API asks of running ingest: how sources and inputs are, dead letters once more.

use std::collections::HashMap;
use std::sync::Arc;

use logwarden_event::{Event, EventId, Timestamp};
use logwarden_store::CatalogError;

use crate::health::SourceReport;
use crate::input::InputReport;
use crate::pipeline::Pipeline;
use crate::quota::QuotaUse;
use crate::replay::{self, ReplayError, Replayed};

/// A way to ask running ingest; cheap to clone, and harmless once it has stopped.
#[derive(Clone)]
pub struct Handle {
    pub(crate) pipeline: Arc<Pipeline>,
}

impl Handle {
    /// How every source is, and how much of its quota it uses, by name.
    pub fn sources(&self) -> Vec<(SourceReport, QuotaUse)> {
        let now = self.pipeline.now();
        let with_quota = |report: SourceReport| {
            let quota = self.pipeline.quotas.of(&report.name).used(now);
            (report, quota)
        };
        self.pipeline.health.reports(now).into_iter().map(with_quota).collect()
    }

    /// How every input is, in the order of the configuration.
    pub fn inputs(&self) -> Vec<InputReport> {
        self.pipeline.inputs.all()
    }

    /// Sends dead letters through the present parser; what reads now is stored, each letter once.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] when journal or catalog do not serve; what was done until then counts.
    pub async fn replay(&self, letters: &[Event]) -> Result<Vec<Replayed>, ReplayError> {
        replay::replay(&self.pipeline, letters).await
    }

    /// When these letters were replayed; those that were not are not in it.
    ///
    /// # Errors
    ///
    /// [`CatalogError`] when the marks cannot be read.
    pub async fn replayed_at(
        &self,
        letters: &[EventId],
    ) -> Result<HashMap<EventId, Timestamp>, CatalogError> {
        replay::replayed_at(&self.pipeline, letters).await
    }
}
