//! Fuzz target `auto`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("auto"),
    |bytes: &[u8]| logwarden_fuzz::run("auto", bytes)
);
