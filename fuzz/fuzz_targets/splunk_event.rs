//! Fuzz target `splunk_event`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("splunk_event"),
    |bytes: &[u8]| logwarden_fuzz::run("splunk_event", bytes)
);
