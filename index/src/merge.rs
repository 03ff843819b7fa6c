//! Merges small splits into larger ones, in the background.
//!
//! [`plan`] is pure: it picks splits of similar size. The merger takes their rows in order, one
//! block of each at a time, builds one split, and puts it in their place in one transaction and one
//! change of the state. The old blobs are deleted when no snapshot holds them any more; those that
//! a crash leaves are removed at the next start.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use logwarden_event::SplitId;
use logwarden_store::Blobs;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::builder::{BuiltSplit, SplitBuilder};
use crate::cache::Cache;
use crate::columnstore::writer::{DISSECT, Dissect};
use crate::config::Config;
use crate::error::IndexError;
use crate::expire::expire_when_due;
use crate::index::{Index, off_async};
use crate::indexer::store_split;
use crate::metrics::{MERGES_FAILED_TOTAL, SPLITS, SPLITS_MERGED_TOTAL};
use crate::publish::replace_splits;
use crate::reader::SplitPiece;
use crate::rebuild::rebuild_damaged;
use crate::rows::add_rows_of;
use crate::split::{Split, SplitMeta};

/// Splits of similar size that become one.
const FAN_IN: usize = 8;
/// How often old blobs and, besides at every publication, splits to merge are looked for.
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// Bytes of parts that a merge keeps of each split: one block is being read at a time.
const MERGE_CACHE_BYTES: usize = 1 << 20;
/// Events after which a merge lets others have the processor.
const YIELD_EVENTS: usize = 256;

/// The splits to merge next: the oldest of one size class, as many as one split can hold.
///
/// The size class is the logarithm of the number of events to the base of [`FAN_IN`], so an event
/// is merged about once per class. A split that is larger than half of what one may hold stays.
pub(crate) fn plan(splits: &[SplitMeta], config: &Config) -> Option<Vec<SplitId>> {
    let fits = |events: u64, bytes: u64| {
        events <= config.merge_events_max && bytes <= config.merge_bytes_max
    };
    let mut small: Vec<&SplitMeta> =
        splits.iter().filter(|split| fits(split.event_count * 2, split.raw_bytes * 2)).collect();
    small.sort_by_key(|split| (split.seq_first, split.id));
    let class = |split: &SplitMeta| split.event_count.max(1).ilog(FAN_IN as u64);
    let highest = small.iter().map(|split| class(split)).max()?;
    (0..=highest).find_map(|wanted| {
        let same = || small.iter().filter(|split| class(split) == wanted);
        let mut sum = (0, 0);
        let group: Vec<SplitId> = same()
            .take(FAN_IN)
            .take_while(|split| {
                sum = (sum.0 + split.event_count, sum.1 + split.raw_bytes);
                fits(sum.0, sum.1)
            })
            .map(|split| split.id)
            .collect();
        let is_full = group.len() == FAN_IN || group.len() < same().count().min(FAN_IN);
        is_full.then_some(group)
    })
}

/// Merges until `shutdown`.
pub(crate) async fn keep_merged(
    index: &Arc<Index>,
    shutdown: &CancellationToken,
) -> Result<(), IndexError> {
    // A split that cannot be read stays as it is; others must not wait for it.
    let mut broken: HashSet<SplitId> = HashSet::new();
    let mut given_up: HashSet<SplitId> = HashSet::new();
    // Nothing is begun after the order to stop: whether the step before it was done may be unknown.
    while !shutdown.is_cancelled() {
        expire_when_due(index, shutdown).await?;
        rebuild_damaged(index, &mut given_up, shutdown).await?;
        if shutdown.is_cancelled() {
            break;
        }
        delete_retired(index).await;
        let metas: Vec<SplitMeta> = {
            let state = index.state();
            let whole = state.splits.iter().filter(|split| !split.is_damaged());
            let metas = whole.map(|split| split.meta.clone());
            metas.filter(|meta| !broken.contains(&meta.id)).collect()
        };
        if let Some(group) = plan(&metas, &index.config) {
            if !merge(index, &group, shutdown).await? {
                broken.extend(group);
            }
            continue;
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = index.published.notified() => {}
            () = tokio::time::sleep(CHECK_EVERY) => {}
        }
    }
    Ok(())
}

/// Puts one split in the place of these. `false`: they cannot be merged.
async fn merge(
    index: &Arc<Index>,
    group: &[SplitId],
    shutdown: &CancellationToken,
) -> Result<bool, IndexError> {
    let old: Vec<Arc<SplitPiece>> = {
        let state = index.state();
        state.splits.iter().filter(|split| group.contains(&split.meta.id)).cloned().collect()
    };
    let Some(built) = build(index, &old, shutdown).await else {
        return Ok(shutdown.is_cancelled() || off_async(move || is_damage(&old)).await);
    };
    let Some(split) = store_split(index, built, shutdown).await else { return Ok(true) };
    if !replace_splits(&index.store, group, &[&split.meta], None, shutdown).await? {
        return Ok(true);
    }
    debug!(split = %split.meta.id, "{} splits merged into {}", group.len(), split.meta.id);
    let splits = {
        let mut state = index.state();
        state.splits.retain(|split| !group.contains(&split.meta.id));
        state.splits.push(Arc::new(split));
        state.retired.extend(old);
        state.splits.len()
    };
    ::metrics::counter!(SPLITS_MERGED_TOTAL).increment(group.len() as u64);
    ::metrics::gauge!(SPLITS).set(splits as f64);
    Ok(true)
}

