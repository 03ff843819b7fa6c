//! Fuzz target `loki_json`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("loki_json"),
    |bytes: &[u8]| logwarden_fuzz::run("loki_json", bytes)
);
