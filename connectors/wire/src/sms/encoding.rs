//! The encodings of message content that CMPP, SMGP and SGIP share.

use qiao_mappings::Charset;
use std::borrow::Cow;

/// Msg_Fmt of CMPP, MsgFormat of SMGP, MessageCoding of SGIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// 0: ASCII, one byte a character.
    Ascii,
    /// 4: any bytes, no text.
    Binary,
    /// 8: UCS2, in practice UTF-16 big-endian; rare characters are surrogate pairs.
    Ucs2,
    /// 15: GBK. Rare characters beyond two bytes cannot be written.
    Gbk,
}

/// Content that is no text of its encoding, or text that the encoding cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// A character outside the encoding.
    #[error("character {position} (U+{code:04X}) has no place in {encoding:?}; send the message as UCS2")]
    NotEncodable {
        /// The encoding asked for.
        encoding: Encoding,
        /// Which character, from 1.
        position: usize,
        /// Its code point.
        code: u32,
    },
    /// Bytes that are no text of the encoding.
    #[error("the content of {bytes} bytes is not {encoding:?} text")]
    NotText {
        /// The encoding stated.
        encoding: Encoding,
        /// Length of the content.
        bytes: usize,
    },
    /// More parts than a message can have.
    #[error("the message needs {parts} parts, at most {most} are allowed; shorten it")]
    TooManyParts {
        /// Parts needed.
        parts: usize,
        /// Parts allowed.
        most: usize,
    },
}

impl Encoding {
    /// The encoding of a code on the wire; `None` for codes of no text (3, SIM operations, and others).
    pub fn of(code: u8) -> Option<Encoding> {
        match code {
            0 => Some(Encoding::Ascii),
            4 => Some(Encoding::Binary),
            8 => Some(Encoding::Ucs2),
            15 => Some(Encoding::Gbk),
            _ => None,
        }
    }

    /// The code on the wire.
    pub fn code(self) -> u8 {
        match self {
            Encoding::Ascii => 0,
            Encoding::Binary => 4,
            Encoding::Ucs2 => 8,
            Encoding::Gbk => 15,
        }
    }

    /// The encoding to send a text in: ASCII when it is ASCII, else UCS2, which carries every character.
    pub fn for_text(text: &str) -> Encoding {
        if text.is_ascii() { Encoding::Ascii } else { Encoding::Ucs2 }
    }

    /// The most bytes of a message of one part.
    pub fn single_bytes(self) -> usize {
        match self {
            Encoding::Ascii => 160,
            _ => 140,
        }
    }

    /// Writes text. Binary takes it as UTF-8.
    ///
    /// # Errors
    /// The first character that the encoding cannot carry.
    pub fn encode(self, text: &str) -> Result<Vec<u8>, TextError> {
        match self {
            Encoding::Ucs2 => Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            Encoding::Binary => Ok(text.as_bytes().to_vec()),
            Encoding::Ascii => match text.chars().position(|character| !character.is_ascii()) {
                None => Ok(text.as_bytes().to_vec()),
                Some(index) => Err(self.not_encodable(text, index)),
            },
            Encoding::Gbk => Charset::Gbk.encode(Cow::Borrowed(text)).map_err(|_| {
                let unmappable = |character: char| Charset::Gbk.encode(character.to_string().into()).is_err();
                self.not_encodable(text, text.chars().position(unmappable).unwrap_or_default())
            }),
        }
    }

    fn not_encodable(self, text: &str, index: usize) -> TextError {
        let code = text.chars().nth(index).map_or(0, u32::from);
        TextError::NotEncodable { encoding: self, position: index + 1, code }
    }

    /// Reads text. GBK content may hold the four-byte characters of GB 18030. Binary is read as UTF-8.
    ///
    /// # Errors
    /// Bytes that are no text of the encoding: a byte above 127 in ASCII, half a character, half a surrogate pair.
    pub fn decode(self, bytes: &[u8]) -> Result<String, TextError> {
        let not_text = || TextError::NotText { encoding: self, bytes: bytes.len() };
        match self {
            Encoding::Ascii if !bytes.is_ascii() => Err(not_text()),
            Encoding::Ascii | Encoding::Binary => String::from_utf8(bytes.to_vec()).map_err(|_| not_text()),
            Encoding::Ucs2 => {
                let (pairs, odd) = bytes.as_chunks::<2>();
                if !odd.is_empty() {
                    return Err(not_text());
                }
                let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
                char::decode_utf16(units).collect::<Result<_, _>>().map_err(|_| not_text())
            }
            Encoding::Gbk => Charset::Gbk.decode(bytes).map(Cow::into_owned).map_err(|_| not_text()),
        }
    }

    /// Bytes of the character that starts at the beginning of `rest`, which is not empty. Content that is cut is
    /// never cut inside it.
    pub(crate) fn character_bytes(self, rest: &[u8]) -> usize {
        match (self, rest) {
            (Encoding::Ucs2, [0xD8..=0xDB, ..]) => 4,
            (Encoding::Ucs2, _) => 2,
            (Encoding::Gbk, [0x81..=0xFE, 0x30..=0x39, ..]) => 4,
            (Encoding::Gbk, [0x81..=0xFE, ..]) => 2,
            _ => 1,
        }
    }
}
