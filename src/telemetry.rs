//! What the process says about itself: its log on standard error, metrics, panics.

use std::io::IsTerminal;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing::error;
use tracing_subscriber::EnvFilter;

/// Starts the log. `LOGWARDEN_LOG` chooses what is said (`info` when it is not set); on a terminal
/// lines are for people, else JSON.
pub(crate) fn start_log(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        log.with_target(false).init();
    } else {
        log.json().flatten_event(true).init();
    }
}

/// Installs the recorder of metrics and gives what renders them for `/metrics`.
pub(crate) fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    Ok(PrometheusBuilder::new().install_recorder()?)
}

/// Sends panics to the log, one line each: a panicking task ends, the process goes on.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        metrics::counter!("logwarden_panics_total").increment(1);
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(panic.place = place, "a task panicked: {panic}");
    }));
}
