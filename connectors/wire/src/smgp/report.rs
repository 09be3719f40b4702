//! The status report inside an SMGP Deliver (SMGP 3.0 §6.2.63).

use super::MsgId;
use crate::error::WireError;
use crate::layout::FixedText;
use crate::outcome::{DeliveryState, delivery_state};

/// The content of a [`super::Deliver`] whose IsReport is 1. 122 bytes:
/// `id:IIIIIIIIII sub:001 dlvrd:001 Submit date:YYMMDDhhmm done date:YYMMDDhhmm stat:DELIVRD err:000 Text:…`
/// where the id is ten binary bytes in the middle of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusReport {
    /// The MsgID that the Submit_Resp gave.
    pub id: MsgId,
    /// `001`.
    pub sub: FixedText<3>,
    /// `001`.
    pub dlvrd: FixedText<3>,
    /// YYMMDDhhmm.
    pub submit_date: FixedText<10>,
    /// YYMMDDhhmm.
    pub done_date: FixedText<10>,
    /// What became of the message; see [`StatusReport::state`].
    pub stat: FixedText<7>,
    /// See [`super::report_error`].
    pub err: FixedText<3>,
    /// Three digits of length, then the start of the message.
    pub text: FixedText<20>,
}

/// The labels in order, with the bytes of the value behind each. A value is found by its position: labels differ
/// between gateways in case and separators, and the binary id may look like any of them.
const PARTS: [(&str, usize); 8] = [
    ("id:", 10),
    (" sub:", 3),
    (" dlvrd:", 3),
    (" submit date:", 10),
    (" done date:", 10),
    (" stat:", 7),
    (" err:", 3),
    (" text:", 20),
];

/// Bytes of the labels and the values.
pub(crate) const LENGTH: usize = 122;

/// Whether a gateway's label is the document's, but for case, and `_` or `s` in place of a space.
fn is_label(label: &str, found: &[u8]) -> bool {
    label.bytes().zip(found).all(|(wanted, found)| match wanted {
        b' ' => matches!(found, b' ' | b'_' | b's'),
        _ => found.eq_ignore_ascii_case(&wanted),
    })
}

/// Takes label and value off the content. The last value may be cut short: it is padded with NUL.
fn part<'a, const N: usize>(rest: &mut &'a [u8], index: usize) -> Result<[u8; N], WireError> {
    let (label, width) = PARTS[index];
    let short = WireError::Short { field: label, need: label.len() + width, left: rest.len() };
    let (found, after) = rest.split_at_checked(label.len()).ok_or(short.clone())?;
    if !is_label(label, found) {
        return Err(WireError::Value {
            field: label,
            reason: "the label is not at its place in the status report",
        });
    }
    let last = index == PARTS.len() - 1;
    let taken: &'a [u8] = if last && after.len() < N { after } else { after.get(..N).ok_or(short)? };
    *rest = &after[taken.len()..];
    let mut value = [0; N];
    value[..taken.len()].copy_from_slice(taken);
    Ok(value)
}

impl StatusReport {
    /// Reads the content of a delivery. The text at its end may be shorter than 20 bytes.
    ///
    /// # Errors
    /// A label that is not at its place, a content that ends early or goes on.
    pub fn decode(content: &[u8]) -> Result<StatusReport, WireError> {
        let rest = &mut &*content;
        let report = StatusReport {
            id: MsgId(part(rest, 0)?),
            sub: FixedText::from_bytes(part(rest, 1)?),
            dlvrd: FixedText::from_bytes(part(rest, 2)?),
            submit_date: FixedText::from_bytes(part(rest, 3)?),
            done_date: FixedText::from_bytes(part(rest, 4)?),
            stat: FixedText::from_bytes(part(rest, 5)?),
            err: FixedText::from_bytes(part(rest, 6)?),
            text: FixedText::from_bytes(part(rest, 7)?),
        };
        match rest.len() {
            0 => Ok(report),
            count => Err(WireError::Trailing { command: "status report", count }),
        }
    }

    /// Writes the content, labels as in most gateways.
    pub fn encode(&self) -> Vec<u8> {
        let values: [&[u8]; 8] = [
            &self.id.0,
            self.sub.as_bytes(),
            self.dlvrd.as_bytes(),
            self.submit_date.as_bytes(),
            self.done_date.as_bytes(),
            self.stat.as_bytes(),
            self.err.as_bytes(),
            self.text.as_bytes(),
        ];
        let mut content = Vec::with_capacity(LENGTH);
        for ((label, _), value) in PARTS.iter().zip(values) {
            content.extend_from_slice(label.as_bytes());
            content.extend_from_slice(value);
        }
        content
    }

    /// What the report says of the delivery.
    pub fn state(&self) -> DeliveryState {
        delivery_state(self.stat.value())
    }
}
