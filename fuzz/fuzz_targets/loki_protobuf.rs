//! Fuzz target `loki_protobuf`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("loki_protobuf"),
    |bytes: &[u8]| logwarden_fuzz::run("loki_protobuf", bytes)
);
