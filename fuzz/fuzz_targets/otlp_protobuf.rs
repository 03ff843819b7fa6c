//! Fuzz target `otlp_protobuf`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("otlp_protobuf"),
    |bytes: &[u8]| logwarden_fuzz::run("otlp_protobuf", bytes)
);
