//! Fuzz target `cef`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("cef"),
    |bytes: &[u8]| logwarden_fuzz::run("cef", bytes)
);
