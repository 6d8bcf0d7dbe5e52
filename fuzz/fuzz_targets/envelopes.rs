//! Runs the target `envelopes` of `targets.rs` on what the fuzzer makes up.
#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code)]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::envelopes(data));
