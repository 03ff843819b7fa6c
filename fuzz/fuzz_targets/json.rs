//! Fuzz target `json`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("json"),
    |bytes: &[u8]| logwarden_fuzz::run("json", bytes)
);
