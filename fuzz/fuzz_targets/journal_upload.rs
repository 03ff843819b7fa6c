//! Fuzz target `journal_upload`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("journal_upload"),
    |bytes: &[u8]| logwarden_fuzz::run("journal_upload", bytes)
);
