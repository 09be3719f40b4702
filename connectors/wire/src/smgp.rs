//! SMGP 3.0, China Telecom's SMS gateway protocol (中国电信 SMGP 协议 V3.0.3).
//!
//! The SP connects to the gateway (SMGW) on TCP 8890, logs in for sending, receiving or both, submits, and receives
//! deliveries and status reports on the same connection. At most 16 requests are unanswered at a time; an idle link
//! is tested with Active_Test. Clause numbers are those of version 3.0.3.

pub mod auth;
mod body;
mod codes;
mod msg_id;
mod report;
mod tlv;

pub use body::{ActiveTest, Deliver, Exit, Login, LoginResp, MessageResp, Since30Text, Submit};
pub use codes::{REPORT_ERRORS, STATUSES, report_error, status};
pub use msg_id::{MsgId, MsgIdParts};
pub use report::StatusReport;
pub use tlv::{TAGS, Tlv, Tlvs, tag};

use crate::error::WireError;
use crate::frame::FrameSpec;
use crate::head::Head;
use crate::layout::{Raw, commands};

/// The most bytes of a message this crate reads or writes; the longest Submit without TLVs (100 numbers) has 2 481.
pub const MAX_MESSAGE: usize = 4096;
/// Requests that may be unanswered at a time (§4.2.1).
pub const WINDOW: usize = 16;
/// TCP port of the gateway for SPs (§4.3).
pub const PORT: u16 = 8890;

/// The agreed version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 1.3: a Submit without FixedFee.
    V13,
    /// 3.0.
    V30,
}

impl Version {
    /// The version that the ClientVersion byte of a Login asks for: major in the high four bits.
    pub fn of(byte: u8) -> Option<Version> {
        match byte {
            0x13 => Some(Version::V13),
            0x30..=0x3F => Some(Version::V30),
            _ => None,
        }
    }

    /// The version byte to send.
    pub fn byte(self) -> u8 {
        match self {
            Version::V13 => 0x13,
            Version::V30 => 0x30,
        }
    }
}

commands! {
    /// The commands between SP and gateway (§6.1.2) with their bodies.
    Command(Version) of "SMGP" {
        0x0000_0001 Login(Login) "Login",
        0x8000_0001 LoginResp(LoginResp) "Login_Resp",
        0x0000_0002 Submit(Submit) "Submit",
        0x8000_0002 SubmitResp(MessageResp) "Submit_Resp",
        0x0000_0003 Deliver(Deliver) "Deliver",
        0x8000_0003 DeliverResp(MessageResp) "Deliver_Resp",
        0x0000_0004 ActiveTest(ActiveTest) "Active_Test",
        0x8000_0004 ActiveTestResp(ActiveTest) "Active_Test_Resp",
        0x0000_0006 Exit(Exit) "Exit",
        0x8000_0006 ExitResp(Exit) "Exit_Resp",
        0x0000_0007 Query(Raw) "Query",
        0x8000_0007 QueryResp(Raw) "Query_Resp",
    }
}

/// One message: a command and its sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdu {
    /// SequenceID: chosen by the requester, repeated in the response.
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

/// How messages follow one another on the connection: as in CMPP, PacketLength counts itself.
pub fn frame() -> FrameSpec {
    crate::cmpp::frame()
}

#[cfg(test)]
mod tests;
