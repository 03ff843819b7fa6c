//! Fuzz target `postgresql`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("postgresql"),
    |bytes: &[u8]| logwarden_fuzz::run("postgresql", bytes)
);
