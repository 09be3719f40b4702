//! The bodies of the CMPP commands, field by field (§8.4).

use super::fields::{ConnectStatus, Destinations, LinkId, OptionalByte, Since30, Status, TerminalId};
use super::{MsgId, Version};
use crate::layout::{Authenticator, Content, FixedText, layout};

layout! {
    /// CMPP_CONNECT (§8.4.1.1): the SP logs in. 27 bytes.
    Connect(Version) {
        /// SP_Id.
        source_addr: FixedText<6> = "Source_Addr",
        /// [`super::auth::source`].
        authenticator_source: Authenticator = "AuthenticatorSource",
        /// The version asked for; see [`Version::of`].
        version: u8 = "Version",
        /// MMDDHHMMSS as a number; see [`crate::Stamp`].
        timestamp: u32 = "Timestamp",
    }
}
layout! {
    /// CMPP_CONNECT_RESP (§8.4.1.2). 21 bytes, in 2.0 18.
    ConnectResp(Version) {
        /// 0 is success; see [`super::connect_status`].
        status: ConnectStatus = "Status",
        /// [`super::auth::ismg`].
        authenticator_ismg: Authenticator = "AuthenticatorISMG",
        /// The highest version the gateway supports.
        version: u8 = "Version",
    }
}
layout! {
    /// CMPP_TERMINATE (§8.4.2.1): either side ends the connection. No body.
    Terminate(Version) {}
}
layout! {
    /// CMPP_TERMINATE_RESP (§8.4.2.2). No body.
    TerminateResp(Version) {}
}
layout! {
    /// CMPP_SUBMIT (§8.4.3.1): one message to up to 99 numbers. For one number 183 bytes and the content, in 2.0 147.
    Submit(Version) {
        /// Left 0 by the SP; the gateway assigns it.
        msg_id: MsgId = "Msg_Id",
        /// Parts of the long message, 1 for a short one.
        pk_total: u8 = "Pk_total",
        /// Which part, from 1.
        pk_number: u8 = "Pk_number",
        /// 1 asks for a status report.
        registered_delivery: u8 = "Registered_Delivery",
        /// Priority, 0 to 9.
        msg_level: u8 = "Msg_level",
        /// The service's id.
        service_id: FixedText<10> = "Service_Id",
        /// Who pays: 0 destination, 1 source, 2 SP, 3 Fee_terminal_Id.
        fee_user_type: u8 = "Fee_UserType",
        /// The number that pays, with type 3.
        fee_terminal_id: TerminalId = "Fee_terminal_Id",
        /// 0 real number, 1 pseudo number; not in 2.0.
        fee_terminal_type: Since30 = "Fee_terminal_type",
        /// GSM 03.40 §9.2.3.9.
        tp_pid: u8 = "TP_pId",
        /// GSM 03.40 §9.2.3.23: 1 when the content starts with a user data header.
        tp_udhi: u8 = "TP_udhi",
        /// See [`crate::sms::Encoding`].
        msg_fmt: u8 = "Msg_Fmt",
        /// SP_Id of the content's source.
        msg_src: FixedText<6> = "Msg_src",
        /// 01 free, 02 per message, 03 monthly.
        fee_type: FixedText<2> = "FeeType",
        /// In fen.
        fee_code: FixedText<6> = "FeeCode",
        /// Valid until, SMPP 3.3 time.
        valid_time: FixedText<17> = "ValId_Time",
        /// Send at, SMPP 3.3 time.
        at_time: FixedText<17> = "At_Time",
        /// The number shown as sender: service code and extension.
        src_id: FixedText<21> = "Src_Id",
        /// Recipients: count, numbers, and in 3.0 their type.
        dest_terminal_id: Destinations = "Dest_terminal_Id",
        /// Behind its length.
        msg_content: Content = "Msg_Content",
        /// LinkID of a service on demand; in 2.0 Reserve.
        link_id: LinkId = "LinkID",
    }
}
layout! {
    /// CMPP_SUBMIT_RESP (§8.4.3.2). 12 bytes, in 2.0 9.
    SubmitResp(Version) {
        /// Assigned by the gateway; status reports name it.
        msg_id: MsgId = "Msg_Id",
        /// 0 is success; see [`super::result`].
        result: Status = "Result",
    }
}
layout! {
    /// CMPP_QUERY (§8.4.4.1). 27 bytes.
    Query(Version) {
        /// YYYYMMDD.
        time: FixedText<8> = "Time",
        /// 0 totals, 1 by service.
        query_type: u8 = "Query_Type",
        /// Service_Id, with type 1.
        query_code: FixedText<10> = "Query_Code",
        /// Empty.
        reserve: FixedText<8> = "Reserve",
    }
}
layout! {
    /// CMPP_QUERY_RESP (§8.4.4.2). 51 bytes.
    QueryResp(Version) {
        /// YYYYMMDD.
        time: FixedText<8> = "Time",
        /// 0 totals, 1 by service.
        query_type: u8 = "Query_Type",
        /// Service_Id, with type 1.
        query_code: FixedText<10> = "Query_Code",
        /// Messages received from the SP.
        mt_messages: u32 = "MT_TLMsg",
        /// Recipients received from the SP.
        mt_users: u32 = "MT_Tlusr",
        /// Submitted with success.
        mt_succeeded: u32 = "MT_Scs",
        /// Waiting.
        mt_waiting: u32 = "MT_WT",
        /// Failed.
        mt_failed: u32 = "MT_FL",
        /// Delivered to the SP.
        mo_succeeded: u32 = "MO_Scs",
        /// Waiting for the SP.
        mo_waiting: u32 = "MO_WT",
        /// Not delivered to the SP.
        mo_failed: u32 = "MO_FL",
    }
}
layout! {
    /// CMPP_DELIVER (§8.4.5.1): a user's message or a status report. 97 bytes and the content, in 2.0 73.
    Deliver(Version) {
        /// Assigned by the gateway.
        msg_id: MsgId = "Msg_Id",
        /// The SP's number that the user wrote to.
        dest_id: FixedText<21> = "Dest_Id",
        /// The service's id.
        service_id: FixedText<10> = "Service_Id",
        /// GSM 03.40 §9.2.3.9.
        tp_pid: u8 = "TP_pid",
        /// GSM 03.40 §9.2.3.23: 1 when the content starts with a user data header.
        tp_udhi: u8 = "TP_udhi",
        /// See [`crate::sms::Encoding`].
        msg_fmt: u8 = "Msg_Fmt",
        /// The user; in a report the recipient of the submitted message.
        src_terminal_id: TerminalId = "Src_terminal_Id",
        /// 0 real number, 1 pseudo number; not in 2.0.
        src_terminal_type: Since30 = "Src_terminal_type",
        /// 1: the content is a [`super::StatusReport`].
        registered_delivery: u8 = "Registered_Delivery",
        /// Behind its length.
        msg_content: Content = "Msg_Content",
        /// LinkID of a service on demand; in 2.0 Reserved.
        link_id: LinkId = "LinkID",
    }
}
layout! {
    /// CMPP_DELIVER_RESP (§8.4.5.2). 12 bytes, in 2.0 9.
    DeliverResp(Version) {
        /// That of the delivery.
        msg_id: MsgId = "Msg_Id",
        /// 0 is success; see [`super::result`].
        result: Status = "Result",
    }
}
layout! {
    /// CMPP_CANCEL (§8.4.6.1). 8 bytes.
    Cancel(Version) {
        /// The message to withdraw.
        msg_id: MsgId = "Msg_Id",
    }
}
layout! {
    /// CMPP_CANCEL_RESP (§8.4.6.2). 4 bytes, in 2.0 one.
    CancelResp(Version) {
        /// 0 is success, 1 failure.
        success_id: Status = "Success_Id",
    }
}
layout! {
    /// CMPP_ACTIVE_TEST (§8.4.7.1). No body.
    ActiveTest(Version) {}
}
layout! {
    /// CMPP_ACTIVE_TEST_RESP (§8.4.7.2). One byte; read without it too.
    ActiveTestResp(Version) {
        /// 0.
        reserved: OptionalByte = "Reserved",
    }
}
