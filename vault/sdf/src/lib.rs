//! Cryptographic devices behind the C interface of GM/T 0018 (SDF), loaded at run time. For the vault's device driver.
//!
//! Everything here blocks in the device's library for as long as that pleases; the vault's pool gives every call a thread
//! and a deadline.
pub mod code;
mod convert;
pub mod raw;
mod session;
mod symmetric;

pub use code::{Class, SdfError, text};
pub use convert::CipherBuffer;
pub use raw::DecryptForm;
pub use session::{Device, DeviceFacts, Library, LoadError, Session, SessionKey};
