//! Fuzz target `gelf_chunks`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("gelf_chunks"),
    |bytes: &[u8]| logwarden_fuzz::run("gelf_chunks", bytes)
);
