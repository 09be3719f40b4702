//! Writes a call record into a byte buffer without intermediate allocation; used on every call.
use qiao_core::{BusinessKey, CallRecord, KeptBody, Span};

use super::{
    DELIMITED, FORMAT_VERSION, MAX_PAYLOAD_BYTES, VARINT, body, call, key, kind_number, outcome_number,
    part_number, span,
};

/// Room kept for the count of dropped spans.
const TAIL_BYTES: usize = 16;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoded {
    Whole,
    /// The record is kept without its last spans, which would pass [`MAX_PAYLOAD_BYTES`].
    SpansDropped(usize),
    /// Even without spans the record passes [`MAX_PAYLOAD_BYTES`]; nothing was written.
    TooLarge,
}

/// Appends the payload of `record` to `out`.
pub fn encode(record: &CallRecord, out: &mut Vec<u8>) -> Encoded {
    let start = out.len();
    out.push(FORMAT_VERSION);
    head(record, out);
    let limit = start + MAX_PAYLOAD_BYTES - TAIL_BYTES;
    if out.len() > limit {
        out.truncate(start);
        return Encoded::TooLarge;
    }
    for (index, span) in record.spans.iter().enumerate() {
        let before = out.len();
        nested(out, call::SPAN, |out| span_fields(span, out));
        if out.len() > limit {
            out.truncate(before);
            let dropped = record.spans.len() - index;
            number(out, call::SPANS_DROPPED, dropped as u64);
            return Encoded::SpansDropped(dropped);
        }
    }
    Encoded::Whole
}

fn head(record: &CallRecord, out: &mut Vec<u8>) {
    delimited(out, call::ID, record.id.as_bytes());
    text(out, call::INTERFACE, &record.interface);
    text(out, call::CALLER, &record.caller);
    non_zero(out, call::PLAN, record.plan);
    non_zero(out, call::STARTED_US, zigzag(record.started_us));
    non_zero(out, call::DURATION_US, record.duration_us);
    number(out, call::OUTCOME, u64::from(outcome_number(record.outcome)));
    optional(out, call::FAULT, record.fault);
    non_zero(out, call::STATUS, u64::from(record.status));
    non_zero(out, call::BYTES_IN, record.bytes_in);
    non_zero(out, call::BYTES_OUT, record.bytes_out);
    optional_text(out, call::REQUEST_ID, record.request_id.as_deref());
    optional_text(out, call::TRACE_ID, record.trace_id.as_deref());
    non_zero(out, call::MOCKED, u64::from(record.mocked));
    record.keys.iter().for_each(|key| nested(out, call::KEY, |out| key_fields(key, out)));
    record.bodies.iter().for_each(|body| nested(out, call::BODY, |out| body_fields(body, out)));
}

fn key_fields(record: &BusinessKey, out: &mut Vec<u8>) {
    text(out, key::NAME, &record.name);
    text(out, key::HASH, &record.hash);
    text(out, key::MASKED, &record.masked);
}

fn body_fields(record: &KeptBody, out: &mut Vec<u8>) {
    number(out, body::PART, u64::from(part_number(record.part)));
    non_zero(out, body::BYTES, record.bytes);
    non_zero(out, body::CUT, u64::from(record.cut));
    text(out, body::DIGEST, &record.digest);
}

fn span_fields(record: &Span, out: &mut Vec<u8>) {
    optional(out, span::PARENT, record.parent);
    number(out, span::KIND, u64::from(kind_number(record.kind)));
    text(out, span::NAME, &record.name);
    non_zero(out, span::START_US, record.start_us);
    non_zero(out, span::DURATION_US, record.duration_us);
    number(out, span::OUTCOME, u64::from(outcome_number(record.outcome)));
    optional(out, span::FAULT, record.fault);
    non_zero(out, span::BYTES_OUT, record.bytes_out);
    non_zero(out, span::BYTES_IN, record.bytes_in);
    optional_text(out, span::NOTE, record.note.as_deref());
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn tag(out: &mut Vec<u8>, field: u32, wire: u8) {
    varint(out, u64::from(field << 3) | u64::from(wire));
}

fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, VARINT);
    varint(out, value);
}

fn non_zero(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        number(out, field, value);
    }
}

/// `Some(0)` is written: it differs from none.
fn optional(out: &mut Vec<u8>, field: u32, value: Option<u16>) {
    if let Some(value) = value {
        number(out, field, u64::from(value));
    }
}

fn delimited(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    tag(out, field, DELIMITED);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn text(out: &mut Vec<u8>, field: u32, value: &str) {
    if !value.is_empty() {
        delimited(out, field, value.as_bytes());
    }
}

fn optional_text(out: &mut Vec<u8>, field: u32, value: Option<&str>) {
    if let Some(value) = value {
        delimited(out, field, value.as_bytes());
    }
}

/// Writes in place and puts the length before it afterwards: one byte nearly always, else the body moves up.
fn nested(out: &mut Vec<u8>, field: u32, body: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, DELIMITED);
    let at = out.len();
    out.push(0);
    body(out);
    let length = out.len() - at - 1;
    if length < 0x80 {
        out[at] = length as u8;
        return;
    }
    let mut prefix = Vec::with_capacity(5);
    varint(&mut prefix, length as u64);
    out.splice(at..=at, prefix);
}
