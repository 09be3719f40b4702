//! Keys in devices, through the real C interface of the software device: computing both ways, the vault on top, failures.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]
mod failures;
mod keys;
mod operations;
mod pool;
mod remote;
mod root;
mod service;
mod setup;
