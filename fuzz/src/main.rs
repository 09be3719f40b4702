//! The fuzzer: one target, named by the environment variable `QIAO_FUZZ_TARGET`. Built and run by `scripts/fuzz.sh`.
#![no_main]
#![allow(unsafe_code, reason = "the fuzzer calls two exported functions")]
use std::sync::LazyLock;

static RUN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("QIAO_FUZZ_TARGET").unwrap_or_default();
    qiao_fuzz::find(&name).unwrap_or_else(|problem| panic!("QIAO_FUZZ_TARGET: {problem}")).run
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (*RUN)(bytes));
