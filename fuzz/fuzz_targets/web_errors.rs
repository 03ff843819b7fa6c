//! Fuzz target `web_errors`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("web_errors"),
    |bytes: &[u8]| logwarden_fuzz::run("web_errors", bytes)
);
