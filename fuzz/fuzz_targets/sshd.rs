//! Fuzz target `sshd`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("sshd"),
    |bytes: &[u8]| logwarden_fuzz::run("sshd", bytes)
);
