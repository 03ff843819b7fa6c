//! Fuzz target `time`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("time"),
    |bytes: &[u8]| logwarden_fuzz::run("time", bytes)
);
