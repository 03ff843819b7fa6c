//! Fuzz target `forward`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("forward"),
    |bytes: &[u8]| logwarden_fuzz::run("forward", bytes)
);
