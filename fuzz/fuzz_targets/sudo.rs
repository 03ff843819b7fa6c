//! Fuzz target `sudo`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("sudo"),
    |bytes: &[u8]| logwarden_fuzz::run("sudo", bytes)
);
