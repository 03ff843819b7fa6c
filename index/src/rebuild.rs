//! Makes a damaged split anew: of what is left of it, and of what the journal still has.
//!
//! Rows that can be read become one split, events read again from the journal another; both take the
//! place of the damaged one in one transaction, which also leaves a record of what was lost. The
//! damaged blob is put aside. Of a split of which nothing is left nothing is given up: it stays, and
//! is named in every answer, unless the journal has all of it.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use logwarden_event::{Event, Position, SplitId, TimeRange};
use logwarden_store::{Blobs, Chunk};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::builder::{BuiltSplit, SplitBuilder};
use crate::cache::Cache;
use crate::columnstore::writer::DISSECT;
use crate::damage::{Damage, LostBlock};
use crate::error::IndexError;
use crate::expire::{damage_record, tell_tombstones};
use crate::index::{Index, LANE, off_async};
use crate::indexer::store_split;
use crate::lookup::Lookup;
use crate::metrics::{EVENTS_LOST_TOTAL, SPLITS, SPLITS_DAMAGED, SPLITS_REBUILT_TOTAL};
use crate::piece::Piece;
use crate::publish::replace_splits;
use crate::reader::SplitPiece;
use crate::rows::add_rows_of;
use crate::split::{Split, SplitMeta};

/// Records asked of the journal at once.
const READ_RECORDS_MAX: usize = 4_096;
/// Bytes of parts kept while rows are taken over.
const CACHE_BYTES: usize = 1 << 20;

/// What the journal has of what is lost.
#[derive(Default)]
struct Recovered {
    events: Vec<Event>,
    /// Positions it does not have any more.
    gone: Vec<u64>,
}

/// Makes damaged splits anew; those for which nothing can be done are noted in `given_up`.
pub(crate) async fn rebuild_damaged(
    index: &Arc<Index>,
    given_up: &mut HashSet<SplitId>,
    shutdown: &CancellationToken,
) -> Result<(), IndexError> {
    let damaged: Vec<Arc<SplitPiece>> = {
        let state = index.state();
        state.splits.iter().filter(|piece| piece.is_damaged()).cloned().collect()
    };
    ::metrics::gauge!(SPLITS_DAMAGED).set(damaged.len() as f64);
    for piece in damaged {
        if shutdown.is_cancelled() || given_up.contains(&piece.meta.id) {
            continue;
        }
        match rebuild(index, &piece, shutdown).await {
            Ok(true) => {}
            Ok(false) => {
                given_up.insert(piece.meta.id);
                warn!(split = %piece.meta.id, "split {} cannot be made anew", piece.meta.id);
            }
            Err(error @ IndexError::Stale { .. }) => return Err(error),
            Err(error) => {
                warn!(split = %piece.meta.id, %error, "split is made anew later");
            }
        }
    }
    Ok(())
}

/// `false`: it cannot be made anew.
async fn rebuild(
    index: &Arc<Index>,
    piece: &Arc<SplitPiece>,
    shutdown: &CancellationToken,
) -> Result<bool, IndexError> {
    let damage = piece.damage();
    let lost = match &damage {
        Some(damage) => damage.blocks.clone(),
        None => vec![whole(&piece.meta)],
    };
    let lost_rows: u64 = lost.iter().map(|lost| lost.rows).sum();
    let known = known_seqs(index, piece, &lost).await?;
    let recovered = read_again(index, &lost, &known).await?;
    let found = recovered.events.len() as u64;
    if damage.is_none() && found < lost_rows {
        return Ok(false);
    }
    let (meta, blobs) = (piece.meta.clone(), Arc::clone(&index.store.blobs));
    let built = off_async(move || {
        let rest = match damage {
            Some(damage) => build_rest(&blobs, &meta, damage, &recovered.gone)?,
            None => None,
        };
        let again = build_again(&recovered.events)?;
        Ok([rest, again].into_iter().flatten().collect::<Vec<BuiltSplit>>())
    });
    let name = piece.meta.blob();
    let built = built.await.map_err(|reason: String| IndexError::Split { name, reason })?;
    if built.is_empty() {
        return Ok(false);
    }
    let mut new = Vec::new();
    for built in built {
        let Some(split) = store_split(index, built, shutdown).await else { return Ok(true) };
        new.push(split);
    }
    put_in_place(index, piece, new, lost_rows, lost_rows.saturating_sub(found), shutdown).await
}

async fn put_in_place(
    index: &Arc<Index>,
    piece: &Arc<SplitPiece>,
    new: Vec<SplitPiece>,
    damaged: u64,
    lost: u64,
    shutdown: &CancellationToken,
) -> Result<bool, IndexError> {
    let id = piece.meta.id;
    let metas: Vec<&SplitMeta> = new.iter().map(|split| &split.meta).collect();
    let record = damage_record(&piece.meta, (damaged, lost), index.store.clock.now());
    if !replace_splits(&index.store, &[id], &metas, Some(record), shutdown).await? {
        return Ok(true);
    }
    let splits = {
        let mut state = index.state();
        state.splits.retain(|split| split.meta.id != id);
        state.splits.extend(new.into_iter().map(Arc::new));
        state.retired.push(Arc::clone(piece));
        state.splits.len()
    };
    ::metrics::counter!(SPLITS_REBUILT_TOTAL).increment(1);
    ::metrics::counter!(EVENTS_LOST_TOTAL).increment(lost);
    ::metrics::gauge!(SPLITS).set(splits as f64);
    info!(split = %id, damaged, lost, "split {id} was made anew, {lost} of its events are lost");
    tell_tombstones(&index.store).await;
    Ok(true)
}

