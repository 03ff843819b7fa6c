//! Fuzz target `proxies`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("proxies"),
    |bytes: &[u8]| logwarden_fuzz::run("proxies", bytes)
);
