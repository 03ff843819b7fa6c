//! Fuzz target `configuration`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("configuration"),
    |bytes: &[u8]| logwarden_fuzz::run("configuration", bytes)
);
