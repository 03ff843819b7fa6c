//! Counts per value of one field: most often all that an aggregation asks for.
//!
//! The index tells values with their events; only of those that may be among the rows wanted a row is
//! made.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use logwarden_event::Event;
use logwarden_index::{Counted, Piece};

use super::{GROUPS_PER_EVENT_MAX, Spec, too_many_of_one_event};
use crate::cell::Cell;
use crate::engine::{Engine, lock};
use crate::error::QueryError;
use crate::filter::Target;
use crate::language::RowOrder;
use crate::request::Coverage;
use crate::scan::{Halt, Memory, Scan, for_each_piece};
use crate::table::Table;
use crate::values::{ValueCounts, each_value};

impl Engine {
    /// Counts the events of each value of a field.
    pub(super) async fn count_by(
        &self,
        scan: &Arc<Scan>,
        spec: Arc<Spec>,
        target: Target,
    ) -> Result<(Table, Coverage), QueryError> {
        let all = Arc::new(Mutex::new(ValueCounts::default()));
        let (shared, wanted) = (Arc::clone(&all), Arc::clone(&spec));
        let work = move |scan: &Scan, piece: &dyn Piece| {
            let mut counts = ValueCounts::default();
            let mut events = 0;
            let result = read(scan, piece, &target, (&mut counts, &mut events));
            // What an index told is worth nothing when it broke off; events that were read count.
            if let Err(Halt::Unreadable(_) | Halt::Failed(_)) = result {
                return result;
            }
            scan.add_total(events);
            let mut shared = lock(&shared);
            shared.merge(counts, usize::MAX, &scan.memory);
            wanted.check_count(shared.len() + usize::from(shared.without > 0))?;
            drop(shared);
            scan.tell(Vec::new());
            result
        };
        let coverage = for_each_piece(scan, &self.cores, work).await?;
        let counts = std::mem::take(&mut *lock(&all));
        Ok((spec.table(rows(counts, &spec)), coverage))
    }
}

fn read(
    scan: &Scan,
    piece: &dyn Piece,
    target: &Target,
    (counts, events): (&mut ValueCounts, &mut u64),
) -> Result<(), Halt> {
    let memory = &scan.memory;
    let is_told = scan.count_values(piece, target, |counted| {
        *events += match counted {
            Counted::Event(event) => {
                add_event(counts, event, target, memory)?;
                1
            }
            counted => counts.add_counted(counted, memory)?,
        };
        Ok(())
    })?;
    if is_told {
        return Ok(());
    }
    scan.visit(piece, scan.plan.range, |event| {
        *events += 1;
        add_event(counts, event, target, memory)?;
        Ok(ControlFlow::Continue(()))
    })
}

/// An event with several values is counted for each.
fn add_event(
    counts: &mut ValueCounts,
    event: &Event,
    target: &Target,
    memory: &Memory,
) -> Result<(), QueryError> {
    let mut result = Ok(());
    let values = each_value(event, target, &mut |value| {
        if result.is_ok() {
            result = counts.add(value, 1, memory);
        }
    });
    counts.without += u64::from(values == 0);
    if values > GROUPS_PER_EVENT_MAX {
        return Err(too_many_of_one_event());
    }
    result
}

/// The rows that may be wanted.
fn rows(mut counts: ValueCounts, spec: &Spec) -> Vec<Vec<Cell>> {
    let is_wanted = is_wanted(&mut counts, spec);
    let without = Some((Cell::Null, counts.without)).filter(|(_, times)| *times > 0);
    let without = without.filter(|(_, times)| is_wanted(*times));
    let cells = counts.into_cells(&is_wanted).into_iter().chain(without);
    let row = |(cell, times): (Cell, u64)| {
        let figures = spec.figures.iter().map(|_| Cell::Integer(times.into()));
        [cell].into_iter().chain(figures).collect()
    };
    cells.map(row).collect()
}

/// Which counts may be among the first rows.
fn is_wanted(counts: &mut ValueCounts, spec: &Spec) -> impl Fn(u64) -> bool + use<> {
    let (mut least, mut most) = (0, u64::MAX);
    if let Some(place) = spec.aggregate.limit.and_then(|limit| limit.checked_sub(1))
        && spec.aggregate.order != RowOrder::Groups
        && counts.len() > place
    {
        let mut all = counts.counts();
        all.extend(Some(counts.without).filter(|times| *times > 0));
        if place < all.len() {
            match spec.aggregate.order {
                RowOrder::GreatestFirst => {
                    least = *all.select_nth_unstable_by(place, |one, other| other.cmp(one)).1;
                }
                _ => most = *all.select_nth_unstable(place).1,
            }
        }
    }
    move |times| (least..=most).contains(&times)
}
