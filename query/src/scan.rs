//! Reads pieces for a query: in parallel on blocking threads, within bounds, until it is stopped.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use logwarden_event::{Event, TimeRange, Timestamp};
use logwarden_index::{Counted, GroupPart, Grouped, IndexError, Piece, Snapshot};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::error::QueryError;
use crate::filter::Target;
use crate::metrics;
use crate::plan::Plan;
use crate::request::{Control, Coverage, Progress, Splits};
use crate::visibility::View;

/// Events, or values, between two looks at the clock and the cancellation.
pub(crate) const STEPS_PER_CHECK: u32 = 1_000;
/// How long a thread goes from piece to piece before another query may have its place. Starting a
/// thread for each would take longer than most of them.
const TURN_MAX: Duration = Duration::from_millis(5);

/// What is read, for whom, and how much of it.
pub(crate) struct Scan {
    /// What is seen of an event, if anything; the judge of every event.
    view: View,
    /// What the index is asked for.
    pub(crate) plan: Plan,
    /// The pieces whose time lies in the plan's range, the newest first.
    pub(crate) pieces: Vec<Arc<dyn Piece>>,
    /// Memory that the answer takes.
    pub(crate) memory: Memory,
    /// What is known to be lost, with its first and last instant.
    unreadable: Vec<(String, Span)>,
    control: Control,
    /// Cancelled with the control, and when the answer is no longer waited for.
    stop: CancellationToken,
    deadline: Option<Instant>,
    total: AtomicU64,
    read: AtomicUsize,
}

/// Times of the oldest and the newest event of a piece.
type Span = (Timestamp, Timestamp);

/// Why reading a piece ended early.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The time is over: what is there is the answer.
    Deadline,
    /// The piece cannot be read: the answer names it.
    Unreadable(IndexError),
    /// There is no answer.
    Failed(QueryError),
}

impl From<IndexError> for Halt {
    fn from(error: IndexError) -> Self {
        Self::Unreadable(error)
    }
}

impl From<QueryError> for Halt {
    fn from(error: QueryError) -> Self {
        Self::Failed(error)
    }
}

/// Counts the bytes a query holds, over all its threads.
#[derive(Debug)]
pub(crate) struct Memory {
    used: AtomicUsize,
    bytes_max: usize,
}

impl Memory {
    /// So many bytes, none of which is taken.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { used: AtomicUsize::new(0), bytes_max }
    }

    /// Takes so many bytes more.
    pub(crate) fn take(&self, size_bytes: usize) -> Result<(), QueryError> {
        let used = self.used.fetch_add(size_bytes, Ordering::Relaxed) + size_bytes;
        if used <= self.bytes_max {
            return Ok(());
        }
        let mib = self.bytes_max >> 20;
        Err(QueryError::too_expensive(format!(
            "it needs more than {mib} MiB of memory; narrow the time range or the condition, group \
             by fewer fields, or ask for fewer hits"
        )))
    }

    /// Takes so many bytes more if they fit.
    pub(crate) fn take_if_room(&self, size_bytes: usize) -> bool {
        let used = self.used.fetch_add(size_bytes, Ordering::Relaxed) + size_bytes;
        if used > self.bytes_max {
            self.give(size_bytes);
        }
        used <= self.bytes_max
    }

    /// Gives bytes back.
    pub(crate) fn give(&self, size_bytes: usize) {
        self.used.fetch_sub(size_bytes, Ordering::Relaxed);
    }
}

