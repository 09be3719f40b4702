//! Character sets of partners: strict both ways, so that no replacement character or `&#183382;` enters a message.

use crate::error::CodecError;
use encoding_rs::{EncoderResult, Encoding};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A character set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Charset {
    /// UTF-8; a byte order mark before a message is skipped when reading.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// GB 18030-2022: every character, rare ones in four bytes.
    #[serde(rename = "gb18030")]
    Gb18030,
    /// GBK: rare characters beyond two bytes cannot be written and are refused. Reading accepts all of GB 18030.
    #[serde(rename = "gbk")]
    Gbk,
}

impl Charset {
    /// Its name in headers and XML declarations.
    pub fn label(self) -> &'static str {
        match self {
            Charset::Utf8 => "UTF-8",
            Charset::Gb18030 => "GB18030",
            Charset::Gbk => "GBK",
        }
    }

    /// The charset of a label in a header or XML declaration; gb2312 is read as GBK.
    pub fn for_label(label: &str) -> Option<Charset> {
        // encoding_rs does not know this label of the 2022 edition.
        if label.eq_ignore_ascii_case("gb18030-2022") {
            return Some(Charset::Gb18030);
        }
        match Encoding::for_label(label.as_bytes())? {
            encoding if encoding == encoding_rs::UTF_8 => Some(Charset::Utf8),
            encoding if encoding == encoding_rs::GB18030 => Some(Charset::Gb18030),
            encoding if encoding == encoding_rs::GBK => Some(Charset::Gbk),
            // US-ASCII is labelled windows-1252 by the encoding standard; only a declared ASCII is accepted.
            _ if label.eq_ignore_ascii_case("us-ascii") => Some(Charset::Utf8),
            _ => None,
        }
    }

    /// Reads a whole message: as [`Charset::decode`], without the byte order mark of UTF-8.
    ///
    /// # Errors
    /// Bytes that are not text of this charset.
    pub fn decode_message(self, bytes: &[u8]) -> Result<Cow<'_, str>, CodecError> {
        match self {
            Charset::Utf8 => self.decode(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)),
            _ => self.decode(bytes),
        }
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// Bytes that are not text of this charset.
    pub fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>, CodecError> {
        if self == Charset::Utf8 {
            return match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Cow::Borrowed(text)),
                Err(error) => {
                    let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                    Err(CodecError::malformed("bytes that are not UTF-8").at(&valid, valid.len()))
                }
            };
        }
        self.encoding()
            .decode_without_bom_handling_and_without_replacement(bytes)
            .ok_or_else(|| CodecError::malformed(format!("bytes that are not {}", self.label())))
    }

    /// Writes text.
    ///
    /// # Errors
    /// The first character the charset cannot carry, by its position and code point.
    pub fn encode(self, text: Cow<'_, str>) -> Result<Vec<u8>, CodecError> {
        if self == Charset::Utf8 {
            return Ok(text.into_owned().into_bytes());
        }
        let mut encoder = self.encoding().new_encoder();
        let capacity = encoder.max_buffer_length_from_utf8_without_replacement(text.len());
        let mut out = Vec::with_capacity(capacity.unwrap_or(text.len() * 2));
        let mut rest = text.as_ref();
        loop {
            let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut out, true);
            rest = &rest[read..];
            match result {
                EncoderResult::InputEmpty => return Ok(out),
                EncoderResult::OutputFull => out.reserve(rest.len() * 2 + 16),
                EncoderResult::Unmappable(character) => {
                    let (label, code) = (self.label(), u32::from(character));
                    let error = CodecError::not_encodable(format!("{label} has no character U+{code:04X}"));
                    let position = text.len() - rest.len() - character.len_utf8();
                    return Err(error.at(&text, position));
                }
            }
        }
    }

    fn encoding(self) -> &'static Encoding {
        match self {
            Charset::Utf8 => encoding_rs::UTF_8,
            Charset::Gb18030 => encoding_rs::GB18030,
            Charset::Gbk => encoding_rs::GBK,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_rare_characters_in_gb18030_and_refuses_them_in_gbk() {
        assert_eq!(Charset::Gb18030.encode("𬱖".into()), Ok(vec![0x99, 0x33, 0xC3, 0x36]));
        assert_eq!(Charset::Gbk.encode("张䶮".into()), Ok(vec![0xD5, 0xC5, 0xFE, 0x9F]));
        let error = Charset::Gbk.encode("张\n𬱖三".into()).expect_err("not in GBK");
        assert_eq!(error.to_string(), "line 2, column 1: GBK has no character U+2CC56");
    }

    #[test]
    fn reads_the_2022_code_points_of_gb18030() {
        let text = Charset::Gb18030.decode(&[0xFE, 0x59, 0xA6, 0xD9]).expect("GB 18030");
        assert_eq!(text, "\u{9FB4}\u{FE10}");
        assert!(Charset::Gb18030.decode(&[0xFF]).is_err());
        assert!(Charset::Utf8.decode(b"\xD5\xC5").is_err());
        assert_eq!(Charset::Utf8.decode_message(b"\xEF\xBB\xBFa").as_deref(), Ok("a"));
    }

    #[test]
    fn knows_the_labels_of_partners() {
        assert_eq!(Charset::for_label("GB2312"), Some(Charset::Gbk));
        assert_eq!(Charset::for_label("gb18030-2022"), Some(Charset::Gb18030));
        assert_eq!(Charset::for_label("utf8"), Some(Charset::Utf8));
        assert_eq!(Charset::for_label("big5"), None);
    }

    proptest! {
        #[test]
        fn gb18030_carries_every_standard_character(text in "[^\u{E000}-\u{F8FF}\u{FFFE}\u{FFFF}]{0,40}") {
            let bytes = Charset::Gb18030.encode(text.as_str().into()).expect("GB 18030 covers Unicode");
            prop_assert_eq!(Charset::Gb18030.decode(&bytes).expect("its own bytes"), text);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            for charset in [Charset::Utf8, Charset::Gb18030, Charset::Gbk] {
                drop(charset.decode(&bytes));
            }
        }
    }
}
