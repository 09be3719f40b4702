//! Result codes of SGIP (§5.2): 1 to 20 in responses, 21 and above in reports.

use crate::outcome::Advice::{Again, Done, Refused};
use crate::outcome::{DeliveryState, ResultCode};

/// Result of a response, ErrorCode of a report.
pub const RESULTS: &[ResultCode] = &[
    ResultCode::new(0, Done, "accepted"),
    ResultCode::new(1, Refused, "login refused"),
    ResultCode::new(2, Refused, "logged in already"),
    ResultCode::new(3, Again, "too many connections"),
    ResultCode::new(4, Refused, "LoginType wrong"),
    ResultCode::new(5, Refused, "parameter format wrong"),
    ResultCode::new(6, Refused, "user number wrong; 86 in front is required"),
    ResultCode::new(7, Refused, "message id wrong"),
    ResultCode::new(8, Refused, "message length wrong"),
    ResultCode::new(9, Refused, "sequence wrong"),
    ResultCode::new(10, Refused, "operation on the routing centre refused"),
    ResultCode::new(11, Again, "node busy"),
    ResultCode::new(21, Refused, "destination unreachable"),
    ResultCode::new(22, Refused, "route wrong"),
    ResultCode::new(23, Refused, "no such route"),
    ResultCode::new(24, Refused, "charge number wrong"),
    ResultCode::new(25, Refused, "user not reachable"),
    ResultCode::new(26, Refused, "handset memory full"),
    ResultCode::new(27, Refused, "handset does not support short messages"),
    ResultCode::new(28, Refused, "handset could not receive"),
    ResultCode::new(29, Refused, "unknown user"),
    ResultCode::new(30, Refused, "function not available"),
    ResultCode::new(31, Refused, "illegal device"),
    ResultCode::new(32, Refused, "system failure"),
    ResultCode::new(33, Again, "SMS centre queue full"),
];

/// What a Result or ErrorCode means.
pub fn result(code: u8) -> ResultCode {
    ResultCode::find(RESULTS, u32::from(code))
}

/// What the State of a Report says of the delivery.
pub fn report_state(state: u8) -> DeliveryState {
    match state {
        0 => DeliveryState::Delivered,
        1 => DeliveryState::Intermediate,
        2 => DeliveryState::Failed,
        _ => DeliveryState::Unknown,
    }
}