impl Scan {
    /// What must be read of a snapshot. Without `time_max` it ends only with its control.
    pub(crate) fn new(
        snapshot: Snapshot,
        view: View,
        range: TimeRange,
        control: Control,
        (time_max, bytes_max): (Option<Duration>, usize),
    ) -> Self {
        let plan = view.plan(range);
        let is_inside = |piece: &Arc<dyn Piece>| {
            let (first, last) = piece.time_span();
            plan.range.start < plan.range.end && plan.range.overlaps(first, last)
        };
        let mut pieces: Vec<_> = snapshot.pieces.into_iter().filter(is_inside).collect();
        pieces.sort_by_key(|piece| std::cmp::Reverse(piece.time_span().1));
        let lost = snapshot.unreadable.into_iter();
        let lost = lost.filter(|split| plan.range.overlaps(split.first, split.last));
        Self {
            view,
            pieces,
            memory: Memory::new(bytes_max),
            unreadable: lost.map(|split| (split.name, (split.first, split.last))).collect(),
            stop: control.cancel.child_token(),
            control,
            deadline: time_max.map(|time| Instant::now() + time),
            total: AtomicU64::new(0),
            read: AtomicUsize::new(0),
            plan,
        }
    }

    /// Hands the events of a piece that satisfy the filter inside `range` to `found`, newest first,
    /// until it breaks.
    pub(crate) fn visit(
        &self,
        piece: &dyn Piece,
        range: TimeRange,
        mut found: impl FnMut(&Event) -> Result<ControlFlow<()>, QueryError>,
    ) -> Result<(), Halt> {
        self.check()?;
        let mut steps = Steps::new(self);
        piece
            .search(&self.plan.lookup, range, &mut |event| steps.event(event, range, &mut found))?;
        steps.halt.map_or(Ok(()), Err)
    }

    /// Tells `counted` how many events of a piece satisfy the filter, when the index can tell without
    /// reading them, and hands those inside the range that it wants then to `found` as [`Self::visit`]
    /// does.
    pub(crate) fn count_and_visit(
        &self,
        piece: &dyn Piece,
        mut counted: impl FnMut(Option<u64>) -> Option<TimeRange>,
        mut found: impl FnMut(&Event) -> Result<ControlFlow<()>, QueryError>,
    ) -> Result<(), Halt> {
        self.check()?;
        let lookup = &self.plan.lookup;
        if !self.plan.is_exact {
            return counted(None).map_or(Ok(()), |range| self.visit(piece, range, found));
        }
        let range = Cell::new(self.plan.range);
        let mut checked = Ok(());
        let mut counted = |count| {
            checked = self.check();
            let wanted = counted(count).filter(|_| checked.is_ok())?;
            range.set(wanted);
            Some(wanted)
        };
        let mut steps = Steps::new(self);
        let mut event = |event: &Event| steps.event(event, range.get(), &mut found);
        piece.count_then_search(lookup, self.plan.range, &mut counted, &mut event)?;
        checked?;
        steps.halt.map_or(Ok(()), Err)
    }

    /// How many events of a piece satisfy the filter, when the index can tell without reading them.
    pub(crate) fn count(&self, piece: &dyn Piece, range: TimeRange) -> Result<Option<u64>, Halt> {
        self.check()?;
        if !self.plan.is_exact {
            return Ok(None);
        }
        Ok(piece.count(&self.plan.lookup, range)?)
    }

    /// The same for several ranges.
    pub(crate) fn count_each(
        &self,
        piece: &dyn Piece,
        ranges: &[TimeRange],
    ) -> Result<Option<Vec<u64>>, Halt> {
        self.check()?;
        if !self.plan.is_exact {
            return Ok(None);
        }
        Ok(piece.count_each(&self.plan.lookup, ranges)?)
    }

