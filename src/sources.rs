//! How sources and inputs are, in the shapes in which the API shows it.

use logwarden_event::Timestamp;
use logwarden_ingest::health::{FieldReport, SourceReport};
use logwarden_ingest::{EnrichReport, Handle, InputReport, QuotaUse};
use logwarden_web::{
    EnrichmentDetails, InputDetails, SourceFailures, SourceField, SourceHealth, SourceQuota,
};

/// Every source that ingest watches.
pub(crate) fn health(ingest: &Handle) -> Vec<SourceHealth> {
    ingest.sources().into_iter().map(show).collect()
}

/// Every file with what is known besides the records.
pub(crate) fn enrichments(ingest: &Handle) -> Vec<EnrichmentDetails> {
    let show = |report: EnrichReport| EnrichmentDetails {
        name: report.name,
        problem: report.problem,
        written_at: report.written_at.map(|at| at.to_string()),
        entries: report.indicators as u64,
        left_out: report.left_out,
    };
    ingest.enrichments().into_iter().map(show).collect()
}

/// Every input.
pub(crate) fn inputs(ingest: &Handle) -> Vec<InputDetails> {
    let show = |report: InputReport| {
        let InputReport { name, kind, problem, records, lag, restarts } = report;
        InputDetails { name, kind, problem, records, lag, restarts }
    };
    ingest.inputs().into_iter().map(show).collect()
}

fn show((report, quota): (SourceReport, QuotaUse)) -> SourceHealth {
    let names = |is_wanted: fn(&FieldReport) -> bool| {
        let wanted = report.fields.iter().filter(|field| is_wanted(field));
        wanted.map(|field| field.name.clone()).collect()
    };
    SourceHealth {
        state: match (report.is_silent, report.last_received_at) {
            (true, _) => "silent",
            (false, None) => "never_seen",
            (false, Some(_)) => "active",
        },
        first_received_at: report.first_received_at.map(|at| at.to_string()),
        last_received_at: report.last_received_at.map(|at| at.to_string()),
        quiet_secs: report.quiet.as_secs(),
        silent_after_secs: report.silent_after.map(|after| after.as_secs()),
        events: report.events,
        bytes: report.bytes,
        rejected: report.rejected,
        events_per_sec: report.events_per_sec,
        events_per_sec_usual: report.events_per_sec_usual,
        clock_skew_ms: report.clock_skew_ms,
        failures: report
            .failures
            .iter()
            .map(|(reason, failures)| {
                let last_at = Timestamp::from_nanos(failures.last_at).to_string();
                let example = failures.example.clone();
                (reason.clone(), SourceFailures { count: failures.count, example, last_at })
            })
            .collect(),
        quota: SourceQuota {
            events_per_sec_max: quota.events_per_sec_max,
            bytes_per_sec_max: quota.bytes_per_sec_max,
            bytes_per_day_max: quota.bytes_per_day_max,
            bytes_today: quota.bytes_today,
            refused: quota.refused,
        },
        fields_new: names(|field| field.is_new),
        fields_gone: names(|field| field.is_gone),
        fields_retyped: names(|field| field.retyped_at.is_some()),
        fields_beyond: report.fields_beyond,
        fields: report.fields.into_iter().map(show_field).collect(),
        name: report.name,
    }
}

fn show_field(field: FieldReport) -> SourceField {
    SourceField {
        name: field.name,
        kinds: field.kinds,
        share: field.share,
        first_seen_at: field.first_seen_at.to_string(),
        last_seen_at: field.last_seen_at.to_string(),
    }
}
