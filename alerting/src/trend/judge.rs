//! Verdicts: whether a rule's condition holds at one instant, and the sentence that says why.
//!
//! Input: a group's samples and memory. Every sentence names the numbers it rests on.

use std::collections::HashSet;

use super::Explained;
use super::frame::Frame;
use super::series::{Sample, Series, TERMS_MAX, nanos};
use crate::alert::wording::{counted, span_text};
use crate::rule::{Against, Bounds, Branch, Direction, Few, Judge, Measure};

/// The condition holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    pub why: Explained,
    /// The event that decided; `None`: the newest.
    pub by: Option<u128>,
    /// The value that it is about; `None`: the group.
    pub value: Option<u128>,
}

impl Series {
    /// What is to be said at `instant`; nothing where the condition does not hold.
    pub(super) fn verdicts(&mut self, frame: &Frame, instant: i64) -> Vec<Verdict> {
        let is_full = instant >= self.first_at().saturating_add(frame.span_ns);
        if frame.waits_for_full_window() && !is_full {
            return Vec::new();
        }
        let of_group = match &frame.judged.judge {
            Judge::Within(bounds) => self.within(frame, instant, bounds),
            Judge::Temporal { .. } => self.temporal(frame, instant),
            Judge::Spike { .. } => self.spike(frame, instant),
            Judge::Flatline { below, .. } => self.flatline(frame, instant, *below),
            Judge::Ratio { bounds, min_events } => self.ratio(frame, instant, bounds, *min_events),
            Judge::Baseline { .. } => self.baseline(frame, instant),
            Judge::NewTerm { .. } => return self.new_terms(frame, instant),
            Judge::Rare { few, learn } => {
                let is_learning = instant < frame.first_at.saturating_add(nanos(*learn));
                match few {
                    _ if is_learning => None,
                    Few::Entities(most) => self.of_few(frame, instant, *most),
                    Few::Share(most) => return self.of_small_share(frame, instant, *most),
                }
            }
            Judge::Change => return self.changes(frame, instant),
            Judge::Risk { .. } => self.risk(frame, instant),
        };
        of_group.into_iter().collect()
    }

    /// The samples of an instant, one of each value, in an order that does not depend on how they came.
    fn values_at(&self, instant: i64) -> Vec<Sample> {
        let mut samples = self.samples[self.range(instant, instant)].to_vec();
        samples.sort_by_key(|sample| (sample.tag, sample.id));
        samples.dedup_by_key(|sample| sample.tag);
        samples
    }

    /// What the samples of a closed span come to; `None` where that is nothing.
    fn measured(&self, measure: Measure, from: i64, to: i64) -> Option<f64> {
        let samples = &self.samples[self.range(from, to)];
        let count = || samples.iter().map(|sample| f64::from(sample.weight)).sum::<f64>();
        let sum = || {
            let sum = samples.iter().map(|sample| sample.value).sum::<f64>();
            sum.clamp(f64::MIN, f64::MAX)
        };
        match measure {
            Measure::Count => Some(count()),
            Measure::Sum => Some(sum()),
            Measure::Distinct => {
                let tags: HashSet<u128> = samples.iter().map(|sample| sample.tag).collect();
                Some(tags.len() as f64)
            }
            _ if samples.is_empty() => None,
            Measure::Avg => Some(sum() / count()),
            Measure::Min => samples.iter().map(|sample| sample.value).reduce(f64::min),
            Measure::Max => samples.iter().map(|sample| sample.value).reduce(f64::max),
            Measure::Percentile(rank) => {
                let mut values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
                values.sort_by(f64::total_cmp);
                // The nearest rank: the least value that so many percent do not exceed.
                let place = (rank / 100.0 * values.len() as f64).ceil().max(1.0) as usize;
                values.get(place - 1).copied()
            }
        }
    }

    fn within(&self, frame: &Frame, instant: i64, bounds: &Bounds) -> Option<Verdict> {
        let measure = frame.judged.measure;
        let value = self.measured(measure, instant.saturating_sub(frame.span_ns), instant)?;
        let bound = [bounds.gte, bounds.gt, bounds.lte, bounds.lt, bounds.eq, bounds.neq];
        bounds.hold(value).then(|| {
            let text = format!(
                "the {} is {} within {}; the rule asks for {}",
                measure.text(&frame.field),
                number(value),
                span(frame.span_ns),
                bounds.text()
            );
            verdict(text, value, bound.into_iter().flatten().next().unwrap_or_default())
        })
    }

