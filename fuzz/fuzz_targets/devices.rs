//! Fuzz target `devices`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("devices"),
    |bytes: &[u8]| logwarden_fuzz::run("devices", bytes)
);
