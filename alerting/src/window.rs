//! Windows in event time: when a condition over a span of time holds for one group.
//!
//! Input: points (an event's time, its id, what it counts as), in any order. Output: episodes. The
//! condition holds at `t` when the points in the closed span `[t - timespan, t]` satisfy it. An
//! episode begins at the earliest such `t`; it ends when the condition was false for one timespan.
//! All conditions here are such that a further point can only make them hold at more instants, so
//! the episodes are a function of the set of points, whatever order they came in.
//!
//! Time is event time; only the forgetting of points goes by when they were observed, which the
//! journal records, so that a replay forgets the same. Memory of one group is bounded: what can no
//! longer change an episode is dropped first, then the oldest points.

mod binary;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

/// Points that a group keeps beyond twice the count its condition needs, before those that can no
/// longer change anything are dropped.
const POINTS_SPARE: usize = 64;
/// Points that a group keeps beyond four times that count, whatever they are good for.
const POINTS_SPARE_MAX: usize = 1_024;

/// What must be found in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// So many points.
    Count(usize),
    /// Points of so many different tags.
    Distinct(usize),
    /// Points with the tags 0, 1, … up to this number less one, none earlier than the one before.
    Ordered(usize),
}

impl Condition {
    fn points_min(self) -> usize {
        match self {
            Self::Count(count) | Self::Distinct(count) | Self::Ordered(count) => count,
        }
    }

    /// Whether a point with this tag can be the one by which it holds: of a sequence only the last step.
    fn is_met_by(self, tag: u128) -> bool {
        match self {
            Self::Count(_) | Self::Distinct(_) => true,
            Self::Ordered(steps) => tag + 1 == steps as u128,
        }
    }
}

/// How a rule looks at time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The length of the window, in nanoseconds.
    pub timespan_ns: i64,
    /// How late a point may come, in nanoseconds.
    pub lateness_ns: i64,
    /// What must be found in it.
    pub condition: Condition,
    /// Whether [`Outcome::hits`] is wanted.
    pub reports_hits: bool,
}

impl Window {
    /// How long a point is needed after it was observed.
    pub fn memory_ns(&self) -> i64 {
        self.timespan_ns.saturating_add(self.lateness_ns)
    }
}

/// An event as windows see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// When it happened, in nanoseconds.
    pub at: i64,
    /// Its id.
    pub id: u128,
    /// For how many events it stands: 1, more when a crowded group was coarsened.
    pub weight: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    at: i64,
    tag: u128,
    id: u128,
    keep_until: i64,
    weight: u32,
    /// It was handed out as part of an episode.
    is_counted: bool,
    /// It was handed out as a hit.
    is_hit: bool,
}

impl Point {
    fn order(&self) -> (i64, u128, u128) {
        (self.at, self.tag, self.id)
    }

    fn member(&self) -> Member {
        Member { at: self.at, id: self.id, weight: self.weight }
    }
}

/// A span in which the condition held, with gaps of at most one timespan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Episode {
    /// Names the episode: the earliest event in it when it began.
    pub key: u128,
    /// The earliest instant at which the condition held.
    pub started_at: i64,
    /// The event of that instant; of a sequence the one that made it complete.
    pub started_by: u128,
    /// The last instant at which it held.
    pub held_until: i64,
    /// When it is over, by the time events are observed.
    pub close_at: i64,
    /// What whoever keeps the group wants to remember with it.
    pub alert: u128,
}

/// What a point did to its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The point was known already.
    Known,
    /// The condition does not hold.
    Waiting,
    /// An episode began.
    Began {
        /// Which one.
        episode: Episode,
        /// Every event in it, oldest first.
        members: Vec<Member>,
        /// Those that were in no episode before.
        fresh: Vec<Member>,
    },
    /// An episode grew.
    Grew {
        /// Which one.
        episode: Episode,
        /// Events that came into it, oldest first.
        fresh: Vec<Member>,
        /// Episodes that became part of it.
        absorbed: Vec<Episode>,
        /// What it was before, where it starts otherwise now.
        moved: Option<Episode>,
    },
}

