//! Fuzz target `dnsmasq`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("dnsmasq"),
    |bytes: &[u8]| logwarden_fuzz::run("dnsmasq", bytes)
);
