//! Fuzz target `datagrams`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("datagrams"),
    |bytes: &[u8]| logwarden_fuzz::run("datagrams", bytes)
);
