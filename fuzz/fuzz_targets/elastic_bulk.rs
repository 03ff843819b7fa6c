//! Fuzz target `elastic_bulk`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("elastic_bulk"),
    |bytes: &[u8]| logwarden_fuzz::run("elastic_bulk", bytes)
);