/// What came of handing a point to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What the point did.
    pub change: Change,
    /// Episodes that were over before it.
    pub ended: Vec<Episode>,
    /// Events at whose instants the condition is now known to hold, each reported once.
    pub hits: Vec<Member>,
    /// Points that were merged or dropped although they might have mattered.
    pub coarsened: usize,
}

/// The points and episodes of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    points: Vec<Point>,
    episodes: Vec<Episode>,
    last_observed: i64,
    /// Nothing is over before this.
    due: i64,
    /// A bit for each tag below 64 that a point has; some may be of points that went.
    tags: u64,
}

impl Group {
    /// Takes a point that was observed at `observed`.
    pub fn insert(
        &mut self,
        window: &Window,
        (at, id, tag): (i64, u128, u128),
        observed: i64,
    ) -> Outcome {
        let ended = if observed > self.due { self.expire(observed) } else { Vec::new() };
        self.last_observed = self.last_observed.max(observed);
        let point = Point {
            at,
            tag,
            id,
            keep_until: at.max(observed).saturating_add(window.memory_ns()),
            weight: 1,
            is_counted: false,
            is_hit: false,
        };
        let Err(place) = self.points.binary_search_by_key(&point.order(), Point::order) else {
            return Outcome { change: Change::Known, ended, hits: Vec::new(), coarsened: 0 };
        };
        self.due = if self.is_empty() { point.keep_until } else { self.due.min(point.keep_until) };
        self.tags |= tag_bit(tag);
        if self.points.is_empty() {
            // Most groups never have a second one.
            self.points.reserve_exact(1);
        }
        self.points.insert(place, point);
        let truth = self.new_truth(window, place);
        let change = match truth {
            Some((start, end)) => self.extend(window, start, end, observed),
            None => self.join(window, place, observed),
        };
        // The condition may have held at the point without it.
        let until = truth.map_or(at, |(_, end)| end.max(at));
        let hits =
            if window.reports_hits { self.new_hits(window, (at, until)) } else { Vec::new() };
        let coarsened = self.coarsen(window);
        Outcome { change, ended, hits, coarsened }
    }

    /// Forgets what is over at `now` (by the time events are observed); answers ended episodes.
    pub fn expire(&mut self, now: i64) -> Vec<Episode> {
        self.points.retain(|point| point.keep_until >= now);
        let (open, ended) = self.episodes.iter().partition(|episode| episode.close_at >= now);
        self.episodes = open;
        self.take_stock();
        ended
    }

    /// Works out again what is only known of all points and episodes together.
    fn take_stock(&mut self) {
        let points = self.points.iter().map(|point| point.keep_until);
        let episodes = self.episodes.iter().map(|episode| episode.close_at);
        self.due = points.chain(episodes).min().unwrap_or(i64::MAX);
        self.tags = self.points.iter().fold(0, |tags, point| tags | tag_bit(point.tag));
    }

