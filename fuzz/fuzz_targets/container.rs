//! Fuzz target `container`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("container"),
    |bytes: &[u8]| logwarden_fuzz::run("container", bytes)
);
