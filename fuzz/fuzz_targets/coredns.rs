//! Fuzz target `coredns`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("coredns"),
    |bytes: &[u8]| logwarden_fuzz::run("coredns", bytes)
);
