//! What a principal sees: which events, and how much of each. Every reader asks here, nobody else.
//!
//! A row filter judges the event as it is. Then the mask takes away what may not be seen, and the
//! query judges what is left: a condition, a sort key or a group on a hidden field finds nothing,
//! so that neither hits nor counts nor suggestions tell what stood there.

use std::borrow::Cow;

use logwarden_event::{Event, TimeRange};

use crate::filter::{Filter, Predicate, Target, Test, lower};
use crate::language::{Pipe, Query};
use crate::mask::Mask;
use crate::plan::{Plan, plan};

/// What a principal may see. It is AND-ed to every condition, outside of what the user wrote.
#[derive(Debug, Clone, Default)]
pub struct Visibility {
    /// The row filters of role and token, all of them.
    pub row_filter: Option<Filter>,
    /// The fields that are hidden.
    pub mask: Mask,
    /// Records of our own (datasets `logwarden.*`) may be seen, when a query names their dataset.
    pub may_see_own_records: bool,
}

/// The events that satisfy a query, as somebody may see them.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// What must hold for the event as it is.
    whole: Filter,
    mask: Mask,
    /// What must hold for what is seen of it.
    seen: Filter,
}

/// What the datasets of our own records begin with.
const OWN_DATASETS: &str = "logwarden.";

impl Visibility {
    /// Our own records may be seen, and everything else.
    pub fn everything() -> Self {
        Self { may_see_own_records: true, ..Self::default() }
    }

    /// Whether some events, or some of an event, may not be seen.
    pub fn is_partial(&self) -> bool {
        self.row_filter.is_some() || !self.mask.is_empty()
    }

    /// What a query gives: what may be seen, and what the user wants to see.
    pub(crate) fn view(&self, query: &Query) -> View {
        let mut seen = vec![query.filter.clone()];
        for pipe in query.pipes.iter().take_while(|pipe| !pipe.makes_rows()) {
            if let Pipe::Where(filter) = pipe {
                seen.push(filter.clone());
            }
        }
        self.view_of(self.own_records(&query.filter), Filter::And(seen))
    }

    /// What may be seen of single events, which name no dataset; `wanted` is one that is not hidden.
    pub(crate) fn view_by_id(&self, wanted: Filter) -> View {
        let own = match self.may_see_own_records {
            true => Filter::All,
            false => own_dataset().negated(),
        };
        self.view_of(own, wanted)
    }

    fn view_of(&self, own: Filter, seen: Filter) -> View {
        let whole = self.row_filter.iter().cloned().chain([own]).collect();
        View { whole: Filter::And(whole), mask: self.mask.clone(), seen }
    }

    /// Leaves our own records out, less those whose dataset the query names.
    fn own_records(&self, query: &Filter) -> Filter {
        let mut alternatives = vec![own_dataset().negated()];
        if self.may_see_own_records {
            let mut named = Vec::new();
            collect_named(query, true, &mut named);
            alternatives.extend(named);
        }
        match alternatives.len() {
            1 => alternatives.swap_remove(0),
            _ => Filter::Or(alternatives),
        }
    }
}

impl View {
    /// What is seen of an event; `None`: nothing.
    pub(crate) fn see<'e>(&self, event: &'e Event) -> Option<Cow<'e, Event>> {
        if !self.whole.matches(event) {
            return None;
        }
        let event = self.mask.apply(event);
        self.seen.matches(&event).then_some(event)
    }

    /// What the index is asked for. It knows events as they are, so that under a mask it says only
    /// where to look.
    pub(crate) fn plan(&self, range: TimeRange) -> Plan {
        let is_whole = self.mask.is_empty();
        let seen = if is_whole { self.seen.clone() } else { self.mask.unmasked(&self.seen) };
        let plan = plan(&Filter::And(vec![self.whole.clone(), seen]), range);
        Plan { is_exact: plan.is_exact && is_whole, ..plan }
    }
}

fn own_dataset() -> Filter {
    Filter::is(Target::Dataset, Test::StartsWith { text: OWN_DATASETS.into(), cased: false })
}

/// Collects the conditions that name a dataset of ours, where they are wanted and not excluded.
fn collect_named(filter: &Filter, is_wanted: bool, named: &mut Vec<Filter>) {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => {
            filters.iter().for_each(|filter| collect_named(filter, is_wanted, named));
        }
        Filter::Not(filter) => collect_named(filter, !is_wanted, named),
        Filter::Is(Predicate { target: Target::Dataset, test }) if is_wanted && names_own(test) => {
            named.push(filter.clone());
        }
        Filter::Is(_) | Filter::All | Filter::Nothing => {}
    }
}

fn names_own(test: &Test) -> bool {
    match test {
        Test::Equals { text, .. } | Test::StartsWith { text, .. } => {
            lower(text).starts_with(OWN_DATASETS)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use logwarden_event::{EventBuilder, Timestamp};

    use super::*;
    use crate::language::parse_query;

    /// Whether a query of somebody who may see our records finds one of `dataset`.
    fn check(query: &str, dataset: &str, expected: bool) {
        let query = parse_query(query, Timestamp::default()).expect(query);
        let mut event = EventBuilder::new(b"");
        event.dataset(dataset).message("root");
        let event = event.build();
        let mut visibility = Visibility::everything();
        assert_eq!(visibility.view(&query).see(&event).is_some(), expected, "{query:?}");
        visibility.may_see_own_records = false;
        assert_eq!(
            visibility.view(&query).see(&event).is_some(),
            expected && !dataset.starts_with("logwarden."),
            "{query:?}"
        );
    }

    #[test]
    fn our_own_records_answer_only_to_the_name_of_their_dataset() {
        check("root", "shop", true);
        check("root", "logwarden.audit", false);
        check("dataset:*", "logwarden.audit", false);
        check("dataset:log*", "logwarden.audit", false);
        check("dataset:logwarden.audit", "logwarden.audit", true);
        check("dataset:LOGWARDEN.* root", "logwarden.audit", true);
        check("dataset:logwarden.deadletter OR root", "logwarden.audit", false);
        check("dataset:logwarden.deadletter OR root", "logwarden.deadletter", true);
        check("NOT dataset:logwarden.deadletter", "logwarden.audit", false);
        check("NOT (NOT dataset:logwarden.audit)", "logwarden.audit", true);
    }

    #[test]
    fn a_row_filter_stays_outside_of_what_the_user_wrote() {
        let query = parse_query("a OR root", Timestamp::default()).expect("valid");
        let row_filter = parse_query("lw.source:edge", Timestamp::default()).expect("valid").filter;
        let visibility = Visibility { row_filter: Some(row_filter), ..Visibility::default() };
        let mut event = EventBuilder::new(b"");
        event.source("shop").message("root");
        assert!(visibility.view(&query).see(&event.build()).is_none());
    }
}
