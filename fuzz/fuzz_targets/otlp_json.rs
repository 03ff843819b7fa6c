//! Fuzz target `otlp_json`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("otlp_json"),
    |bytes: &[u8]| logwarden_fuzz::run("otlp_json", bytes)
);
