//! The 12-byte head that CMPP (§8.3) and SMGP (§5.2.1) share.

use crate::error::WireError;

/// Bytes of the head.
pub(crate) const HEAD: usize = 12;

/// The head of a CMPP or SMGP message, readable before the body: to answer what cannot be decoded, to route replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Total_Length or PacketLength: bytes of the whole message, head included.
    pub length: u32,
    /// Command_Id or RequestID; a response has bit 31 set.
    pub command_id: u32,
    /// Sequence_Id: a response carries that of its request.
    pub sequence: u32,
}

impl Head {
    /// Reads the head of a frame.
    ///
    /// # Errors
    /// Fewer than 12 bytes.
    pub fn decode(frame: &[u8]) -> Result<Head, WireError> {
        let short = WireError::Short { field: "head", need: HEAD, left: frame.len() };
        let head: &[u8; HEAD] = frame.first_chunk().ok_or(short)?;
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        Ok(Head { length: word(0), command_id: word(4), sequence: word(8) })
    }

    /// Reads the head and checks that it states the frame's length; gives the body too.
    pub(crate) fn split(frame: &[u8]) -> Result<(Head, &[u8]), WireError> {
        let head = Head::decode(frame)?;
        if usize::try_from(head.length) != Ok(frame.len()) {
            return Err(WireError::Length { stated: head.length, actual: frame.len() });
        }
        Ok((head, &frame[HEAD..]))
    }

    /// Whether this is the head of a response.
    pub fn is_response(&self) -> bool {
        self.command_id & 0x8000_0000 != 0
    }

    /// Starts a message: room for the length, then command and sequence. [`Head::close`] fills the length in.
    pub(crate) fn open(command_id: u32, sequence: u32) -> Vec<u8> {
        let mut frame = Vec::with_capacity(256);
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(&command_id.to_be_bytes());
        frame.extend_from_slice(&sequence.to_be_bytes());
        frame
    }

    /// Writes the total length into a finished message.
    pub(crate) fn close(frame: &mut [u8], most: usize) -> Result<(), WireError> {
        match u32::try_from(frame.len()) {
            Ok(length) if frame.len() <= most => {
                frame[..4].copy_from_slice(&length.to_be_bytes());
                Ok(())
            }
            _ => Err(WireError::TooLong { field: "message", bytes: frame.len(), most }),
        }
    }
}
