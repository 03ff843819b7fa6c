//! Fuzz target `json_lines`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("json_lines"),
    |bytes: &[u8]| logwarden_fuzz::run("json_lines", bytes)
);
