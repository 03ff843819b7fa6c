//! How far a measurement is, on standard error and only when that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The bar of one step; it goes when this is dropped.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// A step of `length` parts.
    pub(super) fn new(step: &'static str, length: u64) -> Self {
        let style =
            ProgressStyle::with_template("{msg:>10} [{bar:40}] {human_pos}/{human_len} {eta}");
        // indicatif draws nothing when standard error is no terminal.
        let bar = ProgressBar::new(length).with_message(step);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(500));
        Self(bar)
    }

    /// So many parts are done.
    pub(super) fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    /// So many more parts are done.
    pub(super) fn add(&self, parts: u64) {
        self.0.inc(parts);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
