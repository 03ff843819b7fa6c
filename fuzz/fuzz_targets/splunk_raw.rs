//! Fuzz target `splunk_raw`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("splunk_raw"),
    |bytes: &[u8]| logwarden_fuzz::run("splunk_raw", bytes)
);
