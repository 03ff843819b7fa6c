//! Fuzz target `http_json`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("http_json"),
    |bytes: &[u8]| logwarden_fuzz::run("http_json", bytes)
);
