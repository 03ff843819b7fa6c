//! Fuzz target `login`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("login"),
    |bytes: &[u8]| logwarden_fuzz::run("login", bytes)
);
