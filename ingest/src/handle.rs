//! What the API asks of running ingest: how sources and inputs are, dead letters once more.

use std::collections::HashMap;
use std::sync::Arc;

use logwarden_event::{Event, EventId, Timestamp};
use logwarden_store::CatalogError;

use crate::enrich::{EnrichReport, ListMarks, ListNews};
use crate::health::SourceReport;
use crate::input::InputReport;
use crate::pipeline::{Denial, Pipeline};
use crate::quota::QuotaUse;
use crate::replay::{self, ReplayError, Replayed};

/// A way to ask running ingest; cheap to clone, and harmless once it has stopped.
#[derive(Clone)]
pub struct Handle {
    pub(crate) pipeline: Arc<Pipeline>,
}

impl Handle {
    /// From now on `tell` hears whom the doors turn away that speak no HTTP/1.1; it must not wait. The first
    /// to ask is the one.
    pub fn on_denial(&self, tell: impl Fn(Denial) + Send + Sync + 'static) {
        self.pipeline.set_on_denial(Box::new(tell));
    }

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

    /// How every file with what is known besides the records is, in the order of the configuration.
    pub fn enrichments(&self) -> Vec<EnrichReport> {
        self.pipeline.enrichment.as_ref().map(|known| known.reports()).unwrap_or_default()
    }

    /// Says what the threat lists had before the start; answers those of them that are configured no more.
    /// To be called once, before [`Handle::take_list_news`].
    pub fn compare_lists_with(&self, known: ListMarks) -> Vec<String> {
        match &self.pipeline.enrichment {
            Some(enrichment) => enrichment.compare_with(known),
            None => known.into_keys().collect(),
        }
    }

    /// What changed in threat lists since this was asked last: what is new is looked for in what is stored
    /// already.
    pub fn take_list_news(&self) -> ListNews {
        self.pipeline.enrichment.as_ref().map(|known| known.take_news()).unwrap_or_default()
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
