//! Fuzz target `firehose`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("firehose"),
    |bytes: &[u8]| logwarden_fuzz::run("firehose", bytes)
);
