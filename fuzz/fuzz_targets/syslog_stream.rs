//! Fuzz target `syslog_stream`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("syslog_stream"),
    |bytes: &[u8]| logwarden_fuzz::run("syslog_stream", bytes)
);
