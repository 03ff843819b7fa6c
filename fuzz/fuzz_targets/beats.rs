//! Fuzz target `beats`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("beats"),
    |bytes: &[u8]| logwarden_fuzz::run("beats", bytes)
);
