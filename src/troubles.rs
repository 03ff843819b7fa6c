//! The server's own troubles: what is wrong with it becomes an event of its own, for which bundled rules open alerts.
//!
//! Input: every [`LOOK_INTERVAL`] a [`Glance`] at journal, index, detector, notifiers, rules and clock. Output: one
//! event when a trouble has lasted as long as its kind says, one when it has been over for [`OVER_AFTER`], one for a
//! jump of the clock; never the same again while it lasts. At most [`TROUBLES_MAX`] are known at a time. What the
//! journal does not take waits, at most [`UNTOLD_MAX`] events; of more the newest are lost and counted. A restart
//! forgets what was told: a trouble that is still there joins its open alert. Where no alert can tell of a trouble,
//! because the journal does not take it for [`DIRECT_AFTER`] or the detector does not go on, notifiers are told of it
//! directly, and when it is over.

mod record;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use logwarden_alerting::{Alerting, NotifierState, Trouble};
use logwarden_event::{Position, Timestamp};
use logwarden_ingest::Handle;
use logwarden_store::{JournalHealth, JournalState, Store};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use record::Finding;

/// What the journal has not taken for so long is told without an alert.
const DIRECT_AFTER: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// A reader of the journal is behind when it has not reached what was there so long ago.
const BEHIND_AFTER: Duration = Duration::from_secs(120);
/// A trouble is over when it was not seen for so long.
const OVER_AFTER: Duration = Duration::from_secs(60);
/// The clock jumped when it moved so much more or less than time passed.
const JUMP_MIN: Duration = Duration::from_secs(30);
/// Little room: less than a twentieth of the volume, at most this, until records are refused.
const ROOM_LOW_MAX: u64 = 4 * GIB;
/// Troubles known at a time: one more is not looked at before another is over.
const TROUBLES_MAX: usize = 100;
/// Events that wait for the journal.
const UNTOLD_MAX: usize = 1_000;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Troubles that last at the moment, by kind.
const TROUBLES: &str = "logwarden_troubles";
/// Events about troubles that were lost, because the journal took none for too long.
const UNTOLD_TOTAL: &str = "logwarden_troubles_untold_total";

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    IndexBehind,
    DetectorBehind,
    DetectorStalled,
    DiskLow,
    DiskFull,
    JournalFailed,
    NotifierFailing,
    RuleRefused,
    ListUnreadable,
    ClockJumped,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::IndexBehind,
        Self::DetectorBehind,
        Self::DetectorStalled,
        Self::DiskLow,
        Self::DiskFull,
        Self::JournalFailed,
        Self::NotifierFailing,
        Self::RuleRefused,
        Self::ListUnreadable,
        Self::ClockJumped,
    ];

    /// What rules ask for as `event.action`.
    const fn action(self) -> &'static str {
        match self {
            Self::IndexBehind => "index.behind",
            Self::DetectorBehind => "detector.behind",
            Self::DetectorStalled => "detector.stalled",
            Self::DiskLow => "disk.low",
            Self::DiskFull => "disk.full",
            Self::JournalFailed => "journal.failed",
            Self::NotifierFailing => "notifier.failing",
            Self::RuleRefused => "rule.refused",
            Self::ListUnreadable => "list.unreadable",
            Self::ClockJumped => "clock.jumped",
        }
    }

    /// How long it must have lasted: a paused receiver is tried once meanwhile, a file may be half written.
    const fn told_after(self) -> Duration {
        match self {
            Self::NotifierFailing | Self::DetectorStalled => Duration::from_secs(30),
            Self::RuleRefused | Self::ListUnreadable => Duration::from_secs(15),
            _ => Duration::ZERO,
        }
    }

    /// Whether the detector, which would open an alert, does not go on.
    const fn is_of_detector(self) -> bool {
        matches!(self, Self::DetectorBehind | Self::DetectorStalled)
    }

    /// The rule that opens an alert.
    fn rule(self) -> String {
        self.action().replace('.', "_")
    }
}

/// How everything is at one moment.
#[derive(Debug, Clone)]
struct Glance {
    /// By the machine's clock.
    now: Timestamp,
    /// Since the start, by a clock that does not jump.
    passed: Duration,
    journal: JournalHealth,
    /// The number of the next record of the journal, and of the next one of each reader.
    end: u64,
    visible: u64,
    detected: u64,
    stalled: Option<String>,
    /// Names of notifiers that are left alone because they fail.
    failing: Vec<String>,
    /// What is wrong with rule files, by file.
    refused: BTreeMap<String, Vec<String>>,
    /// What is wrong with threat lists and files of addresses, by name.
    unreadable: BTreeMap<String, String>,
}

/// A trouble that was seen and is not over.
#[derive(Debug)]
struct Known {
    since: Duration,
    last: Duration,
    began_at: Timestamp,
    is_told: bool,
}

