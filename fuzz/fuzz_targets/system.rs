//! Fuzz target `system`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("system"),
    |bytes: &[u8]| logwarden_fuzz::run("system", bytes)
);
