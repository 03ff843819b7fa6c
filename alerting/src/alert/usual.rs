//! What was usual for an alert's group before it fired.
//!
//! In: an alert whose rule counts events in a window, and the events there are. Out: how many events its
//! search found in the windows of the day before, in the alert's `why`. Read when somebody looks at the
//! alert or is told of it, so that detection waits for no search; what cannot be told in [`PATIENCE`] is
//! left out, as it is where the rule knows better itself.

use std::time::Duration;

use logwarden_event::{TimeRange, Timestamp};
use logwarden_query::{Control, Cut, Engine, HistogramRequest, Visibility, parse_query};

use super::Alert;
use super::wording::span_text;

/// The span before the first event that is looked at.
const SPAN: Duration = Duration::from_secs(86_400);
/// Windows that are looked at, the newest.
const WINDOWS_MAX: u64 = 1_440;
/// Fewer tell nothing.
const WINDOWS_MIN: u64 = 8;
/// How long a search may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// Whose requests these are.
const PRINCIPAL: &str = "alerting";

/// Tells in `why` what is usual, where it can be told.
pub(crate) async fn tell(events: Option<&Engine>, alert: &mut Alert) {
    let (Some(events), "event_count", None) =
        (events, alert.summary.rule.kind.as_str(), alert.why.usual)
    else {
        return;
    };
    let window = alert.why.window_secs;
    if window == 0 || alert.why.threshold == 0 {
        return;
    }
    let windows = (SPAN.as_secs() / window).min(WINDOWS_MAX);
    if windows < WINDOWS_MIN {
        return;
    }
    let searched = counts(events, alert, Duration::from_secs(window), windows);
    let Ok(Some(counts)) = tokio::time::timeout(PATIENCE, searched).await else { return };
    let [low, high] = middle(counts);
    let usual = if low == high { low.to_string() } else { format!("{low} to {high}") };
    let of = if alert.why.text.ends_with('.') { "" } else { "." };
    alert.why.text += &format!("{of} Usual for this group: {usual} in {}.", span_text(window));
    alert.why.usual = Some([low as f64, high as f64]);
}

/// Events in each of the windows before the alert's first event; `None` when not all could be read.
async fn counts(
    events: &Engine,
    alert: &Alert,
    window: Duration,
    windows: u64,
) -> Option<Vec<u64>> {
    let end = alert.summary.first_event_at;
    let span = i64::try_from(window.as_nanos()).ok()?.checked_mul(i64::try_from(windows).ok()?)?;
    let request = HistogramRequest {
        query: parse_query(&alert.search.query, end).ok()?,
        range: TimeRange { start: Timestamp::from_nanos(end.nanos().checked_sub(span)?), end },
        cut: Cut::Interval(window),
        by: None,
        visibility: Visibility::everything(),
    };
    let control = Control { principal: String::from(PRINCIPAL), ..Control::default() };
    let answer = events.histogram(request, control).await.ok()?;
    let is_whole = answer.coverage.complete && !answer.buckets.is_empty();
    is_whole.then(|| answer.buckets.iter().map(|bucket| bucket.count).collect())
}

/// The bounds of the middle nine tenths.
fn middle(mut counts: Vec<u64>) -> [u64; 2] {
    counts.sort_unstable();
    let last = counts.len() - 1;
    let at = |permille: usize| counts[(last * permille + 500) / 1_000];
    [at(50), at(950)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_leaves_out_what_is_rare() {
        assert_eq!(middle(vec![3]), [3, 3]);
        let mut counts = vec![1; 90];
        counts.extend([0, 4, 4, 4, 4, 4, 4, 4, 4, 900]);
        assert_eq!(middle(counts), [1, 4]);
        assert_eq!(middle(vec![0; 288]), [0, 0]);
    }
}
