//! Fuzz target `rules`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("rules"),
    |bytes: &[u8]| logwarden_fuzz::run("rules", bytes)
);
