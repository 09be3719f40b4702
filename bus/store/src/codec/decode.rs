//! Reads a payload back: whole for a trace, or only what a listing shows. Refuses bad input, never panics.
use std::sync::Arc;

use qiao_core::{BusinessKey, CallId, CallRecord, KeptBody, Outcome, Span, SpanKind};

use super::{
    DELIMITED, FIXED32, FIXED64, FORMAT_VERSION, VARINT, body, call, key, kind_of, outcome_of, part_of, span,
};

/// Why a payload cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error(
        "record format {found} is not known to this version (it reads {FORMAT_VERSION}); read it with a newer one"
    )]
    Version { found: u8 },
    #[error("the record ends inside a field, at byte {at}")]
    Truncated { at: usize },
    #[error("field {field} of the {part} holds what this version cannot read")]
    Field { part: &'static str, field: u32 },
    #[error("the record lacks its {0}")]
    Missing(&'static str),
}

/// What a listing shows of a record, borrowed from its payload. Spans are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary<'a> {
    pub id: CallId,
    pub interface: &'a str,
    pub caller: &'a str,
    pub started_us: i64,
    pub duration_us: u64,
    pub outcome: Outcome,
    pub fault: Option<u16>,
    pub status: u16,
}

/// Reads the head of a payload.
pub fn summary(payload: &[u8]) -> Result<Summary<'_>, CodecError> {
    head(payload, |_, _| Ok(())).map(|head| head.summary)
}

/// Every business key of a payload.
pub fn keys(payload: &[u8]) -> Result<Vec<BusinessKey>, CodecError> {
    let mut keys = Vec::new();
    head(payload, |field, bytes| {
        if field == call::KEY {
            keys.push(read_key(bytes)?);
        }
        Ok(())
    })?;
    Ok(keys)
}

/// Reads a whole payload.
pub fn decode(payload: &[u8]) -> Result<CallRecord, CodecError> {
    let (mut spans, mut keys, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    let head = head(payload, |field, bytes| {
        match field {
            call::SPAN => spans.push(read_span(bytes)?),
            call::KEY => keys.push(read_key(bytes)?),
            _ => bodies.push(read_body(bytes)?),
        }
        Ok(())
    })?;
    let summary = head.summary;
    Ok(CallRecord {
        id: summary.id,
        interface: Arc::from(summary.interface),
        caller: Arc::from(summary.caller),
        plan: head.plan,
        started_us: summary.started_us,
        duration_us: summary.duration_us,
        outcome: summary.outcome,
        fault: summary.fault,
        status: summary.status,
        bytes_in: head.bytes_in,
        bytes_out: head.bytes_out,
        request_id: head.request_id.map(Box::from),
        trace_id: head.trace_id.map(Box::from),
        mocked: head.mocked,
        spans,
        keys,
        bodies,
    })
}

struct Head<'a> {
    summary: Summary<'a>,
    plan: u64,
    bytes_in: u64,
    bytes_out: u64,
    request_id: Option<&'a str>,
    trace_id: Option<&'a str>,
    mocked: bool,
}

fn head<'a>(
    payload: &'a [u8],
    mut nested: impl FnMut(u32, &'a [u8]) -> Result<(), CodecError>,
) -> Result<Head<'a>, CodecError> {
    let mut fields = Fields::of_record(payload)?;
    let (mut id, mut outcome) = (None, None);
    let (mut interface, mut caller, mut request_id, mut trace_id) = ("", "", None, None);
    let (mut plan, mut started_us, mut duration_us, mut bytes_in, mut bytes_out) = (0, 0, 0, 0, 0);
    let (mut fault, mut status, mut mocked) = (None, 0, false);
    while let Some(field) = fields.next()? {
        match field.number {
            call::ID => id = Some(CallId::from_bytes(field.bytes()?.try_into().map_err(|_| field.error())?)),
            call::INTERFACE => interface = field.text()?,
            call::CALLER => caller = field.text()?,
            call::PLAN => plan = field.varint()?,
            call::STARTED_US => started_us = unzigzag(field.varint()?),
            call::DURATION_US => duration_us = field.varint()?,
            call::OUTCOME => outcome = Some(field.outcome()?),
            call::FAULT => fault = Some(field.short()?),
            call::STATUS => status = field.short()?,
            call::BYTES_IN => bytes_in = field.varint()?,
            call::BYTES_OUT => bytes_out = field.varint()?,
            call::REQUEST_ID => request_id = Some(field.text()?),
            call::TRACE_ID => trace_id = Some(field.text()?),
            call::MOCKED => mocked = field.varint()? != 0,
            call::SPAN | call::KEY | call::BODY => nested(field.number, field.bytes()?)?,
            _ => {}
        }
    }
    let id = id.ok_or(CodecError::Missing("id"))?;
    let outcome = outcome.ok_or(CodecError::Missing("outcome"))?;
    let summary = Summary { id, interface, caller, started_us, duration_us, outcome, fault, status };
    Ok(Head { summary, plan, bytes_in, bytes_out, request_id, trace_id, mocked })
}

