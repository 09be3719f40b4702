//! How messages travel on a listener's TCP connections, compiled.
use std::time::Duration;

use bytes::Bytes;
use qiao_wire::frame::{FrameError, FrameSpec, Framing, LengthForm, LengthSpec};

use crate::{
    compile::MAX_BODY,
    faults::Wrong,
    spec::{
        WrongLength,
        listen::{FramingSpec, TcpSpec, told},
    },
};

const IDLE: Duration = Duration::from_secs(60);
const MAX_IDLE: Duration = Duration::from_secs(600);
const MAX_GAP: Duration = Duration::from_secs(10);

/// A listener's compiled `tcp`.
#[derive(Debug)]
pub struct TcpForm {
    pub cut: Cut,
    pub one_shot: bool,
    /// A connection that brings no whole message for this long is closed.
    pub idle: Duration,
    /// Where the length is, for faults that spoil it.
    length: Option<LengthSpec>,
}

/// How the stream is cut into messages.
#[derive(Debug)]
pub enum Cut {
    Frames(Framing),
    /// Where nothing comes for a while; the most bytes of a message.
    Gap(Duration, usize),
}

impl TcpForm {
    /// Compiles a listener's settings; `bound` is the most bytes of a message.
    ///
    /// # Errors
    /// Mistakes of the framing, times and sizes above their bounds.
    pub fn compile(spec: &TcpSpec, bound: usize, given: bool) -> Result<Self, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let idle = spec.idle.map_or(IDLE, |idle| idle.0);
        if idle > MAX_IDLE || idle.is_zero() {
            wrong.push(("idle".into(), "1ms to 10m".into()));
        }
        let bank = FrameSpec::Length(LengthSpec {
            size: 8,
            form: LengthForm::Digits,
            ..LengthSpec::new(bound.min(99_999_999))
        });
        let frame = spec.framing.as_ref().map_or(Some(bank), FramingSpec::frame);
        if spec.framing.is_some() && given {
            wrong.push(("framing".into(), "the framing has its own bound; leave `bodyBytes` out".into()));
        }
        let cut = match (&frame, &spec.framing) {
            (Some(frame), _) => frame
                .compile()
                .map_err(|errors| wrong.extend(told(errors).map(|(path, text)| (below(&path), text))))
                .map(Cut::Frames)
                .ok(),
            (None, Some(FramingSpec::IdleGap(gap))) => {
                if gap.gap.0 > MAX_GAP || gap.gap.0.is_zero() {
                    wrong.push(("framing.gap".into(), "1ms to 10s".into()));
                }
                let max = usize::try_from(gap.max.0).unwrap_or(usize::MAX);
                Some(Cut::Gap(gap.gap.0, max))
            }
            (None, _) => None,
        };
        let length = match frame {
            Some(FrameSpec::Length(spec)) => Some(spec),
            _ => None,
        };
        let most = cut.as_ref().map_or(0, Cut::most);
        if most > MAX_BODY {
            wrong.push(("framing.max".into(), "at most 16MiB".into()));
        }
        match cut {
            Some(cut) if wrong.is_empty() => Ok(Self { cut, one_shot: spec.one_shot, idle, length }),
            _ => Err(wrong),
        }
    }

    /// A message as it travels.
    ///
    /// # Errors
    /// A message that the framing cannot carry.
    pub fn encode(&self, message: &[u8]) -> Result<Bytes, FrameError> {
        match &self.cut {
            Cut::Frames(framing) => framing.encode(message),
            Cut::Gap(..) => Ok(Bytes::copy_from_slice(message)),
        }
    }

    /// The same with a wrong length; where no length travels, with an end that is missing.
    ///
    /// # Errors
    /// A message that the framing cannot carry.
    pub fn misstate(&self, message: &[u8], wrong: WrongLength) -> Result<Bytes, FrameError> {
        let Some(length) = &self.length else {
            let frame = self.encode(message)?;
            return Ok(frame.slice(..frame.len().saturating_sub(1)));
        };
        let (field, head) = (length.offset, length.offset + length.size);
        Ok(match wrong {
            WrongLength::Longer => {
                let frame = self.encode(&[message, b" "].concat())?;
                frame.slice(..frame.len() - 1)
            }
            WrongLength::Shorter => {
                let shorter = &message[..message.len().saturating_sub(1)];
                [&self.encode(shorter)?[..], &message[shorter.len()..]].concat().into()
            }
            WrongLength::Zero => {
                let mut frame = self.encode(message)?.to_vec();
                frame[field..head].fill(if length.form == LengthForm::Digits { b'0' } else { 0 });
                frame.into()
            }
            WrongLength::Garbage => {
                let mut frame = self.encode(message)?.to_vec();
                let garbage = if length.form == LengthForm::Digits { b'X' } else { 0xFF };
                frame[field..head].fill(garbage);
                frame.into()
            }
        })
    }
}