/// What is known between two looks.
#[derive(Debug, Default)]
struct Watch {
    known: BTreeMap<(Kind, String), Known>,
    /// Ends of the journal, each with when it was there, the oldest first.
    ends: VecDeque<(Duration, u64)>,
    last: Option<(Timestamp, Duration)>,
}

impl Watch {
    /// What is to be told of now.
    fn look(&mut self, glance: &Glance) -> Vec<Finding> {
        let mut findings = Vec::new();
        findings.extend(self.jump(glance));
        let seen = self.seen(glance);
        for ((kind, about), text) in seen {
            let key = (kind, about);
            if !self.known.contains_key(&key) && self.known.len() >= TROUBLES_MAX {
                continue;
            }
            let (now, began_at) = (glance.passed, glance.now);
            let first = || Known { since: now, last: now, began_at, is_told: false };
            let known = self.known.entry(key.clone()).or_insert_with(first);
            known.last = now;
            if !known.is_told && now.saturating_sub(known.since) >= kind.told_after() {
                known.is_told = true;
                let (kind, about) = key;
                findings.push(Finding { kind, about, text, is_over: false, at: known.began_at });
            }
        }
        self.known.retain(|(kind, about), known| {
            if glance.passed.saturating_sub(known.last) < OVER_AFTER {
                return true;
            }
            if known.is_told {
                let text = format!("{} ({about}) is over", kind.action());
                let (kind, about, at) = (*kind, about.clone(), known.began_at);
                findings.push(Finding { kind, about, text, is_over: true, at });
            }
            false
        });
        findings
    }

    /// Keeps to what nobody can be told of by an alert: what is in `untold` for long, and what keeps the
    /// detector from opening one. In the words it began with, until it is over.
    fn keep_direct(
        &self,
        direct: &mut BTreeMap<(Kind, String), Trouble>,
        found: &[Finding],
        untold: &VecDeque<(Duration, Finding)>,
        now: Duration,
    ) {
        let of_detector = found.iter().filter(|finding| finding.kind.is_of_detector());
        let is_old = |at: Duration| now.saturating_sub(at) >= DIRECT_AFTER;
        let refused = untold.iter().filter(|(at, _)| is_old(*at)).map(|(_, finding)| finding);
        for finding in of_detector.chain(refused).filter(|finding| !finding.is_over) {
            let key = (finding.kind, finding.about.clone());
            direct.entry(key).or_insert_with(|| Trouble {
                rule: finding.kind.rule(),
                about: finding.about.clone(),
                began_at: finding.at,
                text: finding.text.clone(),
            });
        }
        direct.retain(|key, _| self.known.contains_key(key));
    }

    /// Whether a trouble of this kind was told of and is not over.
    fn is_told(&self, kind: Kind) -> bool {
        self.known.iter().any(|((known, _), state)| *known == kind && state.is_told)
    }

    fn jump(&mut self, glance: &Glance) -> Option<Finding> {
        let (then, passed) = self.last.replace((glance.now, glance.passed))?;
        let by_clock = i128::from(glance.now.nanos()) - i128::from(then.nanos());
        let nanos = glance.passed.saturating_sub(passed).as_nanos();
        let jumped = by_clock - i128::try_from(nanos).unwrap_or(i128::MAX);
        if jumped.unsigned_abs() < JUMP_MIN.as_nanos() {
            return None;
        }
        let direction = if jumped > 0 { "forward" } else { "back" };
        let secs = jumped.unsigned_abs() / 1_000_000_000;
        let text = format!("the clock jumped {direction} by {secs} s, from {then}");
        let (kind, about) = (Kind::ClockJumped, String::from("clock"));
        Some(Finding { kind, about, text, is_over: false, at: glance.now })
    }

