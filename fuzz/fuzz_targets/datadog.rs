//! Fuzz target `datadog`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("datadog"),
    |bytes: &[u8]| logwarden_fuzz::run("datadog", bytes)
);
