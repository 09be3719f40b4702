//! Result codes of CMPP.

use crate::outcome::Advice::{Again, Done, Refused};
use crate::outcome::ResultCode;

/// Status of a CONNECT_RESP (§8.4.1.2).
pub const CONNECT_STATUS: &[ResultCode] = &[
    ResultCode::new(0, Done, "logged in"),
    ResultCode::new(1, Refused, "message structure wrong"),
    ResultCode::new(2, Refused, "unknown source address"),
    ResultCode::new(3, Refused, "authentication failed"),
    ResultCode::new(4, Refused, "version too high"),
    ResultCode::new(5, Refused, "other error"),
];

/// Result of a SUBMIT_RESP (§8.4.3.2) or DELIVER_RESP (§8.4.5.2, 0 to 9).
pub const RESULTS: &[ResultCode] = &[
    ResultCode::new(0, Done, "accepted"),
    ResultCode::new(1, Refused, "message structure wrong"),
    ResultCode::new(2, Refused, "command wrong"),
    ResultCode::new(3, Refused, "sequence number repeated"),
    ResultCode::new(4, Refused, "message length wrong"),
    ResultCode::new(5, Refused, "fee code wrong"),
    ResultCode::new(6, Refused, "message too long"),
    ResultCode::new(7, Refused, "service code wrong"),
    ResultCode::new(8, Again, "flow control"),
    ResultCode::new(9, Refused, "this gateway does not serve the fee number"),
    ResultCode::new(10, Refused, "Src_Id wrong"),
    ResultCode::new(11, Refused, "Msg_src wrong"),
    ResultCode::new(12, Refused, "Fee_terminal_Id wrong"),
    ResultCode::new(13, Refused, "Dest_terminal_Id wrong"),
];

/// What the Status of a CONNECT_RESP means.
pub fn connect_status(code: u32) -> ResultCode {
    ResultCode::find(CONNECT_STATUS, code)
}

/// What the Result of a SUBMIT_RESP or DELIVER_RESP means.
pub fn result(code: u32) -> ResultCode {
    ResultCode::find(RESULTS, code)
}