/// Deletes the blobs of splits that were merged and that no snapshot holds any more.
async fn delete_retired(index: &Arc<Index>) {
    let unused: Vec<Arc<SplitPiece>> = {
        let mut state = index.state();
        let retired = std::mem::take(&mut state.retired);
        let (unused, used) = retired.into_iter().partition(|split| Arc::strong_count(split) == 1);
        state.retired = used;
        unused
    };
    if unused.is_empty() {
        return;
    }
    let index = Arc::clone(index);
    off_async(move || {
        for split in unused {
            index.readers.forget(split.meta.id);
            let (blobs, name) = (&index.store.blobs, split.meta.blob());
            let gone =
                if split.is_damaged() { blobs.put_aside(&name) } else { blobs.delete(&name) };
            if let Err(error) = gone {
                warn!(%error, "blob of a split that is gone cannot be removed, will try again");
                index.state().retired.push(split);
            }
        }
    })
    .await;
}

/// Whether it is because of damage that splits cannot be merged: they are made anew first.
fn is_damage(splits: &[Arc<SplitPiece>]) -> bool {
    let failed = |split: &SplitPiece| IndexError::Split {
        name: split.meta.blob(),
        reason: "it cannot be merged".to_owned(),
    };
    for split in splits {
        split.examine(&failed(split));
    }
    splits.iter().any(|split| split.is_damaged())
}

/// Builds the split; of verbatim events when it cannot be built of columns. `None`: it cannot be built.
async fn build(
    index: &Index,
    old: &[Arc<SplitPiece>],
    shutdown: &CancellationToken,
) -> Option<BuiltSplit> {
    for dissect in [Some(DISSECT), None] {
        let (blobs, stop) = (Arc::clone(&index.store.blobs), shutdown.clone());
        let old: Vec<SplitMeta> = old.iter().map(|split| split.meta.clone()).collect();
        let build = move || build_from_splits(&blobs, &old, dissect, &stop);
        let built = tokio::task::spawn_blocking(build).await;
        let reason = match built {
            Ok(Ok(built)) => return Some(built),
            Ok(Err(reason)) => reason,
            Err(panic) => panic.to_string(),
        };
        if shutdown.is_cancelled() {
            return None;
        }
        ::metrics::counter!(MERGES_FAILED_TOTAL).increment(1);
        error!(reason, "splits cannot be merged");
    }
    None
}

fn build_from_splits(
    blobs: &Arc<dyn Blobs>,
    old: &[SplitMeta],
    dissect: Option<Dissect>,
    stop: &CancellationToken,
) -> Result<BuiltSplit, String> {
    // What a merge reads it reads once: queries keep their cache.
    let open = |meta: &SplitMeta| {
        let cache = Arc::new(Cache::new(MERGE_CACHE_BYTES));
        Split::open(Arc::clone(blobs), meta.clone(), cache, None).map_err(|error| error.to_string())
    };
    let splits: Vec<Split> = old.iter().map(open).collect::<Result<_, _>>()?;
    let mut gaps: Vec<(u64, u64)> =
        splits.iter().flat_map(|split| split.footer.gaps.iter().copied()).collect();
    gaps.sort_unstable();
    let mut builder = SplitBuilder::new(dissect)?;
    let mut count = 0;
    add_rows_of(&splits, &mut builder, || {
        count += 1;
        if count % YIELD_EVENTS == 0 {
            std::thread::yield_now();
            if stop.is_cancelled() {
                return Err("stopped".to_owned());
            }
        }
        Ok(())
    })?;
    let mut built = builder.finish(SplitId::default(), gaps)?;
    built.meta.raw_bytes = old.iter().map(|meta| meta.raw_bytes).sum();
    Ok(built)
}

#[cfg(test)]
mod tests {
    use logwarden_event::Timestamp;

    use super::*;

    /// `sizes` in thousands of events, oldest first; the places of those to merge.
    fn check(sizes: &str, expected: &str) {
        let mut splits: Vec<SplitMeta> = sizes
            .split_whitespace()
            .zip(0..)
            .map(|(size, place)| SplitMeta {
                id: SplitId::from_u128(place),
                lane: 0,
                seq_first: place as u64,
                seq_last: place as u64,
                event_count: size.parse::<u64>().expect("a number") * 1_000,
                first: Timestamp::default(),
                last: Timestamp::default(),
                size_bytes: 1,
                raw_bytes: 1,
            })
            .collect();
        splits.reverse();
        let planned = plan(&splits, &Config::default()).unwrap_or_default();
        let places: Vec<String> = planned.iter().map(|id| id.to_u128().to_string()).collect();
        assert_eq!(places.join(" "), expected);
    }

    #[test]
    fn eight_of_a_size_are_merged_oldest_first() {
        check("1 1 1 1 1 1 1", "");
        check("1 1 1 1 200 1 1 1 1 1", "0 1 2 3 5 6 7 8");
    }

    #[test]
    fn splits_that_are_large_already_stay() {
        check("260 260 260 260 260 260 260 260 260", "");
    }

    #[test]
    fn fewer_are_merged_when_more_do_not_fit() {
        check("90 90 90 90 90", "");
        check("90 90 90 90 90 90", "0 1 2 3 4");
        check("200 300 200 240", "0 2");
    }
}
