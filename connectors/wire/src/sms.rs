//! The text inside carrier messages: encodings, long messages cut into parts and put together again.
//!
//! A message of one part carries up to 140 bytes (160 of ASCII). A longer one is cut; each part starts with a user
//! data header (GSM 03.40 §9.2.3.24) that names the message and the part, and TP_udhi is 1. Part sizes are the
//! sender's affair: reading accepts any.

mod assemble;
mod encoding;
mod split;
mod udh;

pub use assemble::{Abandoned, Assembler, AssemblerLimits, AssemblyError, Outcome, PartKey, Pushed};
pub use encoding::{Encoding, TextError};
pub use split::{MAX_PARTS, Part, Reference, count_parts, split};
pub use udh::{Concatenation, UdhError, split_header};

#[cfg(test)]
mod tests;
