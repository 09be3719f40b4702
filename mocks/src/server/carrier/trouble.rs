//! What a fault does to the frames of a carrier's gateway.
use serde_json::json;

use super::{Codes, link::How};
use crate::{
    answer::Rendered,
    faults::Fault,
    spec::{FaultKind, WrongLength},
};

/// Bytes of the smallest head; the body starts behind it, of SGIP eight bytes later.
const HEAD: usize = 12;
/// What is no message of any carrier.
const PAGE: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n";

/// What a fault does to the answer's document, before the journal shows it.
pub fn twist(fault: &Fault, answer: &mut Rendered, codes: &Codes) {
    if fault.kind == FaultKind::Throttle {
        answer.body = json!({"result": codes.busy}).to_string().into();
    }
}

/// Changes a frame as the fault asks for, and tells how to write it; none where it is not sent.
pub fn strike(fault: Option<&Fault>, frame: &mut Vec<u8>) -> Option<How> {
    let Some(fault) = fault else { return Some(How::Whole) };
    match fault.kind {
        FaultKind::NoAnswer | FaultKind::Never => None,
        FaultKind::Reset => Some(How::Reset(fault.after)),
        FaultKind::Cut => Some(How::Cut),
        FaultKind::Html => {
            *frame = PAGE.to_vec();
            Some(How::Last)
        }
        // Unless it answers a document of its own.
        FaultKind::Maintenance if fault.business.is_none() => {
            frame.clear();
            Some(How::Last)
        }
        FaultKind::BadBody => {
            frame.truncate(HEAD + frame.len().saturating_sub(HEAD) / 2);
            let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
            state(frame, length);
            Some(How::Whole)
        }
        FaultKind::WrongLength => {
            let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
            state(frame, wrong(fault.length, length));
            Some(How::Whole)
        }
        FaultKind::Drip => Some(How::Drip(fault.after)),
        FaultKind::SplitFrames => Some(How::Split),
        FaultKind::GluedFrames => Some(How::Held(fault.after)),
        _ => Some(How::Whole),
    }
}

fn wrong(how: WrongLength, length: u32) -> u32 {
    match how {
        WrongLength::Longer => length.saturating_add(1),
        WrongLength::Shorter => length.saturating_sub(1),
        WrongLength::Zero => 0,
        WrongLength::Garbage => u32::MAX,
    }
}

/// Writes what the head says of the length.
fn state(frame: &mut [u8], length: u32) {
    if let Some(head) = frame.first_chunk_mut() {
        *head = length.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::FaultSpec;

    fn struck(json: serde_json::Value) -> (Option<How>, Vec<u8>) {
        let spec: FaultSpec = serde_json::from_value(json).expect("a fault");
        let fault = Fault::compile(&spec, "test").expect("a fault");
        let mut frame = vec![0, 0, 0, 20, 0x80, 0, 0, 4, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8];
        (strike(Some(&fault), &mut frame), frame)
    }

    #[test]
    fn lengths_are_zero_huge_or_off_by_one() {
        for (length, stated) in [("zero", 0), ("garbage", u32::MAX), ("longer", 21), ("shorter", 19)] {
            let (how, frame) = struck(json!({"kind": "wrong-length", "length": length}));
            assert_eq!(how, Some(How::Whole));
            assert_eq!(
                (frame[..4].to_vec(), frame.len()),
                (u32::to_be_bytes(stated).to_vec(), 20),
                "{length}"
            );
        }
    }

    #[test]
    fn a_bad_body_is_a_whole_frame_too_short_for_its_layout() {
        let (how, frame) = struck(json!({"kind": "bad-body"}));
        assert_eq!((how, frame.len(), frame[3]), (Some(How::Whole), 16, 16));
    }

    #[test]
    fn silence_sends_nothing() {
        assert_eq!(struck(json!({"kind": "never"})).0, None);
        assert_eq!(struck(json!({"kind": "no-answer"})).0, None);
    }
}
