//! Fuzz target `auditd`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("auditd"),
    |bytes: &[u8]| logwarden_fuzz::run("auditd", bytes)
);
