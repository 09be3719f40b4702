//! Byte layouts and framing of partners' wires, without sockets, shared by connectors and mock partners.
//!
//! - [`frame`]: where one message ends and the next begins on a TCP stream, as declared by a definition;
//! - [`cmpp`], [`smgp`], [`sgip`]: the SMS protocols of the three carriers, with [`sms`] for the text inside;
//! - [`bankfile`]: batch files exchanged with banks.
//!
//! Every decoder is total: whatever the bytes, it answers or refuses with an error that names the place. It holds no
//! more memory than the bytes it was given or the bound it states. Nothing here reads a clock, a file or a socket.

pub mod bankfile;
pub mod cmpp;
mod digest;
mod error;
pub mod frame;
mod head;
mod layout;
mod outcome;
pub mod sgip;
pub mod smgp;
pub mod sms;
mod stamp;

pub use digest::digests_match;
pub use error::WireError;
pub use head::Head;
pub use layout::{Authenticator, Content, FixedText, Layout, Numbers, Raw, SecretText};
pub use outcome::{Advice, DeliveryState, ResultCode, delivery_state};
pub use stamp::Stamp;