    /// A way without absence holds when the last of its rules matches; one with it, a span after one of its rules
    /// matched, when no more can come.
    fn temporal(&self, frame: &Frame, instant: i64) -> Option<Verdict> {
        let Judge::Temporal { branches, is_ordered, text } = &frame.judged.judge else {
            return None;
        };
        let from = instant.saturating_sub(frame.span_ns);
        let samples = &self.samples[self.range(from, instant)];
        let is_rule = |sample: &Sample, rule: u32| sample.tag == u128::from(rule);
        let begins = |rule: &u32| samples.iter().any(|one| one.at == from && is_rule(one, *rule));
        let holds = |branch: &&Branch| {
            let is_there = match is_ordered {
                true => are_in_order(samples, &branch.needed),
                false => branch.needed.iter().all(|rule| samples.iter().any(|s| is_rule(s, *rule))),
            };
            let is_spoilt =
                branch.absent.iter().any(|rule| samples.iter().any(|s| is_rule(s, *rule)));
            let is_due = branch.absent.is_empty() || branch.needed.iter().any(begins);
            is_there && !is_spoilt && is_due
        };
        let branch = branches.iter().find(holds)?;
        let count = branch.needed.len() as f64;
        let order = if *is_ordered { " in this order" } else { "" };
        let text = format!("`{text}`{order} held within {}", span(frame.span_ns));
        Some(verdict(text, count, count))
    }

    fn flatline(&self, frame: &Frame, instant: i64, below: f64) -> Option<Verdict> {
        let count =
            self.measured(Measure::Count, instant.saturating_sub(frame.span_ns), instant)?;
        (count < below).then(|| {
            let text = format!(
                "{} events within {}, where at least {} are expected",
                number(count),
                span(frame.span_ns),
                number(below)
            );
            verdict(text, count, below)
        })
    }

    fn spike(&self, frame: &Frame, instant: i64) -> Option<Verdict> {
        let Judge::Spike { against, factor, direction, min_current, min_reference, new_alerts } =
            &frame.judged.judge
        else {
            return None;
        };
        let measure = frame.judged.measure;
        let from = frame.start_of(frame.span_ns, instant);
        let current = self.measured(measure, from, instant).unwrap_or(0.0);
        let end = instant.saturating_sub(frame.back_ns(*against));
        let past_ns = frame.past_ns(*against);
        let words = match against {
            Against::Previous => format!("of the {} before", span(frame.span_ns)),
            Against::WeekAgo => String::from("at the same time a week ago"),
            Against::Span(_) => {
                format!("usual in {} over {} before", span(frame.span_ns), span(past_ns))
            }
        };
        let from = frame.start_of(past_ns, end);
        let has_past = from >= self.first_at();
        if !has_past && !new_alerts {
            return None;
        }
        let mut reference = self.measured(measure, from, end).unwrap_or(0.0);
        if matches!(against, Against::Span(_)) && matches!(measure, Measure::Count | Measure::Sum) {
            reference *= frame.span_ns as f64 / past_ns as f64;
        }
        let has_enough = reference >= *min_reference || (!has_past && *new_alerts);
        // As people reckon, to whom 3.3 is 1.1 times 3.
        let is_times = |more: f64, less: f64| less > 0.0 && more / less >= *factor;
        let rises = *direction != Direction::Down
            && has_enough
            && current >= *min_current
            && (current >= factor * reference || is_times(current, reference))
            && current > reference;
        let falls = *direction != Direction::Up
            && has_past
            && has_enough
            && (current <= reference / factor || is_times(reference, current))
            && current < reference;
        (rises || falls).then(|| {
            let text = format!(
                "the {} is {} within {}, against {} {words}; the rule asks for a factor of {}",
                measure.text(&frame.field),
                number(current),
                span(frame.span_ns),
                number(reference),
                number(*factor)
            );
            let threshold = if rises { factor * reference } else { reference / factor };
            resting_on(verdict(text, current, threshold), [reference; 2])
        })
    }