    /// Hands the values of `target` of the events of a piece that satisfy the filter to `found`, each
    /// event once; `false`, with nothing handed over: only reading the events would tell.
    pub(crate) fn count_values(
        &self,
        piece: &dyn Piece,
        target: &Target,
        mut found: impl FnMut(Counted<'_>) -> Result<(), QueryError>,
    ) -> Result<bool, Halt> {
        self.check()?;
        let Some(name) = target.counted_name().filter(|_| self.plan.is_exact) else {
            return Ok(false);
        };
        let (lookup, range) = (&self.plan.lookup, self.plan.range);
        let mut steps = Steps::new(self);
        let told = piece
            .count_values(lookup, range, name, &mut |counted| steps.step(|| found(counted)))?;
        steps.halt.map_or(Ok(told), Err)
    }

    /// The same with the combinations of values of several `parts`, inside `range`.
    pub(crate) fn count_groups(
        &self,
        piece: &dyn Piece,
        range: TimeRange,
        parts: &[GroupPart<'_>],
        mut found: impl FnMut(Grouped<'_>) -> Result<(), QueryError>,
    ) -> Result<bool, Halt> {
        self.check()?;
        if !self.plan.is_exact {
            return Ok(false);
        }
        let mut steps = Steps::new(self);
        let told = piece.count_groups(&self.plan.lookup, range, parts, &mut |grouped| {
            steps.step(|| found(grouped))
        })?;
        steps.halt.map_or(Ok(told), Err)
    }

    /// Whether to go on.
    pub(crate) fn check(&self) -> Result<(), Halt> {
        if self.stop.is_cancelled() {
            return Err(QueryError::Cancelled.into());
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Halt::Deadline);
        }
        Ok(())
    }

    /// Adds events that were found.
    pub(crate) fn add_total(&self, events: u64) {
        self.total.fetch_add(events, Ordering::Relaxed);
    }

    /// Events found so far.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Whether somebody wants to know how far this is.
    pub(crate) fn has_audience(&self) -> bool {
        self.control.progress.is_some()
    }

    /// Tells how far this is; whoever is too slow misses it.
    pub(crate) fn tell(&self, hits: Vec<Event>) {
        if let Some(progress) = &self.control.progress {
            let _ =
                progress.try_send(Progress { splits: self.splits(), total: self.total(), hits });
        }
    }

    /// How many pieces were read.
    pub(crate) fn splits(&self) -> Splits {
        let of = self.pieces.len() + self.unreadable.len();
        Splits { read: self.read.load(Ordering::Relaxed), of }
    }
}

/// Steps through a piece, and looks now and then whether to go on.
struct Steps<'s> {
    scan: &'s Scan,
    until_check: u32,
    /// Why it was ended.
    halt: Option<Halt>,
}

impl<'s> Steps<'s> {
    fn new(scan: &'s Scan) -> Self {
        Self { scan, until_check: STEPS_PER_CHECK, halt: None }
    }

    /// Hands an event to `found` if it satisfies the filter inside `range`.
    fn event(
        &mut self,
        event: &Event,
        range: TimeRange,
        found: &mut impl FnMut(&Event) -> Result<ControlFlow<()>, QueryError>,
    ) -> ControlFlow<()> {
        let scan = self.scan;
        let mut wanted = ControlFlow::Continue(());
        let step = self.step(|| {
            if range.contains(event.timestamp())
                && let Some(event) = scan.view.see(event)
            {
                wanted = found(&event)?;
            }
            Ok(())
        });
        if step.is_break() { step } else { wanted }
    }

