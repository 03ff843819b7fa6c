//! Fuzz target `leef`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("leef"),
    |bytes: &[u8]| logwarden_fuzz::run("leef", bytes)
);
