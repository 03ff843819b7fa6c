//! Fuzz target `secret`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("secret"),
    |bytes: &[u8]| logwarden_fuzz::run("secret", bytes)
);