    fn step(&mut self, work: impl FnOnce() -> Result<(), QueryError>) -> ControlFlow<()> {
        self.until_check -= 1;
        let checked = match self.until_check {
            0 => {
                self.until_check = STEPS_PER_CHECK;
                self.scan.check()
            }
            _ => Ok(()),
        };
        match checked.and_then(|()| work().map_err(Halt::Failed)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(reason) => {
                self.halt = Some(reason);
                ControlFlow::Break(())
            }
        }
    }
}

/// Calls `work` with each piece, on at most as many threads as `cores` has permits. What `work`
/// found before it was halted by the deadline counts.
pub(crate) async fn for_each_piece(
    scan: &Arc<Scan>,
    cores: &Arc<Semaphore>,
    work: impl Fn(&Scan, &dyn Piece) -> Result<(), Halt> + Send + Sync + 'static,
) -> Result<Coverage, QueryError> {
    let work = Arc::new(work);
    // Whatever ends this future early, an error or whoever asked, ends the threads too.
    let _stop = scan.stop.clone().drop_guard();
    let mut lost = scan.unreadable.clone();
    let mut unread: Vec<Span> = Vec::new();
    let mut running = JoinSet::new();
    let mut is_late = false;
    let next = Arc::new(AtomicUsize::new(0));
    while !is_late && next.load(Ordering::Relaxed) < scan.pieces.len() {
        let permit = tokio::select! {
            biased;
            () = scan.stop.cancelled() => return Err(QueryError::Cancelled),
            permit = Arc::clone(cores).acquire_owned() => permit.map_err(|_| QueryError::Internal)?,
            () = deadline(scan) => {
                is_late = true;
                break;
            }
        };
        let (scan, next, work) = (Arc::clone(scan), Arc::clone(&next), Arc::clone(&work));
        running.spawn_blocking(move || {
            let done = take_turn(&scan, &next, &*work);
            drop(permit);
            done
        });
        while let Some(joined) = running.try_join_next() {
            is_late |= settle(joined, &mut lost, &mut unread)?;
        }
    }
    while let Some(joined) = running.join_next().await {
        is_late |= settle(joined, &mut lost, &mut unread)?;
    }
    let splits = scan.splits();
    let complete = lost.is_empty() && !is_late && splits.read == splits.of;
    if !complete {
        ::metrics::counter!(metrics::INCOMPLETE_TOTAL).increment(1);
    }
    let untouched = scan.pieces.iter().skip(next.load(Ordering::Relaxed));
    unread.extend(untouched.map(|piece| piece.time_span()));
    let (unreadable, spans): (Vec<_>, Vec<_>) = lost.into_iter().unzip();
    unread.extend(spans);
    Ok(Coverage { splits, complete, unreadable, unread })
}

/// What became of a piece: whether some of its events are lost, or why reading it ended early.
type Done = (String, Span, Result<bool, Halt>);

/// Reads one piece after another until the turn is over or nothing more is wanted.
fn take_turn(
    scan: &Scan,
    next: &AtomicUsize,
    work: &impl Fn(&Scan, &dyn Piece) -> Result<(), Halt>,
) -> Vec<Done> {
    let begun = Instant::now();
    let mut all = Vec::new();
    while let Some(piece) = scan.pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
        let done = work(scan, piece.as_ref());
        if done.is_ok() {
            scan.read.fetch_add(1, Ordering::Relaxed);
        }
        let is_over = matches!(done, Err(Halt::Deadline | Halt::Failed(_)));
        let is_damaged = done.is_ok() && piece.lacks(scan.plan.range);
        all.push((piece.name(), piece.time_span(), done.map(|()| is_damaged)));
        if is_over || begun.elapsed() >= TURN_MAX {
            break;
        }
    }
    all
}

/// Ends when the scan's time is over.
async fn deadline(scan: &Scan) {
    match scan.deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// What became of the pieces of a turn: those that are lost, and those that the time was too short for; true
/// when it is over.
fn settle(
    joined: Result<Vec<Done>, tokio::task::JoinError>,
    lost: &mut Vec<(String, Span)>,
    unread: &mut Vec<Span>,
) -> Result<bool, QueryError> {
    let mut is_late = false;
    let done = joined.map_err(|error| {
        warn!("reading a piece broke: {error}");
        QueryError::Internal
    })?;
    for (name, span, done) in done {
        match done {
            Ok(false) => {}
            // Some of its events are lost, the others are in the answer.
            Ok(true) => lost.push((name, span)),
            Err(Halt::Deadline) => {
                is_late = true;
                unread.push(span);
            }
            Err(Halt::Unreadable(error)) => {
                warn!(split = %name, "split `{name}` cannot be read: {error}");
                lost.push((name, span));
            }
            Err(Halt::Failed(error)) => return Err(error),
        }
    }
    Ok(is_late)
}
