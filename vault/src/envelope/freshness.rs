//! Whether a caller's message is new: its time within a window, its nonce used for the first time. For the bus, which checks
//! what callers send; `Envelope::open_fresh` gives what a message says.
use super::{
    op::{KeySource, Mode, Op, Piece, Selector, Slot, Step},
    spec::EnvelopeSpec,
};
use crate::{
    certificate::time::seconds_of_digits,
    provider::{Provider, pure::PureProvider},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Five minutes, as partners usually agree.
const WINDOW_SECONDS: u32 = 300;
const LONGEST_WINDOW: u32 = 3600;
/// Asia/Shanghai is eight hours ahead of UTC all year.
const SHANGHAI_SECONDS: i64 = 8 * 3600;

/// How repeats of a caller's message are told. When left out, an envelope whose `open` has parts named `timestamp` and `nonce` is
/// checked by them. What they say must be covered by a signature or keyed code of the envelope.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FreshnessSpec {
    /// Not checked: a message that is sent twice is opened twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    /// The part of `open` with the time as text. Without one, a repeat is told only as long as nonces are remembered: twice the
    /// window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// Told from its shape when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<TimeForm>,
    /// The part of `open` that no two messages of a caller share; a form without a nonce may name the signed ciphertext.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// How far a timestamp may be from the bus's clock, either way: 1 to 3600, 300 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub window_seconds: Option<u32>,
}

/// The written form of a point in time; forms without a zone are in Asia/Shanghai.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TimeForm {
    /// Unix time, 10 digits.
    Seconds,
    /// Unix time, 13 digits.
    Millis,
    /// `yyyyMMddHHmmss`.
    Compact,
    /// `yyyy-MM-dd HH:mm:ss`.
    Dashed,
}

impl TimeForm {
    fn of(text: &str) -> Option<Self> {
        match text.len() {
            10 => Some(Self::Seconds),
            13 => Some(Self::Millis),
            14 => Some(Self::Compact),
            19 => Some(Self::Dashed),
            _ => None,
        }
    }

    /// Unix milliseconds.
    fn read(self, text: &str) -> Option<i64> {
        let number = || text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok())?;
        let local = |digits: &[u8]| Some((seconds_of_digits(digits)? - SHANGHAI_SECONDS) * 1000);
        match (self, text.len()) {
            (Self::Seconds, 1..=11) => number()?.checked_mul(1000),
            (Self::Millis, 1..=14) => number(),
            (Self::Compact, 14) => local(text.as_bytes()),
            (Self::Dashed, 19) => {
                let mut digits = Vec::with_capacity(14);
                for (at, byte) in text.bytes().enumerate() {
                    match (at, byte) {
                        (4 | 7, b'-') | (10, b' ') | (13 | 16, b':') => {}
                        (4 | 7 | 10 | 13 | 16, _) => return None,
                        _ => digits.push(byte),
                    }
                }
                local(&digits)
            }
            _ => None,
        }
    }

    /// A text in this form, from Unix milliseconds. For whoever calls the bus.
    pub fn write(self, millis: i64) -> String {
        let seconds = millis.div_euclid(1000);
        let digits = || crate::certificate::time::digits(seconds + SHANGHAI_SECONDS);
        match self {
            Self::Seconds => seconds.to_string(),
            Self::Millis => millis.to_string(),
            Self::Compact => digits(),
            Self::Dashed => {
                let text = digits();
                let part = |from: usize, to: usize| &text[from..to];
                let (day, hour) = (part(6, 8), part(8, 10));
                format!("{}-{}-{day} {hour}:{}:{}", part(0, 4), part(4, 6), part(10, 12), part(12, 14))
            }
        }
    }
}

/// What an opened message says of itself. Everything in it was covered by a check of the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Unix milliseconds; the inner none is a time that cannot be read.
    time_ms: Option<Option<i64>>,
    /// None where it is empty.
    nonce: Option<[u8; 16]>,
    window_ms: i64,
}

/// Why a message counts as a repeat. `Display` is for operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    #[error("the timestamp cannot be read")]
    Unreadable,
    #[error("the timestamp is {by} s old, the window is {window} s")]
    Old { by: i64, window: i64 },
    #[error("the timestamp is {by} s ahead of the bus's clock, the window is {window} s")]
    Ahead { by: i64, window: i64 },
    #[error("the nonce is empty")]
    NoNonce,
}

impl Stamp {
    /// The nonce, digested to a fixed length, where the message's time is within the window around `now_ms`.
    pub fn nonce_at(&self, now_ms: i64) -> Result<[u8; 16], Stale> {
        if let Some(time) = self.time_ms {
            let age = now_ms.saturating_sub(time.ok_or(Stale::Unreadable)?);
            let (by, window) = (age.saturating_abs() / 1000, self.window_ms / 1000);
            if age > self.window_ms {
                return Err(Stale::Old { by, window });
            }
            if age < -self.window_ms {
                return Err(Stale::Ahead { by, window });
            }
        }
        self.nonce.ok_or(Stale::NoNonce)
    }

