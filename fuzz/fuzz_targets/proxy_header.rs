//! Fuzz target `proxy_header`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("proxy_header"),
    |bytes: &[u8]| logwarden_fuzz::run("proxy_header", bytes)
);