    /// Whether there is nothing left to remember.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.episodes.is_empty()
    }

    /// When a point was last observed.
    pub fn last_observed(&self) -> i64 {
        self.last_observed
    }

    /// The events of a closed span that it still has, oldest first; one of several points comes as often.
    pub fn members(&self, from: i64, to: i64) -> impl Iterator<Item = Member> {
        let first = self.points.partition_point(|point| point.at < from);
        self.points[first..].iter().take_while(move |point| point.at <= to).map(Point::member)
    }

    /// Of a closed span the newest event by which the condition can hold.
    pub fn met_by(&self, condition: Condition, from: i64, to: i64) -> Option<u128> {
        let inside = self.points.iter().rev().skip_while(|point| point.at > to);
        let mut inside = inside.take_while(|point| point.at >= from);
        inside.find(|point| condition.is_met_by(point.tag)).map(|point| point.id)
    }

    /// The episodes that are not over.
    pub fn episodes(&self) -> &[Episode] {
        &self.episodes
    }

    /// Remembers something with an episode.
    pub fn set_alert(&mut self, key: u128, alert: u128) {
        for episode in self.episodes.iter_mut().filter(|episode| episode.key == key) {
            episode.alert = alert;
        }
    }

    /// The instants at which the condition holds because of the point in `place`: the span from the
    /// first to the last. Gaps inside are at most one timespan, so they do not matter to episodes.
    fn new_truth(&self, window: &Window, place: usize) -> Option<(i64, i64)> {
        let needed = window.condition.points_min();
        let has_all_tags = match window.condition {
            Condition::Ordered(steps @ 1..=64) => self.tags.trailing_ones() as usize >= steps,
            _ => true,
        };
        if self.points.len() < needed || !has_all_tags {
            return None;
        }
        let at = self.points[place].at;
        let earliest = at.saturating_sub(window.timespan_ns);
        let first = self.points.partition_point(|point| point.at < earliest);
        let mut truth: Option<(i64, i64)> = None;
        let mut hold = |from: i64, left_edge: i64| {
            let until = left_edge.saturating_add(window.timespan_ns);
            if from >= at && from <= until {
                let (start, end) = truth.unwrap_or((from, until));
                truth = Some((start.min(from), end.max(until)));
            }
        };
        match window.condition {
            Condition::Count(count) => {
                for left in first..=place {
                    if let Some(right) = self.points.get(left + count.max(1) - 1) {
                        hold(right.at, self.points[left].at);
                    }
                }
            }
            Condition::Distinct(count) => self.scan_distinct(count, first, place, &mut hold),
            Condition::Ordered(steps) => {
                let latest = at.saturating_add(window.timespan_ns);
                self.scan_ordered(steps, (first, place), latest, &mut hold);
            }
        }
        truth
    }

    /// For each left edge in `first..=last`, where `count` different tags are complete.
    fn scan_distinct(
        &self,
        count: usize,
        first: usize,
        last: usize,
        hold: &mut dyn FnMut(i64, i64),
    ) {
        let mut tags: HashMap<u128, usize> = HashMap::new();
        let mut next = first;
        for left in first..=last {
            while tags.len() < count && next < self.points.len() {
                *tags.entry(self.points[next].tag).or_default() += 1;
                next += 1;
            }
            if tags.len() < count {
                return;
            }
            hold(self.points[next - 1].at, self.points[left].at);
            let tag = self.points[left].tag;
            if let Some(number) = tags.get_mut(&tag) {
                *number -= 1;
                if *number == 0 {
                    tags.remove(&tag);
                }
            }
        }
    }

    /// For each left edge with tag 0, where the earliest chain of all tags that begins there is
    /// complete. Points of one instant are ordered by tag, so a chain may lie in one instant.
    fn scan_ordered(
        &self,
        steps: usize,
        (first, last): (usize, usize),
        latest: i64,
        hold: &mut dyn FnMut(i64, i64),
    ) {
        let end = self.points.partition_point(|point| point.at <= latest);
        let mut complete_at: Vec<Option<i64>> = vec![None; steps];
        for place in (first..end).rev() {
            let point = &self.points[place];
            let Ok(step) = usize::try_from(point.tag) else { continue };
            if step >= steps {
                continue;
            }
            complete_at[step] = if step + 1 == steps {
                Some(point.at)
            } else {
                complete_at[step + 1].or(complete_at[step])
            };
            if let (0, Some(complete), true) = (step, complete_at[0], place <= last) {
                hold(complete, point.at);
            }
        }
    }

    /// Whether the condition holds at `at`.
    fn holds_at(&self, window: &Window, at: i64) -> bool {
        let first =
            self.points.partition_point(|point| point.at < at.saturating_sub(window.timespan_ns));
        let end = self.points.partition_point(|point| point.at <= at);
        let mut holds = false;
        let mut hold = |_, _| holds = true;
        match window.condition {
            Condition::Count(count) => return end - first >= count,
            Condition::Distinct(count) => {
                let tags: std::collections::HashSet<u128> =
                    self.points[first..end].iter().map(|point| point.tag).collect();
                return tags.len() >= count;
            }
            Condition::Ordered(steps) if end > first => {
                self.scan_ordered(steps, (first, end - 1), at, &mut hold);
            }
            Condition::Ordered(_) => {}
        }
        holds
    }

    fn new_hits(&mut self, window: &Window, (start, end): (i64, i64)) -> Vec<Member> {
        let first = self.points.partition_point(|point| point.at < start);
        let after = self.points.partition_point(|point| point.at <= end);
        let mut hits = Vec::new();
        for place in first..after {
            let point = self.points[place];
            if !point.is_hit && self.holds_at(window, point.at) {
                self.points[place].is_hit = true;
                hits.push(point.member());
            }
        }
        hits
    }

    /// Merges a span in which the condition holds into the episodes.
    fn extend(&mut self, window: &Window, start: i64, end: i64, observed: i64) -> Change {
        let span = window.timespan_ns;
        let touches = |episode: &&Episode| {
            start.saturating_sub(episode.held_until) <= span
                && episode.started_at.saturating_sub(end) <= span
        };
        let touched: Vec<Episode> = self.episodes.iter().filter(touches).copied().collect();
        self.episodes.retain(|episode| !touched.iter().any(|other| other.key == episode.key));
        let started_at = touched.iter().map(|episode| episode.started_at).fold(start, i64::min);
        let held_until = touched.iter().map(|episode| episode.held_until).fold(end, i64::max);
        let close_at = held_until
            .saturating_add(span)
            .saturating_add(window.lateness_ns)
            .max(observed.saturating_add(window.memory_ns()));
        let from = self.points.partition_point(|p| p.at < started_at.saturating_sub(span));
        let mut episode = match touched.iter().min_by_key(|episode| episode.started_at) {
            Some(oldest) => *oldest,
            None => Episode {
                key: self.points.get(from).map_or(0, |point| point.id),
                started_at,
                started_by: 0,
                held_until,
                close_at,
                alert: 0,
            },
        };
        let before = episode;
        episode.held_until = held_until;
        episode.close_at = close_at.max(episode.close_at);
        self.settle_start(window.condition, &mut episode, started_at);
        let is_new = touched.is_empty();
        let last = held_until.saturating_add(span);
        let (members, fresh) = self.count_in(from, last, is_new);
        self.episodes.push(episode);
        self.episodes.sort_by_key(|episode| episode.started_at);
        if is_new {
            return Change::Began { episode, members, fresh };
        }
        let absorbed = touched.into_iter().filter(|other| other.key != episode.key).collect();
        let moved = has_other_start(&before, &episode).then_some(before);
        Change::Grew { episode, fresh, absorbed, moved }
    }

    /// The start of an episode, and of the events at that instant that can have begun it the one with
    /// the lowest id: whatever order they come in.
    fn settle_start(&self, condition: Condition, episode: &mut Episode, started_at: i64) {
        let first = self.points.partition_point(|point| point.at < started_at);
        let at_start = self.points[first..].iter().take_while(|point| point.at == started_at);
        let can_begin = at_start.filter(|point| condition.is_met_by(point.tag));
        let lowest = can_begin.map(|point| point.id).min();
        let known = (episode.started_at == started_at && episode.started_by != 0)
            .then_some(episode.started_by);
        episode.started_at = started_at;
        episode.started_by = lowest.into_iter().chain(known).min().unwrap_or(episode.key);
    }

    /// Counts the points from place `from` up to the instant `last`; answers all of them (when
    /// wanted) and those that were not counted before. Points of one event count once.
    fn count_in(&mut self, from: usize, last: i64, wants_all: bool) -> (Vec<Member>, Vec<Member>) {
        let after = self.points.partition_point(|point| point.at <= last);
        let (mut all, mut fresh): (Vec<Member>, Vec<Member>) = (Vec::new(), Vec::new());
        for place in from..after.max(from) {
            let point = self.points[place];
            let same = |known: &Member| known.at == point.at && known.id == point.id;
            if wants_all && !all.iter().rev().take_while(|m| m.at == point.at).any(same) {
                all.push(point.member());
            }
            if !point.is_counted {
                let is_twin_counted = self.has_counted_twin(&point);
                self.points[place].is_counted = true;
                if !is_twin_counted {
                    fresh.push(point.member());
                }
            }
        }
        (all, fresh)
    }

    /// The point in `place` changes nothing about when the condition holds: it joins the episode
    /// it lies in, if there is one.
    fn join(&mut self, window: &Window, place: usize, observed: i64) -> Change {
        let at = self.points[place].at;
        let span = window.timespan_ns;
        let lies_in = |episode: &&mut Episode| {
            at >= episode.started_at.saturating_sub(span)
                && at <= episode.held_until.saturating_add(span)
        };
        let Some(episode) = self.episodes.iter_mut().find(lies_in) else {
            return Change::Waiting;
        };
        episode.close_at = episode.close_at.max(observed.saturating_add(window.memory_ns()));
        let before = *episode;
        if at == before.started_at && window.condition.is_met_by(self.points[place].tag) {
            episode.started_by = before.started_by.min(self.points[place].id);
        }
        let episode = *episode;
        let moved = has_other_start(&before, &episode).then_some(before);
        let point = self.points[place];
        let fresh = if self.has_counted_twin(&point) { Vec::new() } else { vec![point.member()] };
        self.points[place].is_counted = true;
        Change::Grew { episode, fresh, absorbed: Vec::new(), moved }
    }

    /// Whether another point of the same event was handed out.
    fn has_counted_twin(&self, point: &Point) -> bool {
        let first = self.points.partition_point(|other| other.at < point.at);
        let same_instant = self.points[first..].iter().take_while(|other| other.at == point.at);
        same_instant.into_iter().any(|other| other.is_counted && other.id == point.id)
    }

    /// Keeps the group within its bounds; answers how many points that might have mattered went.
    fn coarsen(&mut self, window: &Window) -> usize {
        let needed = window.condition.points_min();
        if self.points.len() <= needed.saturating_mul(2).saturating_add(POINTS_SPARE) {
            return 0;
        }
        // A point inside an episode whose own window is over before the episode's last instant
        // cannot change where the episode begins or ends.
        let span = window.timespan_ns;
        let episodes = &self.episodes;
        self.points.retain(|point| {
            let is_idle = point.is_counted
                && episodes.iter().any(|episode| {
                    point.at > episode.started_at
                        && point.at.saturating_add(span) <= episode.held_until
                });
            !is_idle
        });
        let limit = needed.saturating_mul(4).saturating_add(POINTS_SPARE_MAX);
        if self.points.len() <= limit {
            return 0;
        }
        let merged = self.merge_neighbours(window);
        // Some room is made besides, so that not every point pays for this.
        let kept = if self.points.len() > limit { limit - limit / 16 } else { limit };
        let surplus = self.points.len().saturating_sub(kept);
        self.points.drain(..surplus);
        merged + surplus
    }

    /// Merges points that lie between two others of the same tag so close that they add little.
    fn merge_neighbours(&mut self, window: &Window) -> usize {
        let close = match window.condition {
            Condition::Count(_) => return 0,
            // The neighbours cover every window that the point between them is in.
            Condition::Distinct(_) => window.timespan_ns,
            Condition::Ordered(_) => window.timespan_ns / 512,
        };
        let before = self.points.len();
        let mut kept: Vec<Point> = Vec::with_capacity(before);
        // By tag: where the last two kept points of it are.
        let mut last_two: HashMap<u128, (Option<usize>, usize)> = HashMap::new();
        for mut point in std::mem::take(&mut self.points) {
            let places = last_two.get(&point.tag).copied();
            if let Some((Some(one), two)) = places
                && point.at - kept[one].at <= close
                && kept[two].is_counted == point.is_counted
                && kept[two].weight > 0
            {
                point.weight = point.weight.saturating_add(kept[two].weight);
                kept[two].weight = 0;
                last_two.insert(point.tag, (Some(one), kept.len()));
            } else {
                last_two.insert(point.tag, (places.map(|(_, two)| two), kept.len()));
            }
            kept.push(point);
        }
        kept.retain(|point| point.weight > 0);
        self.points = kept;
        before - self.points.len()
    }
}

fn has_other_start(one: &Episode, other: &Episode) -> bool {
    (one.started_at, one.started_by) != (other.started_at, other.started_by)
}

fn tag_bit(tag: u128) -> u64 {
    if tag < 64 { 1 << tag } else { 0 }
}
