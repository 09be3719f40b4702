//! The bodies of the SGIP commands, field by field (§4.2.3, §4.3, §4.4).

use super::{LongContent, Sequence, TraceNodes};
use crate::layout::{FixedText, Numbers, SecretText, layout};

layout! {
    /// Bind (§4.2.3.1.1): opens a connection for sending. 41 bytes; the password travels in plain.
    Bind(()) {
        /// 1 from SP to SMG, 2 from SMG to SP.
        login_type: u8 = "LoginType",
        /// The name agreed for this direction.
        login_name: FixedText<16> = "LoginName",
        /// The password agreed for this direction.
        login_password: SecretText<16> = "LoginPassword",
        /// Empty.
        reserve: FixedText<8> = "Reserve",
    }
}
layout! {
    /// The answer to Bind, Submit, Deliver, Report and UserRpt (§4.2.3.1.2 and alike). 9 bytes.
    Resp(()) {
        /// 0 is success; see [`super::result`].
        result: u8 = "Result",
        /// Empty.
        reserve: FixedText<8> = "Reserve",
    }
}
layout! {
    /// Unbind and its response (§4.2.3.2). No body.
    Unbind(()) {}
}
layout! {
    /// Submit (§4.2.3.3.1): one message to up to 100 numbers. For one number 144 bytes and the content.
    Submit(()) {
        /// The number shown as sender.
        sp_number: FixedText<21> = "SPNumber",
        /// The number that pays; 21 zeros when the SP does.
        charge_number: FixedText<21> = "ChargeNumber",
        /// Recipients behind their count, each with 86 in front.
        user_number: Numbers = "UserNumber",
        /// The SP's code.
        corp_id: FixedText<5> = "CorpId",
        /// The service's code.
        service_type: FixedText<10> = "ServiceType",
        /// §5.3.
        fee_type: u8 = "FeeType",
        /// In fen.
        fee_value: FixedText<6> = "FeeValue",
        /// Free credit given, in fen.
        given_value: FixedText<6> = "GivenValue",
        /// 0 to be charged, 1 charged already.
        agent_flag: u8 = "AgentFlag",
        /// 0 first message on demand, 1 a later one, 2 not on demand, 3 by the system.
        more_related_to_mt_flag: u8 = "MorelatetoMTFlag",
        /// 0 to 9.
        priority: u8 = "Priority",
        /// Valid until, `yymmddhhmmss032+`.
        expire_time: FixedText<16> = "ExpireTime",
        /// Send at, `yymmddhhmmss032+`.
        schedule_time: FixedText<16> = "ScheduleTime",
        /// A report: 0 only on failure, 1 always, 2 never, 3 of the monthly fee only.
        report_flag: u8 = "ReportFlag",
        /// GSM 03.40 §9.2.3.9.
        tp_pid: u8 = "TP_pid",
        /// GSM 03.40 §9.2.3.23: 1 when the content starts with a user data header.
        tp_udhi: u8 = "TP_udhi",
        /// See [`crate::sms::Encoding`].
        message_coding: u8 = "MessageCoding",
        /// 0.
        message_type: u8 = "MessageType",
        /// Behind its length of four bytes.
        message_content: LongContent = "MessageContent",
        /// Empty.
        reserve: FixedText<8> = "Reserve",
    }
}
layout! {
    /// Deliver (§4.2.3.4.1): a user's message. 57 bytes and the content.
    Deliver(()) {
        /// The user, with 86 in front.
        user_number: FixedText<21> = "UserNumber",
        /// The SP's number that the user wrote to.
        sp_number: FixedText<21> = "SPNumber",
        /// GSM 03.40 §9.2.3.9.
        tp_pid: u8 = "TP_pid",
        /// GSM 03.40 §9.2.3.23: 1 when the content starts with a user data header.
        tp_udhi: u8 = "TP_udhi",
        /// See [`crate::sms::Encoding`].
        message_coding: u8 = "MessageCoding",
        /// Behind its length of four bytes.
        message_content: LongContent = "MessageContent",
        /// Empty.
        reserve: FixedText<8> = "Reserve",
    }
}
layout! {
    /// Report (§4.2.3.5.1): what became of a message for one number. 44 bytes.
    Report(()) {
        /// The sequence of the Submit.
        submit_sequence: Sequence = "SubmitSequenceNumber",
        /// 0 of a Submit, 1 of an earlier forward.
        report_type: u8 = "ReportType",
        /// The recipient, with 86 in front.
        user_number: FixedText<21> = "UserNumber",
        /// 0 delivered, 1 pending, 2 failed; see [`super::report_state`].
        state: u8 = "State",
        /// With state 2 the reason; see [`super::result`].
        error_code: u8 = "ErrorCode",
        /// Empty.
        reserve: FixedText<8> = "Reserve",
    }
}
layout! {
    /// UserRpt (§4.3.3): a user's subscription changed. 51 bytes.
    UserRpt(()) {
        /// The SP's number.
        sp_number: FixedText<21> = "SPNumber",
        /// The user, with 86 in front.
        user_number: FixedText<21> = "UserNumber",
        /// 0 cancelled, 1 suspended for arrears, 2 restored.
        user_condition: u8 = "UserCondition",
        /// Empty.
        reserve: FixedText<8> = "Reserve",
    }
}
layout! {
    /// Trace (§4.4.1): where a message is. 41 bytes.
    Trace(()) {
        /// The sequence of the Submit.
        submit_sequence: Sequence = "SubmitSequenceNumber",
        /// The recipient, with 86 in front.
        user_number: FixedText<21> = "UserNumber",
        /// Empty.
        reserve: FixedText<8> = "Reserve",
    }
}
layout! {
    /// Trace_Resp (§4.4.2). 1 byte and 47 per node.
    TraceResp(()) {
        /// The nodes the message passed, behind their count.
        nodes: TraceNodes = "Node",
    }
}
