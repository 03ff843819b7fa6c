//! Fuzz target `form`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("form"),
    |bytes: &[u8]| logwarden_fuzz::run("form", bytes)
);
