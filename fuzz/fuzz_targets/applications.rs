//! Fuzz target `applications`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("applications"),
    |bytes: &[u8]| logwarden_fuzz::run("applications", bytes)
);
