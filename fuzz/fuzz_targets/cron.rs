//! Fuzz target `cron`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("cron"),
    |bytes: &[u8]| logwarden_fuzz::run("cron", bytes)
);
