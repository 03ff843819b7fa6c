//! Fuzz target `accounts`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("accounts"),
    |bytes: &[u8]| logwarden_fuzz::run("accounts", bytes)
);