    fn ratio(
        &self,
        frame: &Frame,
        instant: i64,
        bounds: &Bounds,
        min_events: f64,
    ) -> Option<Verdict> {
        let samples = &self.samples[self.window(frame, instant)];
        let count = |tag: u128| {
            let of_tag = samples.iter().filter(|sample| sample.tag == tag);
            of_tag.map(|sample| f64::from(sample.weight)).sum::<f64>()
        };
        let (all, part) = (count(0), count(1));
        let share = if all > 0.0 { part / all } else { return None };
        (all >= min_events && bounds.hold(share)).then(|| {
            let text = format!(
                "{} of {} events within {} are of the part, {:.1} %; the rule asks for a share of {}",
                number(part),
                number(all),
                span(frame.span_ns),
                share * 100.0,
                bounds.text()
            );
            let bound = [bounds.gte, bounds.gt, bounds.lte, bounds.lt];
            verdict(text, share, bound.into_iter().flatten().next().unwrap_or_default())
        })
    }

    fn baseline(&mut self, frame: &Frame, instant: i64) -> Option<Verdict> {
        let Judge::Baseline { absence, .. } = &frame.judged.judge else { return None };
        let from = instant.saturating_sub(frame.span_ns.saturating_sub(1));
        let value = self.measured(frame.judged.measure, from, instant)?;
        let first_at = self.first_at();
        if absence.is_some() && self.holds && value <= 0.0 {
            // Silence that goes on is over when something comes, and nothing is learned from it.
            return Some(verdict(String::from("nothing came since"), value, value));
        }
        let is_count = matches!(frame.judged.measure, Measure::Count | Measure::Distinct);
        let measured = (value, if is_count { 0.0 } else { f64::NEG_INFINITY });
        let found = self.model.take(&frame.judged.judge, frame.span_ns, (from, first_at), measured);
        found.map(|found| {
            let text = format!(
                "the {} is {} within {}, where {} to {} is usual at such times (median {} of {} \
                 buckets); the rule allows {} robust deviations",
                frame.judged.measure.text(&frame.field),
                number(value),
                span(frame.span_ns),
                number(found.low),
                number(found.high),
                number(found.median),
                found.buckets,
                number(found.sensitivity)
            );
            let threshold = if value > found.high { found.high } else { found.low };
            resting_on(verdict(text, value, threshold), [found.low, found.high])
        })
    }

    fn new_terms(&mut self, frame: &Frame, instant: i64) -> Vec<Verdict> {
        let Judge::NewTerm { history, learn } = &frame.judged.judge else { return Vec::new() };
        let (history_ns, first_at) = (nanos(*history), self.first_at());
        self.terms.retain(|(_, seen)| instant.saturating_sub(*seen) <= history_ns);
        let mut found = Vec::new();
        for sample in self.values_at(instant) {
            let known = self.terms.len();
            if let Some((_, seen)) = self.terms.iter_mut().find(|(tag, _)| *tag == sample.tag) {
                *seen = instant;
                continue;
            }
            self.remember(sample.tag, instant);
            let is_learning = match learn {
                Some(learn) => instant < first_at.saturating_add(nanos(*learn)),
                None => known == 0,
            };
            if !is_learning {
                let text = format!(
                    "a {} that was not seen in {} before, among {known} that were",
                    frame.field,
                    span(history_ns)
                );
                found.push(about(verdict(text, 1.0, 1.0), &sample));
            }
        }
        found
    }

    fn remember(&mut self, tag: u128, at: i64) {
        if self.terms.len() >= TERMS_MAX {
            let oldest = (0..self.terms.len()).min_by_key(|place| self.terms[*place].1);
            if let Some(oldest) = oldest {
                self.terms.swap_remove(oldest);
            }
            ::metrics::counter!(crate::metrics::POINTS_COARSENED_TOTAL, "rule" => "judged")
                .increment(1);
        }
        self.terms.push((tag, at));
    }

    fn of_few(&self, frame: &Frame, instant: i64, entities_max: u32) -> Option<Verdict> {
        let from = instant.saturating_sub(frame.span_ns);
        let seen_by = self.measured(Measure::Distinct, from, instant)?;
        let sample = self.samples[self.range(instant, instant)].first()?;
        (seen_by <= f64::from(entities_max)).then(|| {
            let text = format!(
                "a value that {} had within {}; the rule asks for at most {entities_max}",
                number(seen_by),
                span(frame.span_ns)
            );
            by(verdict(text, seen_by, f64::from(entities_max)), sample)
        })
    }

