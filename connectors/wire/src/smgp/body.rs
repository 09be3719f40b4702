//! The bodies of the SMGP commands, field by field (§5.2.2).

use super::{MsgId, Tlvs, Version};
use crate::error::WireError;
use crate::layout::{Authenticator, Content, Field, FixedText, Numbers, Reader, layout};
use serde_json::Value;

layout! {
    /// Login (§5.2.2.1.1). 30 bytes.
    Login(Version) {
        /// The SP's id.
        client_id: FixedText<8> = "ClientID",
        /// [`super::auth::client`].
        authenticator_client: Authenticator = "AuthenticatorClient",
        /// 0 sends, 1 receives, 2 both.
        login_mode: u8 = "LoginMode",
        /// MMDDHHMMSS as a number; see [`crate::Stamp`].
        timestamp: u32 = "TimeStamp",
        /// The version asked for; see [`Version::of`].
        client_version: u8 = "ClientVersion",
    }
}
layout! {
    /// Login_Resp (§5.2.2.1.2). 21 bytes.
    LoginResp(Version) {
        /// 0 is success; see [`super::status`].
        status: u32 = "Status",
        /// [`super::auth::server`].
        authenticator_server: Authenticator = "AuthenticatorServer",
        /// The highest version the gateway supports.
        server_version: u8 = "ServerVersion",
    }
}
layout! {
    /// Submit (§5.2.2.2.1): one message to up to 100 numbers. For one number 135 bytes, the content and the TLVs.
    Submit(Version) {
        /// 6: from an SP to a user.
        msg_type: u8 = "MsgType",
        /// 1 asks for a status report.
        need_report: u8 = "NeedReport",
        /// 0 to 3.
        priority: u8 = "Priority",
        /// The service's id.
        service_id: FixedText<10> = "ServiceID",
        /// 00 free, 01 per message, 02 monthly.
        fee_type: FixedText<2> = "FeeType",
        /// In fen.
        fee_code: FixedText<6> = "FeeCode",
        /// Monthly fee or cap; not in 1.3.
        fixed_fee: Since30Text<6> = "FixedFee",
        /// See [`crate::sms::Encoding`].
        msg_format: u8 = "MsgFormat",
        /// Valid until, SMPP time.
        valid_time: FixedText<17> = "ValidTime",
        /// Send at, SMPP time.
        at_time: FixedText<17> = "AtTime",
        /// The number shown as sender.
        src_term_id: FixedText<21> = "SrcTermID",
        /// The number that pays.
        charge_term_id: FixedText<21> = "ChargeTermID",
        /// Recipients behind their count.
        dest_term_id: Numbers = "DestTermID",
        /// Behind its length.
        msg_content: Content = "MsgContent",
        /// Empty.
        reserve: FixedText<8> = "Reserve",
        /// TP_udhi, PkTotal and other optional parameters.
        tlvs: Tlvs = "TLV",
    }
}
layout! {
    /// Submit_Resp (§5.2.2.2.2) and Deliver_Resp (§5.2.2.3.2). 14 bytes.
    MessageResp(Version) {
        /// Assigned by the gateway; status reports name it.
        msg_id: MsgId = "MsgID",
        /// 0 is success; see [`super::status`].
        status: u32 = "Status",
    }
}
layout! {
    /// Deliver (§5.2.2.3.1): a user's message or a status report. 77 bytes, the content and the TLVs.
    Deliver(Version) {
        /// Assigned by the gateway.
        msg_id: MsgId = "MsgID",
        /// 1: the content is a [`super::StatusReport`].
        is_report: u8 = "IsReport",
        /// See [`crate::sms::Encoding`].
        msg_format: u8 = "MsgFormat",
        /// YYYYMMDDHHMMSS.
        recv_time: FixedText<14> = "RecvTime",
        /// The user; in a report the recipient of the submitted message.
        src_term_id: FixedText<21> = "SrcTermID",
        /// The SP's number that the user wrote to.
        dest_term_id: FixedText<21> = "DestTermID",
        /// Behind its length.
        msg_content: Content = "MsgContent",
        /// Empty.
        reserve: FixedText<8> = "Reserve",
        /// TP_udhi, LinkID and other optional parameters.
        tlvs: Tlvs = "TLV",
    }
}
layout! {
    /// Active_Test and its response (§5.2.2.5). No body.
    ActiveTest(Version) {}
}
layout! {
    /// Exit and its response (§5.2.2.6): either side ends the connection. No body.
    Exit(Version) {}
}

/// A text that 3.0 added; empty in 1.3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Since30Text<const N: usize>(pub FixedText<N>);

impl<const N: usize> Field<Version> for Since30Text<N> {
    fn read(input: &mut Reader<'_>, version: Version, name: &'static str) -> Result<Self, WireError> {
        match version {
            Version::V13 => Ok(Since30Text(FixedText::default())),
            Version::V30 => FixedText::read(input, version, name).map(Since30Text),
        }
    }

    fn write(&self, output: &mut Vec<u8>, version: Version, name: &'static str) -> Result<(), WireError> {
        match version {
            Version::V13 if self.0.is_empty() => Ok(()),
            Version::V13 => Err(WireError::NotInVersion { field: name, version: "1.3" }),
            Version::V30 => self.0.write(output, version, name),
        }
    }

    fn shown(&self) -> Value {
        self.0.to_json()
    }
}
