//! Fuzz target `otlp_grpc`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("otlp_grpc"),
    |bytes: &[u8]| logwarden_fuzz::run("otlp_grpc", bytes)
);