    /// How long the nonce must be remembered, in milliseconds: no message with it passes its timestamp's check after that.
    pub fn remembered_ms(&self) -> i64 {
        2 * self.window_ms + 1
    }
}

/// A compiled [`FreshnessSpec`].
pub(super) struct Freshness {
    timestamp: Option<(Slot, Option<TimeForm>)>,
    nonce: Slot,
    window_ms: i64,
}

impl Freshness {
    /// `bytes` gives a part's value.
    pub(super) fn stamp<'a>(&self, bytes: impl Fn(Slot) -> &'a [u8]) -> Stamp {
        let time = |(slot, form): (Slot, Option<TimeForm>)| {
            let text = std::str::from_utf8(bytes(slot)).ok()?;
            form.or_else(|| TimeForm::of(text))?.read(text)
        };
        let nonce = bytes(self.nonce);
        // Of any length: a whole ciphertext may stand for it.
        let digest = || PureProvider.sm3(&[nonce]).first_chunk().copied();
        Stamp {
            time_ms: self.timestamp.map(time),
            nonce: if nonce.is_empty() { None } else { digest() },
            window_ms: self.window_ms,
        }
    }
}

/// The place of a part of `open` by its name; only parts that have bytes.
type Find<'a> = dyn Fn(&str) -> Option<Slot> + 'a;

/// Compiles what a description says of freshness, or what it has by itself. Mistakes are path and message.
pub(super) fn compile(
    spec: &EnvelopeSpec,
    open: &[Step],
    find: &Find<'_>,
    mistakes: &mut Vec<(String, String)>,
) -> Option<Freshness> {
    let usual = FreshnessSpec {
        timestamp: Some("timestamp".to_owned()),
        nonce: Some("nonce".to_owned()),
        ..FreshnessSpec::default()
    };
    let flow = Flow::of(open);
    // What the bus itself gives as a parameter says nothing of the message.
    let told = |name: &str| find(name).is_some_and(|slot| flow.fields(slot) != 0);
    let has_both = told("timestamp") && told("nonce");
    let (asked, written) = match &spec.freshness {
        Some(written) => (written, true),
        None if has_both => (&usual, false),
        None => return None,
    };
    if asked.off {
        return None;
    }
    let mut wrong = |path: &str, message: String| mistakes.push((format!("freshness{path}"), message));
    let window = asked.window_seconds.unwrap_or(WINDOW_SECONDS);
    if !(1..=LONGEST_WINDOW).contains(&window) {
        wrong(".windowSeconds", format!("1 to {LONGEST_WINDOW} seconds"));
    }
    let covered = flow.covered(open);
    let mut place = |key: &str, name: &str| {
        let Some(slot) = find(name) else {
            wrong(&format!(".{key}"), format!("`open` has no part `{name}` that has bytes"));
            return None;
        };
        let from = flow.fields(slot);
        let holds = from != 0 && from & !covered == 0;
        if !holds {
            let off = if written { "" } else { ", or say `freshness: {off: true}`" };
            let message = format!(
                "`{name}` is not covered by a check: whoever repeats the message could change it; verify a signature or code over it{off}"
            );
            wrong(&format!(".{key}"), message);
        }
        holds.then_some(slot)
    };
    let timestamp = asked.timestamp.as_ref().map(|name| place("timestamp", name));
    let nonce = asked.nonce.as_ref().and_then(|name| place("nonce", name));
    if asked.nonce.is_none() {
        wrong("", "name the part that is the `nonce`, or say `off: true`".to_owned());
    }
    let timestamp = match timestamp {
        Some(None) => return None,
        Some(Some(slot)) => Some((slot, asked.format)),
        None => None,
    };
    Some(Freshness { timestamp, nonce: nonce?, window_ms: i64::from(window) * 1000 })
}

/// Sets of parts, a bit each: an envelope has at most 64.
type Parts = u128;
/// Stands for what no check covers.
const NEVER: Parts = 1 << 127;

/// What is known of every part of `open`, in its order.
#[derive(Default)]
struct Flow {
    /// The fields of the wire that its value comes from.
    fields: Vec<Parts>,
    /// Whether it can only be computed with a key of the vault: a code, or a digest over such a key.
    keyed: Vec<bool>,
}

