//! Fuzz target `access`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("access"),
    |bytes: &[u8]| logwarden_fuzz::run("access", bytes)
);
