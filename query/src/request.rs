//! What all requests have in common: who asks, what they may see, and how they can stop it.

use logwarden_event::{Event, TimeRange, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::filter::{Filter, Predicate, Target, Test, lower};
use crate::language::{Pipe, Query};

/// What a principal may see. It is AND-ed to every condition, outside of what the user wrote.
#[derive(Debug, Clone, Default)]
pub struct Visibility {
    /// The row filter of the token or role.
    pub row_filter: Option<Filter>,
    /// Records of our own (datasets `logwarden.*`) may be seen, when a query names their dataset.
    pub may_see_own_records: bool,
}

/// How a request is watched and stopped.
#[derive(Debug, Clone, Default)]
pub struct Control {
    /// Ends the request with [`QueryError::Cancelled`](crate::QueryError::Cancelled).
    pub cancel: CancellationToken,
    /// Where to tell how far it is. What does not fit is left out: nobody waits for it.
    pub progress: Option<mpsc::Sender<Progress>>,
    /// On whose behalf; at most so many requests of one principal run at the same time.
    pub principal: String,
}

/// How far a search is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Pieces read so far.
    pub splits: Splits,
    /// Events found so far.
    pub total: u64,
    /// The first events so far, in order; empty when they have not changed.
    pub hits: Vec<Event>,
}

/// How many pieces were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Splits {
    /// Read to the end.
    pub read: usize,
    /// To be read: those whose time lies in the range.
    pub of: usize,
}

/// How much of what should be read an answer rests on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Pieces.
    pub splits: Splits,
    /// Everything was read.
    pub complete: bool,
    /// The pieces that could not be read, by name.
    pub unreadable: Vec<String>,
}

/// The range `[from, to)` of a request; what is not said is open.
pub fn time_range(from: Option<Timestamp>, to: Option<Timestamp>) -> TimeRange {
    TimeRange { start: from.unwrap_or(Timestamp::MIN), end: to.unwrap_or(Timestamp::MAX) }
}

/// What the datasets of our own records begin with.
const OWN_DATASETS: &str = "logwarden.";

impl Visibility {
    /// The whole condition of a query: what may be seen, and what the user wants to see.
    pub(crate) fn visible(&self, query: &Query) -> Filter {
        let mut filters: Vec<Filter> = self.row_filter.iter().cloned().collect();
        filters.push(self.own_records(&query.filter));
        filters.push(query.filter.clone());
        let has_rows = |pipe: &&Pipe| !matches!(pipe, Pipe::Aggregate(_));
        for pipe in query.pipes.iter().take_while(has_rows) {
            if let Pipe::Where(filter) = pipe {
                filters.push(filter.clone());
            }
        }
        Filter::And(filters)
    }

    /// What may be seen of single events, which name no dataset.
    pub(crate) fn visible_by_id(&self) -> Filter {
        let mut filters: Vec<Filter> = self.row_filter.iter().cloned().collect();
        if !self.may_see_own_records {
            filters.push(own_dataset().negated());
        }
        Filter::And(filters)
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
    use logwarden_event::EventBuilder;

    use super::*;
    use crate::language::parse_query;

    /// Whether a query of somebody who may see our records finds one of `dataset`.
    fn check(query: &str, dataset: &str, expected: bool) {
        let query = parse_query(query, Timestamp::default()).expect(query);
        let mut event = EventBuilder::new(b"");
        event.dataset(dataset).message("root");
        let event = event.build();
        let mut visibility = Visibility { may_see_own_records: true, row_filter: None };
        assert_eq!(visibility.visible(&query).matches(&event), expected, "{query:?}");
        visibility.may_see_own_records = false;
        assert_eq!(
            visibility.visible(&query).matches(&event),
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
        let visibility = Visibility { row_filter: Some(row_filter), may_see_own_records: false };
        let mut event = EventBuilder::new(b"");
        event.source("shop").message("root");
        assert!(!visibility.visible(&query).matches(&event.build()));
    }
}
