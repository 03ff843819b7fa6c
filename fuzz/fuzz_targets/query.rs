//! Fuzz target `query`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("query"),
    |bytes: &[u8]| logwarden_fuzz::run("query", bytes)
);
