//! What a rule that waits for the watermark asks of its groups: spans, when verdicts may change, what is remembered.

use super::series::nanos;
use crate::rule::{Against, Few, Judge, Judged, Measure, Quiet};

/// Parts of a window that samples of statistical rules are gathered in.
const GRAINS: i64 = 60;
/// The same when the past that counts is much longer than the window.
const GRAINS_OF_LONG: i64 = 4;
/// How long further matches of rules about single events count into the same detection.
const SINGLE_HOLD_NS: i64 = 600 * 1_000_000_000;
/// How long a group is remembered in which a window without events counts.
const QUIET_NS: i64 = 7 * 86_400 * 1_000_000_000;
/// Nanoseconds of a week.
pub(super) const WEEK_NS: i64 = 7 * 86_400 * 1_000_000_000;

/// How a rule's groups are looked at.
#[derive(Debug)]
pub(crate) struct Frame {
    pub judged: Judged,
    pub span_ns: i64,
    /// The rule's measured field, for sentences.
    pub field: String,
    /// When nothing is said yet.
    pub quiet: Quiet,
    /// The earliest event of any group.
    pub first_at: i64,
}

impl Frame {
    /// How long after a sample the verdict may change because of it.
    pub(super) fn offsets(&self) -> [Option<i64>; 4] {
        let left = self.span_ns.saturating_add(self.edge_ns());
        match &self.judged.judge {
            Judge::Spike { against, .. } => {
                let back = self.back_ns(*against);
                let gone =
                    back.saturating_add(self.past_ns(*against)).saturating_add(self.edge_ns());
                [Some(0), Some(left), Some(back), Some(gone)]
            }
            Judge::Temporal { .. } => [Some(0), Some(self.span_ns), None, None],
            Judge::Within(_)
            | Judge::Flatline { .. }
            | Judge::Ratio { .. }
            | Judge::Risk { .. } => [Some(0), Some(left), None, None],
            Judge::NewTerm { .. } | Judge::Rare { .. } | Judge::Change => {
                [Some(0), None, None, None]
            }
            Judge::Baseline { .. } => [None; 4],
        }
    }

    /// How far back the end of what a spike is measured against lies.
    pub(super) fn back_ns(&self, against: Against) -> i64 {
        match against {
            Against::Previous | Against::Span(_) => self.span_ns.saturating_add(self.edge_ns()),
            Against::WeekAgo => WEEK_NS,
        }
    }

    /// How long what a spike is measured against lasts.
    pub(super) fn past_ns(&self, against: Against) -> i64 {
        match against {
            Against::Previous | Against::WeekAgo => self.span_ns,
            Against::Span(past) => nanos(past),
        }
    }

    /// The first instant of a span that ends at `end`.
    pub(super) fn start_of(&self, span_ns: i64, end: i64) -> i64 {
        end.saturating_sub(span_ns).saturating_add(1 - self.edge_ns())
    }

    /// 1: an event exactly one span old counts. 0: a span is made of cells, each of which stands at its end, and the one
    /// that ends where the span begins is before it.
    pub(super) fn edge_ns(&self) -> i64 {
        (self.grain_ns() <= 1).into()
    }

    /// When the rule has learned enough to say something.
    pub(super) fn learned_at(&self) -> i64 {
        self.first_at.saturating_add(nanos(self.quiet.learn))
    }

    /// Whether what holds when the rule has learned enough is told then: what is about single events or whole buckets waits
    /// for the next one.
    pub(super) fn tells_when_learned(&self) -> bool {
        let is_of_instants = !self.is_single() && self.bucket_ns().is_none();
        is_of_instants && !self.quiet.learn.is_zero() && self.first_at != i64::MAX
    }

    pub(super) fn bucket_ns(&self) -> Option<i64> {
        matches!(self.judged.judge, Judge::Baseline { .. }).then_some(self.span_ns.max(1))
    }

    /// Whether verdicts are about single events.
    pub(super) fn is_single(&self) -> bool {
        matches!(self.judged.judge, Judge::NewTerm { .. } | Judge::Rare { .. } | Judge::Change)
    }

    /// Whether each detection is about a value, and told of by itself.
    pub(super) fn is_about_values(&self) -> bool {
        match &self.judged.judge {
            Judge::NewTerm { .. } | Judge::Change => true,
            Judge::Rare { few, .. } => matches!(few, Few::Share(_)),
            _ => false,
        }
    }

