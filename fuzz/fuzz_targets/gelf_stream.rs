//! Fuzz target `gelf_stream`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("gelf_stream"),
    |bytes: &[u8]| logwarden_fuzz::run("gelf_stream", bytes)
);
