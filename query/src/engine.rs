//! The engine: answers searches, counts, tables, facets and tails over index and journal.
//!
//! Every answer goes through one condition that AND-s what a principal may see to what it asks for.
//! Pieces are read in parallel on blocking threads, [`Config::threads_max`] at a time for all
//! queries together, and at most [`Config::principal_queries_max`] queries of one principal run at
//! once; the rest waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use logwarden_event::TimeRange;
use logwarden_index::{Index, IndexError, Snapshot};
use logwarden_store::Store;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;
use crate::error::QueryError;
use crate::metrics;
use crate::request::Control;
use crate::scan::Scan;
use crate::tail::Tails;
use crate::visibility::View;

/// Answers queries.
pub struct Engine {
    source: Source,
    pub(crate) config: Config,
    pub(crate) cores: Arc<Semaphore>,
    principals: Mutex<HashMap<String, Arc<Semaphore>>>,
    pub(crate) tails: Tails,
}

/// Where pieces come from.
enum Source {
    Index(Arc<Index>),
    #[cfg(test)]
    Pieces(Vec<Arc<dyn logwarden_index::Piece>>),
}

/// The right to run one query of a principal; it is given back when this is dropped.
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
    started_at: Instant,
}

impl Engine {
    /// An engine over an index; live tails read the store's journal.
    pub fn new(index: Arc<Index>, store: Store, config: Config) -> Arc<Self> {
        Self::over(Source::Index(index), store, config)
    }

    /// An engine over the index of `store`, both with default settings, and that index: what the
    /// tests of the floors above stand on.
    ///
    /// # Errors
    ///
    /// As [`Index::open`].
    pub async fn over_store(store: Store) -> Result<(Arc<Self>, Arc<Index>), IndexError> {
        let index = Index::open(store.clone(), logwarden_index::Config::default()).await?;
        Ok((Self::new(Arc::clone(&index), store, Config::default()), index))
    }

    /// The index it reads, for those who administer it.
    pub fn index(&self) -> Option<&Arc<Index>> {
        match &self.source {
            Source::Index(index) => Some(index),
            #[cfg(test)]
            Source::Pieces(_) => None,
        }
    }

    /// An engine over these pieces.
    #[cfg(test)]
    pub(crate) fn over_pieces(
        pieces: Vec<Arc<dyn logwarden_index::Piece>>,
        store: Store,
        config: Config,
    ) -> Arc<Self> {
        Self::over(Source::Pieces(pieces), store, config)
    }

    fn over(source: Source, store: Store, config: Config) -> Arc<Self> {
        Arc::new(Self {
            source,
            cores: Arc::new(Semaphore::new(config.threads_max.max(1))),
            principals: Mutex::new(HashMap::new()),
            tails: Tails::new(store.journal, config.tails_max),
            config,
        })
    }

    pub(crate) async fn snapshot(&self) -> Result<Snapshot, QueryError> {
        match &self.source {
            Source::Index(index) => Ok(index.snapshot().await?),
            #[cfg(test)]
            Source::Pieces(pieces) => Ok(Snapshot {
                pieces: pieces.clone(),
                visible: logwarden_event::Position::default(),
                unreadable: Vec::new(),
            }),
        }
    }

    /// What must be read for a query of limited time.
    pub(crate) async fn scan(
        &self,
        view: View,
        range: TimeRange,
        control: Control,
    ) -> Result<Arc<Scan>, QueryError> {
        let limits = (Some(self.config.deadline()), self.config.memory_bytes_max);
        let snapshot = self.snapshot().await?;
        Ok(Arc::new(Scan::new(snapshot, view, range, control, limits)))
    }

    /// Waits until the principal may run one more query.
    pub(crate) async fn turn(&self, control: &Control) -> Result<Turn, QueryError> {
        let started_at = Instant::now();
        let semaphore = {
            let mut principals = lock(&self.principals);
            // Those of whom nothing runs are forgotten, so that the map stays small.
            principals.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
            let queries_max = self.config.principal_queries_max.max(1);
            let semaphore = principals
                .entry(control.principal.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(queries_max)));
            Arc::clone(semaphore)
        };
        tokio::select! {
            biased;
            () = control.cancel.cancelled() => Err(QueryError::Cancelled),
            permit = semaphore.acquire_owned() => {
                let permit = permit.map_err(|_| QueryError::Internal)?;
                Ok(Turn { _permit: permit, started_at })
            }
        }
    }
}

impl Turn {
    /// Notes how the query ended, and says how long it took, waiting included.
    pub(crate) fn end<T>(self, answer: Result<T, QueryError>) -> Result<T, QueryError> {
        ::metrics::counter!(metrics::QUERIES_TOTAL).increment(1);
        ::metrics::histogram!(metrics::QUERY_SECONDS).record(self.started_at.elapsed());
        match &answer {
            Err(QueryError::TooExpensive { .. }) => {
                ::metrics::counter!(metrics::TOO_EXPENSIVE_TOTAL).increment(1);
            }
            Err(QueryError::Cancelled) => {
                ::metrics::counter!(metrics::CANCELLED_TOTAL).increment(1);
            }
            _ => {}
        }
        answer
    }
}

/// Takes a lock; what a panic left behind is still whole enough to be read.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