impl Flow {
    fn of(open: &[Step]) -> Self {
        let mut flow = Self::default();
        for (slot, step) in open.iter().enumerate() {
            let (mut fields, mut keyed) = match &step.op {
                Op::Read { from: None, .. } => (1 << (slot % 64), false),
                Op::Read { from: Some(object), field, .. } if is_left_out(open, *object, field) => {
                    (NEVER, false)
                }
                Op::KeyBytes(_) => (0, true),
                Op::Hmac { key, .. } | Op::HmacSha256 { key, .. } => (0, flow.has_key(key)),
                _ => (0, false),
            };
            inputs(&step.op, &mut |input| {
                fields |= flow.fields(input);
                keyed |= flow.is_keyed(input);
            });
            // What is opened or read proves nothing by itself.
            let taken = matches!(
                step.op,
                Op::Read { .. } | Op::Cipher { .. } | Op::Sm2Decrypt { .. } | Op::RsaDecrypt { .. }
            );
            flow.fields.push(fields);
            flow.keyed.push(keyed && !taken);
        }
        flow
    }

    fn fields(&self, slot: Slot) -> Parts {
        self.fields.get(slot).copied().unwrap_or_default()
    }

    fn is_keyed(&self, slot: Slot) -> bool {
        self.keyed.get(slot).copied().unwrap_or_default()
    }

    fn has_key(&self, key: &KeySource) -> bool {
        match key {
            KeySource::Vault(_) => true,
            KeySource::Part(slot) => self.is_keyed(*slot),
        }
    }

    /// The fields of the wire that nobody without a key can change unnoticed: what signatures and keyed codes are over.
    fn covered(&self, open: &[Step]) -> Parts {
        let mut found = 0;
        for step in open {
            let mut over = |slot: Slot| found |= self.fields(slot);
            match &step.op {
                Op::Sm2Verify { data, id, .. } => {
                    over(*data);
                    if let Piece::Part(slot) = id {
                        over(*slot);
                    }
                }
                Op::Verify { data, .. } => over(*data),
                Op::Equals { left, right } if self.is_keyed(*left) || self.is_keyed(*right) => {
                    over(*left);
                    over(*right);
                }
                Op::Cipher { data, key, mode: Mode::Gcm(nonce, aad) | Mode::Ccm(nonce, aad), .. }
                    if self.has_key(key) =>
                {
                    [Some(*data), Some(*nonce), *aad].into_iter().flatten().for_each(over);
                }
                Op::OpenMessage(op) if op.signer.is_some() => {
                    over(op.data);
                    op.detached.into_iter().for_each(over);
                }
                _ => {}
            }
        }
        found
    }
}

/// Whether what is signed of an object leaves this member out, as it leaves out the signature.
fn is_left_out(open: &[Step], object: Slot, field: &Selector) -> bool {
    let name = match field {
        Selector::Member(name) => name,
        Selector::Pointer(pointer) => pointer.split('/').nth(1).unwrap_or_default(),
    };
    open.iter().any(|step| {
        matches!(&step.op, Op::SortedPairs(pairs)
            if pairs.object == Some(object) && pairs.except.iter().any(|except| except == name))
    })
}

/// The operands that a part's value follows. Keys are left out: under another key what is decrypted is noise, not a choice.
fn inputs(op: &Op, each: &mut dyn FnMut(Slot)) {
    let mut piece = |piece: &Piece| {
        if let Piece::Part(slot) = piece {
            each(*slot);
        }
    };
    match op {
        Op::Text(pieces) => pieces.iter().for_each(piece),
        Op::Strip { data, what, .. } => {
            piece(what);
            each(*data);
        }
        Op::Read { from, .. } => from.iter().for_each(|slot| each(*slot)),
        Op::Concat(slots) => slots.iter().for_each(|slot| each(*slot)),
        Op::Json(fields) => fields.iter().for_each(|field| each(field.slot)),
        Op::SortedPairs(pairs) => {
            pairs.pairs.iter().for_each(|(_, slot)| each(*slot));
            pairs.object.iter().for_each(|slot| each(*slot));
        }
        Op::Cipher { data, mode, .. } => {
            each(*data);
            match mode {
                Mode::Ecb(_) => {}
                Mode::Cbc(iv, _) | Mode::Ctr(iv) => each(*iv),
                Mode::Gcm(nonce, aad) | Mode::Ccm(nonce, aad) => {
                    each(*nonce);
                    aad.iter().for_each(|slot| each(*slot));
                }
            }
        }
        Op::Encode { data, .. }
        | Op::Decode { data, .. }
        | Op::Cut { data, .. }
        | Op::ParseJson(data)
        | Op::CanonicalJson(data)
        | Op::Sm3(data)
        | Op::Sha256(data)
        | Op::Hmac { data, .. }
        | Op::HmacSha256 { data, .. }
        | Op::Sm2Decrypt { data, .. }
        | Op::RsaDecrypt { data, .. } => each(*data),
        Op::OpenMessage(op) => {
            each(op.data);
            op.detached.iter().for_each(|slot| each(*slot));
        }
        _ => {}
    }
}
