//! libFuzzer entry; the target itself is `khien_fuzz::rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| khien_fuzz::rules(data));
