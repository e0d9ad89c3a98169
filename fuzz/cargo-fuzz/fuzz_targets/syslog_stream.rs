//! libFuzzer entry; the target itself is `khien_fuzz::syslog_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| khien_fuzz::syslog_stream(data));
