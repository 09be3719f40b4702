//! What is wrong with a message of a carrier protocol, for the connector or mock partner that turns it into a fault.

/// A message that does not follow its layout. No text holds a value of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The message ends inside a field.
    #[error("{field}: needs {need} bytes, {left} are left; the sender's layout or version differs")]
    Short {
        /// The field's name in the protocol document.
        field: &'static str,
        /// Bytes the field needs.
        need: usize,
        /// Bytes left in the message.
        left: usize,
    },
    /// Bytes follow the last field.
    #[error("{command}: {count} bytes after the last field; the sender's layout or version differs")]
    Trailing {
        /// The command's name in the protocol document.
        command: &'static str,
        /// How many bytes.
        count: usize,
    },
    /// The head states another length than the frame has.
    #[error("the head states {stated} bytes, the frame has {actual}")]
    Length {
        /// The length in the head.
        stated: u32,
        /// The length of the frame.
        actual: usize,
    },
    /// A command the protocol does not have between these two parties.
    #[error("unknown {protocol} command 0x{id:08x}")]
    UnknownCommand {
        /// The protocol.
        protocol: &'static str,
        /// The command id in the head.
        id: u32,
    },
    /// A value longer than its field; nothing is ever cut silently.
    #[error("{field}: {bytes} bytes, the field holds at most {most}")]
    TooLong {
        /// The field's name in the protocol document.
        field: &'static str,
        /// Bytes of the value.
        bytes: usize,
        /// Bytes the field holds.
        most: usize,
    },
    /// A repeated field that occurs too seldom or too often.
    #[error("{field}: {count} entries, {least} to {most} are allowed")]
    Count {
        /// The field's name in the protocol document.
        field: &'static str,
        /// How many there are.
        count: usize,
        /// The fewest allowed.
        least: usize,
        /// The most allowed.
        most: usize,
    },
    /// A field that the agreed version cannot carry.
    #[error("{field}: version {version} of the protocol has no room for this value; leave it empty")]
    NotInVersion {
        /// The field's name in the protocol document.
        field: &'static str,
        /// The agreed version.
        version: &'static str,
    },
    /// A value outside what the field can say.
    #[error("{field}: {reason}")]
    Value {
        /// The field's name in the protocol document.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}
