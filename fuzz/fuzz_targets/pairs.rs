//! Fuzz target `pairs`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("pairs"),
    |bytes: &[u8]| logwarden_fuzz::run("pairs", bytes)
);