fn read_span(bytes: &[u8]) -> Result<Span, CodecError> {
    let mut fields = Fields { part: "span", bytes, at: 0 };
    let (mut parent, mut kind, mut name, mut outcome) = (None, None, "", None);
    let (mut start_us, mut duration_us, mut bytes_out, mut bytes_in) = (0, 0, 0, 0);
    let (mut fault, mut note) = (None, None);
    while let Some(field) = fields.next()? {
        match field.number {
            span::PARENT => parent = Some(field.short()?),
            span::KIND => kind = Some(field.kind()?),
            span::NAME => name = field.text()?,
            span::START_US => start_us = field.varint()?,
            span::DURATION_US => duration_us = field.varint()?,
            span::OUTCOME => outcome = Some(field.outcome()?),
            span::FAULT => fault = Some(field.short()?),
            span::BYTES_OUT => bytes_out = field.varint()?,
            span::BYTES_IN => bytes_in = field.varint()?,
            span::NOTE => note = Some(field.text()?),
            _ => {}
        }
    }
    Ok(Span {
        parent,
        kind: kind.ok_or(CodecError::Missing("span kind"))?,
        name: Arc::from(name),
        start_us,
        duration_us,
        outcome: outcome.ok_or(CodecError::Missing("span outcome"))?,
        fault,
        bytes_out,
        bytes_in,
        note: note.map(Box::from),
    })
}

fn read_key(bytes: &[u8]) -> Result<BusinessKey, CodecError> {
    let mut fields = Fields { part: "business key", bytes, at: 0 };
    let (mut name, mut hash, mut masked) = ("", "", "");
    while let Some(field) = fields.next()? {
        match field.number {
            key::NAME => name = field.text()?,
            key::HASH => hash = field.text()?,
            key::MASKED => masked = field.text()?,
            _ => {}
        }
    }
    Ok(BusinessKey { name: name.into(), hash: hash.into(), masked: masked.into() })
}

fn read_body(bytes: &[u8]) -> Result<KeptBody, CodecError> {
    let mut fields = Fields { part: "kept body", bytes, at: 0 };
    let (mut part, mut size, mut cut, mut digest) = (None, 0, false, "");
    while let Some(field) = fields.next()? {
        match field.number {
            body::PART => part = Some(part_of(field.varint()?).ok_or_else(|| field.error())?),
            body::BYTES => size = field.varint()?,
            body::CUT => cut = field.varint()? != 0,
            body::DIGEST => digest = field.text()?,
            _ => {}
        }
    }
    let part = part.ok_or(CodecError::Missing("body part"))?;
    Ok(KeptBody { part, bytes: size, cut, digest: digest.into(), sealed: Vec::new() })
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Fixed-width numbers are not written by this version; they are skipped.
    Fixed,
}

struct Field<'a> {
    part: &'static str,
    number: u32,
    value: Value<'a>,
}

impl<'a> Field<'a> {
    fn error(&self) -> CodecError {
        CodecError::Field { part: self.part, field: self.number }
    }

    fn varint(&self) -> Result<u64, CodecError> {
        if let Value::Varint(value) = self.value { Ok(value) } else { Err(self.error()) }
    }

    fn bytes(&self) -> Result<&'a [u8], CodecError> {
        if let Value::Bytes(bytes) = self.value { Ok(bytes) } else { Err(self.error()) }
    }

    fn text(&self) -> Result<&'a str, CodecError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| self.error())
    }

    fn short(&self) -> Result<u16, CodecError> {
        u16::try_from(self.varint()?).map_err(|_| self.error())
    }

    fn outcome(&self) -> Result<Outcome, CodecError> {
        outcome_of(self.varint()?).ok_or_else(|| self.error())
    }

    fn kind(&self) -> Result<SpanKind, CodecError> {
        kind_of(self.varint()?).ok_or_else(|| self.error())
    }
}

struct Fields<'a> {
    part: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn of_record(payload: &'a [u8]) -> Result<Self, CodecError> {
        match payload.first() {
            None => Err(CodecError::Truncated { at: 0 }),
            Some(&FORMAT_VERSION) => Ok(Self { part: "call", bytes: payload, at: 1 }),
            Some(&found) => Err(CodecError::Version { found }),
        }
    }

    fn next(&mut self) -> Result<Option<Field<'a>>, CodecError> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).unwrap_or(u32::MAX);
        let value = match tag as u8 & 7 {
            VARINT => Value::Varint(self.varint()?),
            DELIMITED => {
                let length = self.varint()?;
                Value::Bytes(self.take(usize::try_from(length).unwrap_or(usize::MAX))?)
            }
            FIXED64 => self.take(8).map(|_| Value::Fixed)?,
            FIXED32 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(CodecError::Field { part: self.part, field: number }),
        };
        Ok(Some(Field { part: self.part, number, value }))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], CodecError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..length).ok_or(CodecError::Truncated { at: self.bytes.len() })?;
        self.at += length;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, CodecError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(CodecError::Truncated { at: self.at })?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(CodecError::Truncated { at: self.at })
    }
}
