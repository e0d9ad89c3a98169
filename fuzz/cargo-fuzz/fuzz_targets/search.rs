//! libFuzzer entry; the target itself is `khien_fuzz::search`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| khien_fuzz::search(data));
