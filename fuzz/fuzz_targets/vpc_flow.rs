//! Fuzz target `vpc_flow`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("vpc_flow"),
    |bytes: &[u8]| logwarden_fuzz::run("vpc_flow", bytes)
);
