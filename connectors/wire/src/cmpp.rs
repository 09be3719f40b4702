//! CMPP 2.0 and 3.0, China Mobile's SMS gateway protocol (中国移动通信互联网短信网关接口协议, QB-GF-028-2003).
//!
//! The SP connects to the gateway (ISMG) on TCP 7890, logs in with CONNECT, submits, and receives deliveries and
//! status reports on the same connection. At most 16 requests are unanswered at a time ([`WINDOW`]); an idle link is
//! tested with ACTIVE_TEST. Clause numbers are those of version 3.0.0.

pub mod auth;
mod body;
mod codes;
mod fields;
mod msg_id;
mod report;

pub use body::{
    ActiveTest, ActiveTestResp, Cancel, CancelResp, Connect, ConnectResp, Deliver, DeliverResp, Query,
    QueryResp, Submit, SubmitResp, Terminate, TerminateResp,
};
pub use codes::{CONNECT_STATUS, RESULTS, connect_status, result};
pub use fields::{ConnectStatus, Destinations, LinkId, OptionalByte, Since30, Status, TerminalId};
pub use msg_id::{MsgId, MsgIdParts};
pub use report::StatusReport;

use crate::error::WireError;
use crate::frame::{FrameSpec, LengthForm, LengthSpec};
use crate::head::Head;
use crate::layout::commands;

/// The most bytes of a message this crate reads or writes; the longest SUBMIT (99 numbers, 255 bytes) has 3 586.
pub const MAX_MESSAGE: usize = 4096;
/// Requests that may be unanswered at a time (§7.1).
pub const WINDOW: usize = 16;
/// TCP port of the gateway for SPs (§7.3).
pub const PORT: u16 = 7890;

/// The agreed version, on which the width of some fields depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 2.0: numbers of 21 bytes, results of one byte, Reserve instead of LinkID.
    V20,
    /// 3.0: numbers of 32 bytes with a type, results of four bytes, LinkID.
    V30,
}

impl Version {
    /// The version that the Version byte of a CONNECT asks for (§8.4.1.1): major in the high four bits. `0x20` and
    /// `0x21` are the same layouts; `None` for what is neither 2.x nor 3.0.
    pub fn of(byte: u8) -> Option<Version> {
        match byte {
            0x20..=0x2F => Some(Version::V20),
            0x30 => Some(Version::V30),
            _ => None,
        }
    }

    /// The Version byte to send.
    pub fn byte(self) -> u8 {
        match self {
            Version::V20 => 0x20,
            Version::V30 => 0x30,
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Version::V20 => "2.0",
            Version::V30 => "3.0",
        }
    }
}

commands! {
    /// The commands between SP and gateway (§8.7.1) with their bodies.
    Command(Version) of "CMPP" {
        0x0000_0001 Connect(Connect) "CMPP_CONNECT",
        0x8000_0001 ConnectResp(ConnectResp) "CMPP_CONNECT_RESP",
        0x0000_0002 Terminate(Terminate) "CMPP_TERMINATE",
        0x8000_0002 TerminateResp(TerminateResp) "CMPP_TERMINATE_RESP",
        0x0000_0004 Submit(Submit) "CMPP_SUBMIT",
        0x8000_0004 SubmitResp(SubmitResp) "CMPP_SUBMIT_RESP",
        0x0000_0005 Deliver(Deliver) "CMPP_DELIVER",
        0x8000_0005 DeliverResp(DeliverResp) "CMPP_DELIVER_RESP",
        0x0000_0006 Query(Query) "CMPP_QUERY",
        0x8000_0006 QueryResp(QueryResp) "CMPP_QUERY_RESP",
        0x0000_0007 Cancel(Cancel) "CMPP_CANCEL",
        0x8000_0007 CancelResp(CancelResp) "CMPP_CANCEL_RESP",
        0x0000_0008 ActiveTest(ActiveTest) "CMPP_ACTIVE_TEST",
        0x8000_0008 ActiveTestResp(ActiveTestResp) "CMPP_ACTIVE_TEST_RESP",
    }
}

/// One message: a command and its sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdu {
    /// Sequence_Id: chosen by the requester, repeated in the response.
    pub sequence: u32,
    /// The command with its body.
    pub command: Command,
}

impl Pdu {
    /// Reads one frame, head included, as the agreed version lays it out.
    ///
    /// # Errors
    /// A head that states another length, an unknown command, a body that is too short, too long or out of bounds.
    pub fn decode(frame: &[u8], version: Version) -> Result<Pdu, WireError> {
        let (head, body) = Head::split(frame)?;
        Ok(Pdu { sequence: head.sequence, command: Command::read(head.command_id, body, version)? })
    }

    /// Writes the message, head included, as the agreed version lays it out.
    ///
    /// # Errors
    /// A value the version has no room for; a message above [`MAX_MESSAGE`].
    pub fn encode(&self, version: Version) -> Result<Vec<u8>, WireError> {
        let mut frame = Head::open(self.command.command_id(), self.sequence);
        self.command.write(&mut frame, version)?;
        Head::close(&mut frame, MAX_MESSAGE)?;
        Ok(frame)
    }
}

/// How messages follow one another on the connection: Total_Length counts itself, 12 to [`MAX_MESSAGE`] bytes.
pub fn frame() -> FrameSpec {
    FrameSpec::Length(LengthSpec {
        size: 4,
        form: LengthForm::Big,
        inclusive: true,
        strip: false,
        min: Some(12),
        ..LengthSpec::new(MAX_MESSAGE)
    })
}

#[cfg(test)]
mod tests;