    fn of_small_share(&self, frame: &Frame, instant: i64, share_max: f64) -> Vec<Verdict> {
        let samples = &self.samples[self.range(instant.saturating_sub(frame.span_ns), instant)];
        let all: f64 = samples.iter().map(|sample| f64::from(sample.weight)).sum();
        let rare = |sample: Sample| {
            let same = samples.iter().filter(|other| other.tag == sample.tag);
            let same: f64 = same.map(|other| f64::from(other.weight)).sum();
            (same / all <= share_max).then(|| {
                let text = format!(
                    "a {} that {} of {} events within {} have; the rule asks for at most {} %",
                    frame.field,
                    number(same),
                    number(all),
                    span(frame.span_ns),
                    number(share_max * 100.0)
                );
                about(verdict(text, same, share_max * all), &sample)
            })
        };
        self.values_at(instant).into_iter().filter_map(rare).collect()
    }

    /// Of values at one moment the one that the group had already comes first.
    fn changes(&mut self, frame: &Frame, instant: i64) -> Vec<Verdict> {
        let mut found = Vec::new();
        let mut samples = self.values_at(instant);
        let known = self.terms.first().map(|(tag, _)| *tag);
        samples.sort_by_key(|sample| Some(sample.tag) != known);
        for sample in samples {
            let last = std::mem::replace(&mut self.terms, vec![(sample.tag, instant)]);
            let Some((tag, at)) = last.first().copied() else { continue };
            let ago = instant.saturating_sub(at);
            if tag != sample.tag && ago <= frame.span_ns {
                let text = format!("{} differs from what it was {} before", frame.field, span(ago));
                found.push(about(verdict(text, 1.0, 1.0), &sample));
            }
        }
        found
    }

    fn risk(&self, frame: &Frame, instant: i64) -> Option<Verdict> {
        let Judge::Risk { score, rules_min, tactics_min, half_life } = &frame.judged.judge else {
            return None;
        };
        let samples = &self.samples[self.range(instant.saturating_sub(frame.span_ns), instant)];
        let points = |sample: &Sample| match half_life {
            Some(half_life) => {
                let age =
                    instant.saturating_sub(sample.at) as f64 / nanos(*half_life).max(1) as f64;
                sample.value * 0.5f64.powf(age)
            }
            None => sample.value,
        };
        let total: f64 = samples.iter().map(points).sum();
        let rules: HashSet<u128> = samples.iter().map(|sample| sample.tag).collect();
        let tactics = samples.iter().fold(0u32, |marks, sample| marks | sample.marks).count_ones();
        let is_enough =
            total >= *score && rules.len() >= *rules_min as usize && tactics >= *tactics_min;
        is_enough.then(|| {
            let text = format!(
                "{} points of risk from {} and {} within {}; the rule asks for {}",
                number(total),
                counted(rules.len() as u64, "rule"),
                counted(tactics as u64, "tactic"),
                span(frame.span_ns),
                number(*score)
            );
            verdict(text, total, *score)
        })
    }
}

/// Whether rules matched one after the other; those of one moment may stand in any order.
fn are_in_order(samples: &[Sample], rules: &[u32]) -> bool {
    let mut rest = rules;
    for moment in samples.chunk_by(|one, next| one.at == next.at) {
        while let Some((next, after)) = rest.split_first()
            && moment.iter().any(|sample| sample.tag == u128::from(*next))
        {
            rest = after;
        }
    }
    rest.is_empty()
}

fn verdict(text: String, observed: f64, threshold: f64) -> Verdict {
    let why = Explained { text, observed, threshold, usual: None };
    Verdict { why, by: None, value: None }
}

/// A verdict that rests on what is usual, from and to.
fn resting_on(mut verdict: Verdict, usual: [f64; 2]) -> Verdict {
    verdict.why.usual = Some(usual);
    verdict
}

fn by(verdict: Verdict, sample: &Sample) -> Verdict {
    Verdict { by: Some(sample.id), ..verdict }
}

/// A verdict about the value that an event has.
fn about(verdict: Verdict, sample: &Sample) -> Verdict {
    Verdict { by: Some(sample.id), value: Some(sample.tag), ..verdict }
}

/// A number with at most two digits behind the point.
fn number(value: f64) -> String {
    // The sum of nothing is -0.
    let rounded = (value * 100.0).round() / 100.0 + 0.0;
    rounded.to_string()
}

fn span(nanos: i64) -> String {
    span_text(u64::try_from(nanos / 1_000_000_000).unwrap_or(0))
}
