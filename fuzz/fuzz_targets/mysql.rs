//! Fuzz target `mysql`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("mysql"),
    |bytes: &[u8]| logwarden_fuzz::run("mysql", bytes)
);
