//! A cryptographic device in software behind the C interface of GM/T 0018, which fails on demand. For tests and for
//! developing without hardware; it protects nothing.
//!
//! The shared library `libqiao_softdevice.so` is the device. Its keys are a text file ([`rig::Keys`] writes one), named by
//! the environment variable `QIAO_SOFTDEVICE` or by a test. While a file `FILE.unplugged` stands beside a key file
//! named by the environment, the device is gone.
mod arithmetic;
mod contents;
mod control;
mod device;
mod interface;
pub mod rig;
mod state;
