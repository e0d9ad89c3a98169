//! libFuzzer entry; the target itself is `khien_fuzz::correlation_state`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| khien_fuzz::correlation_state(data));