    /// What is wrong now, in words.
    fn seen(&mut self, glance: &Glance) -> BTreeMap<(Kind, String), String> {
        let mut seen = BTreeMap::new();
        let mut add = |kind: Kind, about: &str, text: String| {
            seen.insert((kind, about.to_owned()), text);
        };
        let expected = self.expected(glance);
        let behind = |next: u64| (next < expected).then(|| glance.end.saturating_sub(next));
        let secs = BEHIND_AFTER.as_secs();
        if let Some(records) = behind(glance.visible) {
            let text = format!(
                "records came more than {secs} s ago and are not searchable yet: {records} wait"
            );
            add(Kind::IndexBehind, "index", text);
        }
        if let Some(records) = behind(glance.detected) {
            let why = glance.stalled.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            let text = format!(
                "rules have not looked at records that came more than {secs} s ago: {records} wait{why}"
            );
            add(Kind::DetectorBehind, "detector", text);
        }
        if let Some(why) = &glance.stalled {
            add(Kind::DetectorStalled, "detector", format!("rules do not go on: {why}"));
        }
        match glance.journal.state {
            JournalState::Ready | JournalState::Degraded => {}
            JournalState::DiskFull => {
                add(Kind::DiskFull, "disk", String::from("the disk is full, records are refused"));
            }
            JournalState::Failed => {
                let text = "the journal cannot be written, records are refused until a restart";
                add(Kind::JournalFailed, "journal", String::from(text));
            }
        }
        for (name, problem) in &glance.unreadable {
            add(Kind::ListUnreadable, name, problem.clone());
        }
        let JournalHealth { room_bytes, volume_bytes, .. } = glance.journal;
        let low = (volume_bytes / 20).min(ROOM_LOW_MAX);
        // Room that comes and goes is no new trouble each time.
        let low = if self.is_told(Kind::DiskLow) { low + low / 2 } else { low };
        if room_bytes < low {
            let text = match room_bytes {
                0 => String::from("there is no room, records are refused"),
                room => format!("{} MiB more and records are refused", room / MIB),
            };
            add(Kind::DiskLow, "disk", text);
        }
        for name in &glance.failing {
            let text =
                format!("notifier `{name}` fails again and again; what it has to tell waits");
            add(Kind::NotifierFailing, name, text);
        }
        for (file, problems) in &glance.refused {
            let text = match problems.as_slice() {
                [only] => format!("a rule is left out: {only}"),
                all => format!("{} rules are left out; the first: {}", all.len(), all[0]),
            };
            add(Kind::RuleRefused, file, text);
        }
        seen
    }

    /// The number that readers of the journal must have reached by now.
    fn expected(&mut self, glance: &Glance) -> u64 {
        self.ends.push_back((glance.passed, glance.end));
        let is_old = |at: Duration| glance.passed.saturating_sub(at) >= BEHIND_AFTER;
        while self.ends.get(1).is_some_and(|(at, _)| is_old(*at)) {
            self.ends.pop_front();
        }
        self.ends.front().filter(|(at, _)| is_old(*at)).map_or(0, |(_, end)| *end)
    }
}

/// Looks until `shutdown`.
pub(crate) async fn run(
    (store, visible, alerting): (Store, watch::Receiver<Position>, Arc<Alerting>),
    ingest: Handle,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut watch = Watch::default();
    let mut untold: VecDeque<(Duration, Finding)> = VecDeque::new();
    let mut direct = BTreeMap::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
        let now = began.elapsed();
        let glance = glance((&store, visible.borrow().seq), &alerting, &ingest, now);
        let found = watch.look(&glance);
        watch.keep_direct(&mut direct, &found, &untold, now);
        alerting.tell_directly(direct.values().cloned().collect());
        for finding in found {
            warn!(trouble = finding.kind.action(), about = %finding.about, "{}", finding.text);
            match untold.len() {
                UNTOLD_MAX.. => metrics::counter!(UNTOLD_TOTAL).increment(1),
                _ => untold.push_back((now, finding)),
            }
        }
        for kind in Kind::ALL {
            let count = watch.known.keys().filter(|(known, _)| *known == kind).count();
            metrics::gauge!(TROUBLES, "kind" => kind.action()).set(count as f64);
        }
        let takes_records =
            matches!(glance.journal.state, JournalState::Ready | JournalState::Degraded);
        let is_standing = Kind::ALL.into_iter().any(|k| k.is_of_detector() && watch.is_told(k));
        alerting.withhold_signs_of_life(!takes_records || is_standing);
        while let Some((_, finding)) = untold.front() {
            if let Err(error) = finding.append(&store).await {
                warn!("a trouble of our own is not told yet: {error}");
                break;
            }
            untold.pop_front();
        }
    }
}

fn glance(
    (store, visible): (&Store, u64),
    alerting: &Alerting,
    ingest: &Handle,
    passed: Duration,
) -> Glance {
    let health = alerting.health();
    let rule_files = alerting.unreadable_rule_files();
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for problem in alerting.rule_problems().iter().filter(|problem| !rule_files.contains(problem)) {
        refused.entry(problem.file.clone()).or_default().push(problem.to_string());
    }
    let lists = ingest.enrichments().into_iter().filter(|report| !report.problem.is_empty());
    let lists = lists.map(|list| {
        let text = format!("what `{}` had before stays in force: {}", list.name, list.problem);
        (list.name, text)
    });
    let rule_files = rule_files.into_iter().map(|problem| (problem.file, problem.message));
    let is_failing = |state: NotifierState| matches!(state, NotifierState::Paused(_));
    let failing = alerting.notifiers().into_iter().filter(|known| is_failing(known.state));
    Glance {
        now: store.clock.now(),
        passed,
        journal: store.journal.health(),
        end: store.journal.end(health.position.lane).seq,
        visible,
        detected: health.position.seq,
        stalled: health.stalled,
        failing: failing.map(|known| known.name).collect(),
        refused,
        unreadable: lists.chain(rule_files).collect(),
    }
}

#[cfg(test)]
mod tests;
