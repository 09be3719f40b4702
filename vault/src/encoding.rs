//! How bytes are written as text on a partner's wire. For envelopes and for key import.
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text form of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TextForm {
    /// Lower-case hexadecimal; either case is read.
    #[serde(rename = "hex")]
    Hex,
    /// Upper-case hexadecimal; either case is read.
    #[serde(rename = "HEX")]
    UpperHex,
    /// RFC 4648 §4 with padding; read with or without padding, and with the line breaks old Java encoders insert.
    #[serde(rename = "base64")]
    Base64,
    /// RFC 4648 §5 without padding; read with or without padding.
    #[serde(rename = "base64url")]
    Base64Url,
    /// The bytes are UTF-8 text; numbers and booleans are read as their JSON text.
    #[serde(rename = "text")]
    Text,
    /// The bytes are JSON text, written and read as a JSON value.
    #[serde(rename = "json")]
    Json,
}

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const READ_STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const READ_URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

impl TextForm {
    /// Bytes → text. `None` where the bytes are not UTF-8 (`text`, `json`).
    pub fn encode(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Hex => Some(hex::encode(bytes)),
            Self::UpperHex => Some(hex::encode_upper(bytes)),
            Self::Base64 => Some(general_purpose::STANDARD.encode(bytes)),
            Self::Base64Url => Some(general_purpose::URL_SAFE_NO_PAD.encode(bytes)),
            Self::Text | Self::Json => std::str::from_utf8(bytes).ok().map(str::to_owned),
        }
    }

    /// Text → bytes. `None` where the text is not in this form.
    pub fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex | Self::UpperHex => hex::decode(text).ok(),
            Self::Base64 => decode_base64(&READ_STANDARD, text),
            Self::Base64Url => decode_base64(&READ_URL_SAFE, text),
            Self::Text | Self::Json => Some(text.as_bytes().to_vec()),
        }
    }
}

fn decode_base64(engine: &GeneralPurpose, text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|b| b.is_ascii_whitespace()) {
        let dense: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        return engine.decode(dense).ok();
    }
    engine.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_byte_form_reads_back_what_it_wrote(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for form in [TextForm::Hex, TextForm::UpperHex, TextForm::Base64, TextForm::Base64Url] {
                let text = form.encode(&bytes).unwrap();
                prop_assert_eq!(form.decode(&text), Some(bytes.clone()));
            }
        }

        #[test]
        fn reading_any_text_never_panics(text in ".{0,80}") {
            for form in [TextForm::Hex, TextForm::UpperHex, TextForm::Base64, TextForm::Base64Url] {
                if let Some(bytes) = form.decode(&text) {
                    prop_assert!(bytes.len() <= text.len());
                }
            }
        }
    }

    #[test]
    fn reads_base64_with_line_breaks_and_without_padding() {
        assert_eq!(TextForm::Base64.decode("YW\r\nJj").as_deref(), Some(&b"abc"[..]));
        assert_eq!(TextForm::Base64.decode("YQ").as_deref(), Some(&b"a"[..]));
        assert_eq!(TextForm::Base64.decode("YQ==").as_deref(), Some(&b"a"[..]));
        assert_eq!(TextForm::Base64.decode("Y_Q="), None);
    }

    #[test]
    fn refuses_text_for_bytes_that_are_not_utf8() {
        assert_eq!(TextForm::Text.encode(&[0xff]), None);
    }
}
