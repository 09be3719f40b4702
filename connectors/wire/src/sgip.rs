//! SGIP 1.2, China Unicom's SMS gateway protocol (中国联合通信公司短消息网关系统接口协议).
//!
//! Each side opens its own connection to send: the SP binds to the gateway (SMG) on TCP 8801 and submits; the SMG
//! binds to the SP's own listener on 8801 and sends deliveries and reports there. At most 32 requests are unanswered
//! at a time; there is no link test. Clause numbers are those of the published document.

mod body;
mod codes;
mod fields;
mod sequence;

pub use body::{Bind, Deliver, Report, Resp, Submit, Trace, TraceResp, Unbind, UserRpt};
pub use codes::{RESULTS, report_state, result};
pub use fields::{LongContent, MAX_CONTENT, TraceNode, TraceNodes};
pub use sequence::{Sequence, sp_node};

use crate::error::WireError;
use crate::frame::{FrameSpec, LengthForm, LengthSpec};
use crate::layout::{Reader, commands};

/// The most bytes of a message this crate reads or writes; the longest Submit (100 numbers) has 2 243 and content.
pub const MAX_MESSAGE: usize = 4096;
/// Bytes of the head: length, command, 12-byte sequence (§4.2.2).
pub const HEAD: usize = 20;
/// Requests that may be unanswered at a time (§3.7.2.2).
pub const WINDOW: usize = 32;
/// TCP port of either side (§3.1).
pub const PORT: u16 = 8801;

commands! {
    /// The commands between SP and gateway (§5.1) with their bodies.
    Command(()) of "SGIP" {
        0x0000_0001 Bind(Bind) "Bind",
        0x8000_0001 BindResp(Resp) "Bind_Resp",
        0x0000_0002 Unbind(Unbind) "Unbind",
        0x8000_0002 UnbindResp(Unbind) "Unbind_Resp",
        0x0000_0003 Submit(Submit) "Submit",
        0x8000_0003 SubmitResp(Resp) "Submit_Resp",
        0x0000_0004 Deliver(Deliver) "Deliver",
        0x8000_0004 DeliverResp(Resp) "Deliver_Resp",
        0x0000_0005 Report(Report) "Report",
        0x8000_0005 ReportResp(Resp) "Report_Resp",
        0x0000_0011 UserRpt(UserRpt) "UserRpt",
        0x8000_0011 UserRptResp(Resp) "UserRpt_Resp",
        0x0000_1000 Trace(Trace) "Trace",
        0x8000_1000 TraceResp(TraceResp) "Trace_Resp",
    }
}

/// The head of an SGIP message (§4.2.2), readable before the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Message Length: bytes of the whole message, head included.
    pub length: u32,
    /// Command ID; a response has bit 31 set.
    pub command_id: u32,
    /// A response carries that of its request.
    pub sequence: Sequence,
}

impl Head {
    /// Reads the head of a frame.
    ///
    /// # Errors
    /// Fewer than 20 bytes.
    pub fn decode(frame: &[u8]) -> Result<Head, WireError> {
        let mut input = Reader::new(frame);
        let mut word = || input.array("head").map(u32::from_be_bytes);
        let (length, command_id) = (word()?, word()?);
        Ok(Head { length, command_id, sequence: Sequence { node: word()?, time: word()?, counter: word()? } })
    }
}

/// One message: a command and its sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdu {
    /// Chosen by the requester, repeated in the response.
    pub sequence: Sequence,
    /// The command with its body.
    pub command: Command,
}

impl Pdu {
    /// Reads one frame, head included.
    ///
    /// # Errors
    /// A head that states another length, an unknown command, a body that is too short, too long or out of bounds.
    pub fn decode(frame: &[u8]) -> Result<Pdu, WireError> {
        let head = Head::decode(frame)?;
        if usize::try_from(head.length) != Ok(frame.len()) {
            return Err(WireError::Length { stated: head.length, actual: frame.len() });
        }
        Ok(Pdu { sequence: head.sequence, command: Command::read(head.command_id, &frame[HEAD..], ())? })
    }

    /// Writes the message, head included.
    ///
    /// # Errors
    /// A message above [`MAX_MESSAGE`], a count of recipients outside 1 to 100.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut frame = crate::head::Head::open(self.command.command_id(), self.sequence.node);
        frame.extend_from_slice(&self.sequence.time.to_be_bytes());
        frame.extend_from_slice(&self.sequence.counter.to_be_bytes());
        self.command.write(&mut frame, ())?;
        crate::head::Head::close(&mut frame, MAX_MESSAGE)?;
        Ok(frame)
    }
}

/// How messages follow one another on the connection: Message Length counts itself, 20 to [`MAX_MESSAGE`] bytes.
pub fn frame() -> FrameSpec {
    FrameSpec::Length(LengthSpec {
        size: 4,
        form: LengthForm::Big,
        inclusive: true,
        strip: false,
        min: Some(HEAD),
        ..LengthSpec::new(MAX_MESSAGE)
    })
}

#[cfg(test)]
mod tests;
