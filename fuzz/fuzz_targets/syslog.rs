//! Fuzz target `syslog`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("syslog"),
    |bytes: &[u8]| logwarden_fuzz::run("syslog", bytes)
);