    /// Whether something depends on when the first event of any group happened.
    pub(super) fn learns_by_rule(&self) -> bool {
        let learns = |learn: &std::time::Duration| !learn.is_zero();
        learns(&self.quiet.learn)
            || matches!(&self.judged.judge, Judge::Rare { learn, .. } if learns(learn))
    }

    /// Whether all events of a group that were judged count, not only those of a window.
    pub(super) fn counts_all_events(&self) -> bool {
        self.is_single()
            || matches!(self.judged.judge, Judge::Flatline { .. } | Judge::Baseline { .. })
    }

    /// Whether each verdict is a detection of its own.
    pub(super) fn begins_each_time(&self) -> bool {
        matches!(self.judged.judge, Judge::NewTerm { .. } | Judge::Change)
    }

    /// Whether a verdict says nothing of the time up to the next one.
    pub(super) fn holds_only_then(&self) -> bool {
        self.is_single() || matches!(self.judged.judge, Judge::Temporal { .. })
    }

    /// How long after the first event of a group the past is known that a verdict needs.
    pub(super) fn full_after(&self) -> Option<i64> {
        match &self.judged.judge {
            Judge::Spike { against, new_alerts: false, .. } => {
                let past = self.back_ns(*against).saturating_add(self.past_ns(*against));
                Some(past.saturating_add(self.edge_ns() - 1))
            }
            _ => self.waits_for_full_window().then_some(self.span_ns),
        }
    }

    /// The first verdict waits until the group was seen for one window.
    pub(super) fn waits_for_full_window(&self) -> bool {
        match &self.judged.judge {
            Judge::Flatline { .. } => true,
            Judge::Within(bounds) => {
                // What few events satisfy, the first ones of a group do.
                self.judged.holds_when_empty(bounds)
                    || bounds.lt.is_some()
                    || bounds.lte.is_some()
                    || bounds.neq.is_some()
            }
            _ => false,
        }
    }

    pub(super) fn hold_ns(&self) -> i64 {
        if self.is_single() { SINGLE_HOLD_NS } else { self.span_ns }
    }

    /// Samples this far back may be asked for.
    pub(super) fn reach_ns(&self) -> i64 {
        let span = self.span_ns.saturating_add(1);
        match &self.judged.judge {
            Judge::Spike { against, .. } => {
                self.back_ns(*against).saturating_add(self.past_ns(*against)).saturating_add(1)
            }
            Judge::NewTerm { .. } | Judge::Change => 1,
            _ => span,
        }
    }

    /// For how long values are remembered.
    pub(super) fn history_ns(&self) -> i64 {
        match &self.judged.judge {
            Judge::NewTerm { history, .. } => nanos(*history),
            _ => self.span_ns,
        }
    }

    /// How long a group is remembered after its last event.
    pub(super) fn memory_ns(&self) -> i64 {
        let reach = self.reach_ns().saturating_add(self.hold_ns());
        match &self.judged.judge {
            Judge::Flatline { seen_within, .. } => reach.max(nanos(*seen_within)),
            Judge::Within(_) if self.waits_for_full_window() => reach.max(QUIET_NS),
            Judge::Baseline { absence: Some(seen_within), .. } => reach.max(nanos(*seen_within)),
            Judge::Baseline { .. } => reach.max(4 * WEEK_NS),
            Judge::NewTerm { history, .. } => reach.max(nanos(*history)),
            Judge::Change => reach.max(self.span_ns),
            _ => reach,
        }
    }

    /// The cells in which samples are gathered; 1: each stands for itself.
    pub(super) fn grain_ns(&self) -> i64 {
        match &self.judged.judge {
            Judge::Spike { against, .. } => {
                let parts = match against {
                    Against::Previous => GRAINS,
                    Against::WeekAgo | Against::Span(_) => GRAINS_OF_LONG,
                };
                if self.judged.measure == Measure::Count {
                    (self.span_ns / parts).max(1)
                } else {
                    1
                }
            }
            Judge::Baseline { .. } if self.judged.measure == Measure::Count => self.span_ns.max(1),
            Judge::Ratio { .. } => (self.span_ns / GRAINS).max(1),
            _ => 1,
        }
    }
}
