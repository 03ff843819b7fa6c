//! Reads what is stored of the events that a rule looks at, in the order in which they came.

use logwarden_event::{Event, TimeRange};
use logwarden_query::{
    Control, Engine as Searches, Filter, Query, SearchRequest, SortKey, Visibility,
};

use crate::error::AlertingError;
use crate::rule::{Logic, RuleSet};

/// Events read at a time.
const PAGE_EVENTS: usize = 5_000;

/// Hands each event of that time to `look`; answers how many there were, or nothing where there are more
/// than `events_max`, of which then a part was looked at.
///
/// # Errors
///
/// [`AlertingError::Invalid`] when what is stored cannot be read whole.
pub(crate) async fn each_event(
    searches: &Searches,
    (rules, place): (&RuleSet, usize),
    range: TimeRange,
    events_max: usize,
    mut look: impl FnMut(&Event),
) -> Result<Option<usize>, AlertingError> {
    let query = Query { filter: members(rules, place), pipes: Vec::new() };
    let (mut cursor, mut events) = (None, 0);
    loop {
        let request = SearchRequest {
            query: query.clone(),
            range,
            limit: PAGE_EVENTS,
            sort: vec![SortKey::parse("lw.seq")],
            cursor,
            visibility: Visibility::everything(),
        };
        let answer = searches.search(request, Control::default()).await;
        let answer = answer.map_err(|error| AlertingError::Invalid(error.to_string()))?;
        if !answer.coverage.complete {
            return Err(AlertingError::Invalid("a part of what is stored cannot be read".into()));
        }
        events += answer.hits.len();
        if events > events_max || answer.total > events_max as u64 {
            return Ok(None);
        }
        answer.hits.iter().for_each(&mut look);
        cursor = answer.next;
        if cursor.is_none() {
            return Ok(Some(events));
        }
    }
}

/// What the rules below a correlation look for.
fn members(rules: &RuleSet, place: usize) -> Filter {
    match &rules.rules()[place].logic {
        Logic::Match(selection) => selection.filter.clone(),
        Logic::Correlate(correlation) => {
            let below = correlation.rules.iter().filter_map(|reference| {
                rules.rules().iter().position(|rule| rule.is_called(&reference.text))
            });
            Filter::Or(below.map(|place| members(rules, place)).collect())
        }
    }
}