/// A split as one block that is lost.
fn whole(meta: &SplitMeta) -> LostBlock {
    LostBlock {
        number: 0,
        rows: meta.event_count,
        seqs: (meta.seq_first, meta.seq_last),
        times: (meta.first, meta.last),
    }
}

/// The positions inside what is lost that can be read, in this split and in all others.
async fn known_seqs(
    index: &Arc<Index>,
    piece: &SplitPiece,
    lost: &[LostBlock],
) -> Result<HashSet<u64>, IndexError> {
    let lost = lost.to_vec();
    let readable: Vec<Arc<SplitPiece>> = {
        let state = index.state();
        let readable = state.splits.iter().filter(|split| !split.is_lost());
        readable.filter(|split| split.meta.lane == piece.meta.lane).cloned().collect()
    };
    off_async(move || {
        let mut known = HashSet::new();
        for LostBlock { seqs: (first, last), .. } in lost {
            let overlaps = |split: &&Arc<SplitPiece>| {
                split.meta.seq_first <= last && first <= split.meta.seq_last
            };
            for split in readable.iter().filter(overlaps) {
                let mut note = |event: &Event| {
                    known.insert(event.seq());
                    ControlFlow::Continue(())
                };
                split.search(&Lookup::Seq { first, last }, TimeRange::ALL, &mut note)?;
            }
        }
        Ok(known)
    })
    .await
}

/// Reads what is lost again.
async fn read_again(
    index: &Index,
    lost: &[LostBlock],
    known: &HashSet<u64>,
) -> Result<Recovered, IndexError> {
    let mut recovered = Recovered::default();
    let mut taken = HashSet::new();
    for block in lost {
        let (mut seq, last) = block.seqs;
        while seq <= last {
            match index.replay.read(Position { lane: LANE, seq }, READ_RECORDS_MAX).await? {
                Chunk::Records { records, next } => {
                    for record in &*records {
                        let event = &record.event;
                        let is_lost = (block.seqs.0..=last).contains(&event.seq())
                            && (block.times.0..=block.times.1).contains(&event.timestamp())
                            && !known.contains(&event.seq());
                        if is_lost && taken.insert(event.seq()) {
                            recovered.events.push(event.clone());
                        }
                    }
                    seq = next.seq.max(seq + 1);
                }
                Chunk::Gap { to, .. } => {
                    let gone = seq..to.seq.min(last + 1);
                    recovered.gone.extend(gone.filter(|seq| !known.contains(seq)));
                    seq = to.seq.max(seq + 1);
                }
            }
        }
    }
    recovered.events.sort_by_key(|event| Reverse((event.timestamp(), event.seq())));
    Ok(recovered)
}

/// Positions as runs of positions side by side, first and last.
fn runs_of(mut seqs: Vec<u64>) -> Vec<(u64, u64)> {
    seqs.sort_unstable();
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for seq in seqs {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 >= seq => *last = seq,
            _ => runs.push((seq, seq)),
        }
    }
    runs
}

/// What is left of the split; `None`: nothing.
fn build_rest(
    blobs: &Arc<dyn Blobs>,
    meta: &SplitMeta,
    damage: Arc<Damage>,
    gone: &[u64],
) -> Result<Option<BuiltSplit>, String> {
    let rows = meta.event_count - damage.rows();
    if rows == 0 {
        return Ok(None);
    }
    let cache = Arc::new(Cache::new(CACHE_BYTES));
    let split = Split::open(Arc::clone(blobs), meta.clone(), cache, Some(damage))
        .map_err(|error| error.to_string())?;
    let gaps = split.footer.gaps.iter().flat_map(|(first, last)| *first..=*last);
    let gaps = runs_of(gaps.chain(gone.iter().copied()).collect());
    let mut builder = SplitBuilder::new(Some(DISSECT))?;
    add_rows_of(&[split], &mut builder, || Ok(()))?;
    let mut built = builder.finish(SplitId::default(), gaps)?;
    built.meta.raw_bytes = meta.raw_bytes * rows / meta.event_count;
    Ok(Some(built))
}

/// What was read again, newest first; `None`: nothing.
fn build_again(events: &[Event]) -> Result<Option<BuiltSplit>, String> {
    if events.is_empty() {
        return Ok(None);
    }
    let mut builder = SplitBuilder::new(Some(DISSECT))?;
    events.iter().try_for_each(|event| builder.add(event))?;
    builder.finish(SplitId::default(), Vec::new()).map(Some)
}
