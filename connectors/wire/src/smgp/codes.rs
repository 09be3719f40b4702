//! Status and error codes of SMGP.

use crate::outcome::Advice::{Again, Done, Refused};
use crate::outcome::{DeliveryState, ResultCode};

/// Status of a response (§6.2.6).
pub const STATUSES: &[ResultCode] = &[
    ResultCode::new(0, Done, "accepted"),
    ResultCode::new(1, Again, "system busy"),
    ResultCode::new(2, Again, "too many connections"),
    ResultCode::new(10, Refused, "message structure wrong"),
    ResultCode::new(11, Refused, "command wrong"),
    ResultCode::new(12, Refused, "sequence number repeated"),
    ResultCode::new(20, Refused, "IP address not allowed"),
    ResultCode::new(21, Refused, "authentication failed"),
    ResultCode::new(22, Refused, "version too high"),
    ResultCode::new(30, Refused, "MsgType wrong"),
    ResultCode::new(31, Refused, "Priority wrong"),
    ResultCode::new(32, Refused, "FeeType wrong"),
    ResultCode::new(33, Refused, "FeeCode wrong"),
    ResultCode::new(34, Refused, "MsgFormat wrong"),
    ResultCode::new(35, Refused, "time format wrong"),
    ResultCode::new(36, Refused, "message length wrong"),
    ResultCode::new(37, Refused, "validity expired"),
    ResultCode::new(39, Refused, "route wrong"),
    ResultCode::new(43, Refused, "ServiceID wrong"),
    ResultCode::new(44, Refused, "ValidTime wrong"),
    ResultCode::new(45, Refused, "AtTime wrong"),
    ResultCode::new(46, Refused, "SrcTermID wrong"),
    ResultCode::new(47, Refused, "DestTermID wrong"),
    ResultCode::new(48, Refused, "ChargeTermID wrong"),
    ResultCode::new(58, Refused, "no route"),
    ResultCode::new(74, Refused, "sending is forbidden at this hour"),
    ResultCode::new(75, Refused, "daily quota used up"),
    ResultCode::new(76, Refused, "account expired"),
];

/// Errors of a status report (§6.2.63.2) and the state each belongs to: first code, last code, state.
pub const REPORT_ERRORS: &[(u16, u16, DeliveryState, &str)] = &[
    (0, 0, DeliveryState::Delivered, "DELIVRD"),
    (1, 2, DeliveryState::Failed, "EXPIRED"),
    (3, 6, DeliveryState::Failed, "UNDELIV"),
    (7, 7, DeliveryState::Failed, "EXPIRED"),
    (8, 10, DeliveryState::Failed, "UNDELIV"),
    (999, 999, DeliveryState::Unknown, "UNKNOWN"),
];

/// What the Status of a response means.
pub fn status(code: u32) -> ResultCode {
    ResultCode::find(STATUSES, code)
}

/// The state and Stat text that belong to the err of a status report; `None` for a code of no table.
pub fn report_error(err: &[u8]) -> Option<(DeliveryState, &'static str)> {
    let code: u16 = std::str::from_utf8(err).ok()?.parse().ok()?;
    let listed = REPORT_ERRORS.iter().find(|(first, last, _, _)| (*first..=*last).contains(&code));
    listed.map(|(_, _, state, stat)| (*state, *stat))
}
