//! Fuzz target `sysmon`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("sysmon"),
    |bytes: &[u8]| logwarden_fuzz::run("sysmon", bytes)
);
