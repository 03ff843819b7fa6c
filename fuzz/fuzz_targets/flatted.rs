//! Fuzz target `flatted`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("flatted"),
    |bytes: &[u8]| logwarden_fuzz::run("flatted", bytes)
);
