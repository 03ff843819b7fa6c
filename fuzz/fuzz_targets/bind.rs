//! Fuzz target `bind`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("bind"),
    |bytes: &[u8]| logwarden_fuzz::run("bind", bytes)
);
