//! Fuzz target `gelf_http`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("gelf_http"),
    |bytes: &[u8]| logwarden_fuzz::run("gelf_http", bytes)
);
