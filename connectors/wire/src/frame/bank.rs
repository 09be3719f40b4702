//! The banks' TCP messages: eight ASCII digits that count the body, then GB 18030 XML.

use super::spec::{FrameSpec, LengthForm, LengthSpec};
use qiao_mappings::{Charset, CodecError};
use std::borrow::Cow;

/// The most bytes of a body unless a definition says otherwise: 4 MiB, for an image in base64.
pub const MAX_BODY: usize = 4 << 20;

/// The framing: the length counts the body alone, zero-padded to eight digits; an empty body is refused.
pub fn frame(max: usize) -> FrameSpec {
    FrameSpec::Length(LengthSpec { size: 8, form: LengthForm::Digits, ..LengthSpec::new(max) })
}

/// Reads the text of a body.
///
/// # Errors
/// Bytes that are not GB 18030, such as a character cut in half.
pub fn decode_text(body: &[u8]) -> Result<Cow<'_, str>, CodecError> {
    Charset::Gb18030.decode(body)
}

/// Writes the text of a body. Its length prefix counts these bytes, not characters.
///
/// # Errors
/// A character that GB 18030 cannot carry: private-use ones that the 2022 edition replaced.
pub fn encode_text(xml: &str) -> Result<Vec<u8>, CodecError> {
    Charset::Gb18030.encode(Cow::Borrowed(xml))
}
