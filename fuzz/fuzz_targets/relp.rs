//! Fuzz target `relp`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("relp"),
    |bytes: &[u8]| logwarden_fuzz::run("relp", bytes)
);
