//! Nothing takes effect twice: a request that is a repeat of a signed one is refused, and one that repeats a business action under
//! its idempotency key gets the first answer again.
use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Method};
use qiao_core::{
    AnswerStore, Fault, NoMemory, NonceStore, Repeat, StoreError, fault_codes,
    once::{AnswerKey, Begun, Ended, KeptAnswer, NonceUse, Remembered},
};
use qiao_vault::{Provider, PureProvider, Stamp};
use tokio::time::Instant;

use super::{CallInput, CallOutput, context::Reply};
use crate::definitions::grant::Rate;

/// The caller's name for a business action, 1 to 128 visible characters; repeats of the action carry the same.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// `true` on an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const LONGEST_KEY: usize = 128;
/// When a caller may ask again for what is under way, or where there is no room.
const LATER: Duration = Duration::from_secs(1);
/// Nonces remembered for a caller without a rate, and the bounds for one with a rate.
const USUAL: usize = 100_000;
const LEAST: usize = 10_000;
const MOST: usize = 1_000_000;

/// How a request came, and what its node remembers of callers.
#[derive(Clone, Copy)]
pub struct Arrival<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    /// Without `?`.
    pub query: Option<&'a str>,
    pub nonces: &'a dyn NonceStore,
    pub answers: &'a dyn AnswerStore,
}

impl Default for Arrival<'_> {
    /// From nowhere, at a node without memory.
    fn default() -> Self {
        Self { method: &Method::POST, path: "", query: None, nonces: &NoMemory, answers: &NoMemory }
    }
}

/// Refuses a proven message that is too old, ahead, or was here before; remembers the others. Errors: `REPLAYED`, and `BUS_BUSY`
/// where it cannot be remembered: a repeat of it could not be told.
pub(super) async fn fresh(
    input: &CallInput<'_>,
    stamp: Option<Stamp>,
    deadline: Instant,
) -> Result<(), Fault> {
    let (Some(stamp), Some(caller)) = (stamp, &input.caller) else { return Ok(()) };
    let now_ms = input.started_us / 1000;
    let replayed = |detail: String| Fault::new(&fault_codes::REPLAYED, detail);
    let nonce = stamp.nonce_at(now_ms).map_err(|stale| replayed(stale.to_string()))?;
    let keep_ms = stamp.remembered_ms();
    let most = room(caller.rate, keep_ms);
    let asked = NonceUse { caller: &caller.id, nonce, now_ms, keep_ms, most };
    match within(input.arrival.nonces.remember(asked), deadline).await? {
        Remembered::First => Ok(()),
        Remembered::Again => Err(replayed("the nonce was used before".to_owned())),
        Remembered::Full => Err(busy(format!("{most} nonces of {} are remembered, no more fit", caller.id))),
    }
}

/// What the caller may send at its rate for as long as nonces are remembered.
fn room(rate: Option<Rate>, keep_ms: i64) -> usize {
    let Some(rate) = rate else { return USUAL };
    let seconds = usize::try_from(keep_ms / 1000).unwrap_or(0) + 1;
    let burst = rate.burst.unwrap_or(rate.per_second) as usize;
    ((rate.per_second as usize).saturating_mul(seconds) + burst).clamp(LEAST, MOST)
}

/// A request whose key is taken until it ends. Dropped before that, nobody knows what it did.
pub(super) struct Ticket<'a> {
    answers: &'a dyn AnswerStore,
    key: AnswerKey,
    ended: bool,
}

/// What an idempotency key stands for.
pub(super) enum Key<'a> {
    /// The request has none.
    None,
    First(Ticket<'a>),
    Answered(Box<Reply>),
}

/// Takes the request's key, where it has one. Errors: `KEY_REUSED`, `UNDER_WAY`, `EARLIER_UNKNOWN`, `BUS_BUSY`, `BAD_REQUEST`.
pub(super) async fn key<'a>(
    input: &CallInput<'a>,
    interface: &Arc<str>,
    request: impl FnOnce() -> [u8; 32],
    deadline: Instant,
) -> Result<Key<'a>, Fault> {
    let (Some(text), Some(caller)) = (key_text(input)?, &input.caller) else { return Ok(Key::None) };
    let digest = PureProvider.sm3(&[text]);
    let short = digest.first_chunk().copied().unwrap_or_default();
    let key = AnswerKey { caller: Arc::clone(&caller.id), interface: Arc::clone(interface), key: short };
    let answers = input.arrival.answers;
    let begun = within(answers.begin(&key, request(), input.started_us / 1000), deadline).await?;
    let refused = |code, detail: &'static str| Err(Fault::new(code, detail));
    match begun {
        Begun::First => Ok(Key::First(Ticket { answers, key, ended: false })),
        Begun::Answered(kept) => {
            let KeptAnswer { status, mut headers, body } = kept;
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(Key::Answered(Box::new(Reply { status, headers, body })))
        }
        Begun::Running => {
            let fault = Fault::new(&fault_codes::UNDER_WAY, "the request under this key has not ended");
            Err(fault.with_retry_after(LATER))
        }
        Begun::Unknown => {
            refused(&fault_codes::EARLIER_UNKNOWN, "the end of the request under this key is not known")
        }
        Begun::Other => refused(&fault_codes::KEY_REUSED, "another request came under this key"),
        Begun::Full => Err(busy(format!("no more answers fit for {}", caller.id))),
    }
}

fn key_text<'a>(input: &CallInput<'a>) -> Result<Option<&'a [u8]>, Fault> {
    let mut values = input.headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let text = first.as_bytes();
    let fine = (1..=LONGEST_KEY).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
    if !fine || values.next().is_some() {
        let detail = "Idempotency-Key is not one text of 1 to 128 visible characters";
        return Err(Fault::new(&fault_codes::BAD_REQUEST, detail));
    }
    Ok(Some(text))
}

impl Ticket<'_> {
    /// Keeps the answer for repeats; what had no effect may run again.
    pub fn end(mut self, output: &CallOutput) {
        let harmless = output.fault.as_ref().is_some_and(|fault| fault.repeat() == Repeat::Safe);
        let ended = if harmless {
            Ended::Nothing
        } else {
            Ended::Answer(KeptAnswer {
                status: output.status,
                headers: output.headers.clone(),
                body: output.body.clone(),
            })
        };
        self.ended = true;
        self.answers.finish(&self.key, ended);
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.answers.finish(&self.key, Ended::Unknown);
        }
    }
}

async fn within<T>(
    asked: impl Future<Output = Result<T, StoreError>>,
    deadline: Instant,
) -> Result<T, Fault> {
    match tokio::time::timeout_at(deadline, asked).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(busy(error.to_string())),
        Err(_) => Err(busy("what is remembered of callers was not told by the call's deadline".to_owned())),
    }
}

fn busy(detail: String) -> Fault {
    Fault::new(&fault_codes::BUS_BUSY, detail).with_retry_after(LATER)
}
