#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sqlbypass_fuzz::store::run(data));
