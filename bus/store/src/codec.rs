//! The binary form of a call record, in the log and in the store: one version byte, then tagged fields.
//!
//! The fields follow the Protocol Buffers wire format (varint and length-delimited only), so a reader skips fields it
//! does not know and `protoc --decode_raw` shows any record. Numbers are never reused; absent means zero, empty or none.
mod decode;
mod encode;

pub use decode::{CodecError, Summary, decode, keys, summary};
pub use encode::{Encoded, encode};

use qiao_core::{BodyPart, Outcome, SpanKind};

/// The first byte of every payload. Raised only when old readers would misread, not when fields are added.
pub const FORMAT_VERSION: u8 = 1;

/// Upper bound of one payload in bytes. Spans beyond it are left out and their number is written in their place.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;

/// Field numbers of a call.
mod call {
    pub const ID: u32 = 1;
    pub const INTERFACE: u32 = 2;
    pub const CALLER: u32 = 3;
    pub const PLAN: u32 = 4;
    /// ZigZag: may lie before 1970.
    pub const STARTED_US: u32 = 5;
    pub const DURATION_US: u32 = 6;
    pub const OUTCOME: u32 = 7;
    pub const FAULT: u32 = 8;
    pub const STATUS: u32 = 9;
    pub const BYTES_IN: u32 = 10;
    pub const BYTES_OUT: u32 = 11;
    pub const REQUEST_ID: u32 = 12;
    pub const TRACE_ID: u32 = 13;
    pub const MOCKED: u32 = 14;
    pub const SPAN: u32 = 15;
    pub const SPANS_DROPPED: u32 = 16;
    // 17 and 18 are the record's place in the chain: crate::chain.
    pub const BODY: u32 = 19;
    pub const KEY: u32 = 20;
}

/// Field numbers of a kept body.
mod body {
    pub const PART: u32 = 1;
    pub const BYTES: u32 = 2;
    pub const CUT: u32 = 3;
    pub const DIGEST: u32 = 4;
}

/// Field numbers of a business key.
mod key {
    pub const NAME: u32 = 1;
    pub const HASH: u32 = 2;
    pub const MASKED: u32 = 3;
}

/// Field numbers of a span.
mod span {
    pub const PARENT: u32 = 1;
    pub const KIND: u32 = 2;
    pub const NAME: u32 = 3;
    pub const START_US: u32 = 4;
    pub const DURATION_US: u32 = 5;
    pub const OUTCOME: u32 = 6;
    pub const FAULT: u32 = 7;
    pub const BYTES_OUT: u32 = 8;
    pub const BYTES_IN: u32 = 9;
    pub const NOTE: u32 = 10;
}

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const DELIMITED: u8 = 2;
const FIXED32: u8 = 5;

/// The stored number of an outcome, also in the store's `outcome` column. Never reused.
pub fn outcome_number(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Ok => 1,
        Outcome::Degraded => 2,
        Outcome::Refused => 3,
        Outcome::Denied => 4,
        Outcome::Failed => 5,
        Outcome::Unknown => 6,
        Outcome::Skipped => 7,
        Outcome::Abandoned => 8,
    }
}

/// The outcome of a stored number, or none for a number of a later version.
pub fn outcome_of(number: u64) -> Option<Outcome> {
    Some(match number {
        1 => Outcome::Ok,
        2 => Outcome::Degraded,
        3 => Outcome::Refused,
        4 => Outcome::Denied,
        5 => Outcome::Failed,
        6 => Outcome::Unknown,
        7 => Outcome::Skipped,
        8 => Outcome::Abandoned,
        _ => return None,
    })
}

/// The stored number of a body's part, also in the store's `part` column.
pub fn part_number(part: BodyPart) -> u8 {
    match part {
        BodyPart::Request => 1,
        BodyPart::Answer => 2,
    }
}

/// The part of a stored number.
pub fn part_of(number: u64) -> Option<BodyPart> {
    match number {
        1 => Some(BodyPart::Request),
        2 => Some(BodyPart::Answer),
        _ => None,
    }
}

fn kind_number(kind: SpanKind) -> u8 {
    match kind {
        SpanKind::Phase => 1,
        SpanKind::Step => 2,
        SpanKind::Attempt => 3,
    }
}

fn kind_of(number: u64) -> Option<SpanKind> {
    Some(match number {
        1 => SpanKind::Phase,
        2 => SpanKind::Step,
        3 => SpanKind::Attempt,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
