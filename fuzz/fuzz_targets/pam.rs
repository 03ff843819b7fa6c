//! Fuzz target `pam`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("pam"),
    |bytes: &[u8]| logwarden_fuzz::run("pam", bytes)
);
