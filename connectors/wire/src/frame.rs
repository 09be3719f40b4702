//! Where one message ends and the next begins on a byte stream, as a definition declares it.
//!
//! [`FrameSpec`] is the declaration, [`Framing`] its checked form, [`FrameDecoder`] the state of one connection.

pub mod bank;
mod decode;
mod spec;

pub use decode::{FrameDecoder, FrameError};
pub use spec::{DelimiterSpec, FixedSpec, FrameSpec, Framing, LengthForm, LengthSpec};

#[cfg(test)]
mod tests;