impl Cut {
    fn most(&self) -> usize {
        match self {
            Self::Frames(framing) => framing.max(),
            Self::Gap(_, max) => *max,
        }
    }
}

fn below(path: &str) -> String {
    if path.is_empty() { "framing".into() } else { format!("framing.{path}") }
}

/// A frame in pieces: cut within the length, in the middle and before the last byte.
pub fn pieces(frame: &Bytes) -> Vec<Bytes> {
    let end = frame.len();
    let mut cuts = vec![0, 3.min(end), end / 2, end.saturating_sub(1), end];
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2).map(|cut| frame.slice(cut[0]..cut[1])).collect()
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;
    use qiao_wire::frame::FrameDecoder;

    use super::*;

    fn form(yaml: &str) -> Result<TcpForm, Vec<Wrong>> {
        let spec: TcpSpec = serde_json::from_str(yaml).expect("a specification");
        TcpForm::compile(&spec, 1 << 20, false)
    }

    #[test]
    fn left_out_it_is_the_banks_framing() {
        let form = form("{}").expect("compiles");
        assert_eq!(&form.encode("张".as_bytes()).expect("fits")[..], "00000003张".as_bytes());
        assert_eq!((form.one_shot, form.idle), (false, IDLE));
    }

    #[test]
    fn a_wrong_length_is_longer_shorter_or_garbage_and_the_message_whole() {
        let digits = form("{}").expect("compiles");
        let wrong = |wrong| digits.misstate(b"abc", wrong).expect("fits");
        assert_eq!(&wrong(WrongLength::Longer)[..], b"00000004abc");
        assert_eq!(&wrong(WrongLength::Shorter)[..], b"00000002abc");
        assert_eq!(&wrong(WrongLength::Zero)[..], b"00000000abc");
        assert_eq!(&wrong(WrongLength::Garbage)[..], b"XXXXXXXXabc");
        let lines =
            form(r#"{"framing": {"kind": "delimiter", "delimiter": "\r\n", "max": 100}}"#).expect("compiles");
        assert_eq!(&lines.misstate(b"abc", WrongLength::Longer).expect("fits")[..], b"abc\r");
    }

    #[test]
    fn refuses_settings_out_of_bounds_and_says_where() {
        for (text, path) in [
            (r#"{"idle": "11m"}"#, "idle"),
            (r#"{"framing": {"kind": "length", "size": 3, "max": 10}}"#, "framing.size"),
            (r#"{"framing": {"kind": "length", "size": 4, "max": 33554432}}"#, "framing.max"),
            (r#"{"framing": {"kind": "idleGap", "gap": "11s", "max": "1KiB"}}"#, "framing.gap"),
        ] {
            let wrong = form(text).expect_err("refused");
            assert_eq!(wrong.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), [path], "{text}");
        }
    }

    proptest! {
        #[test]
        fn pieces_and_glued_frames_are_read_as_the_messages_they_are(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..5)) {
            let form = form("{}").expect("compiles");
            let Cut::Frames(framing) = &form.cut else { panic!("frames") };
            let mut decoder = FrameDecoder::new(framing.clone());
            let (mut buffer, mut read) = (BytesMut::new(), Vec::new());
            let mut glued = BytesMut::new();
            for message in &messages {
                let frame = form.encode(message).expect("fits");
                glued.extend_from_slice(&frame);
                for piece in pieces(&frame) {
                    prop_assert!(!piece.is_empty());
                    buffer.extend_from_slice(&piece);
                    while let Some(message) = decoder.decode(&mut buffer).expect("frames") {
                        read.push(message.to_vec());
                    }
                }
            }
            prop_assert_eq!(&read, &messages);
            let mut again = Vec::new();
            while let Some(message) = decoder.decode(&mut glued).expect("frames") {
                again.push(message.to_vec());
            }
            prop_assert_eq!(&again, &messages);
        }
    }
}
