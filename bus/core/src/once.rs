//! What is remembered of callers so that nothing takes effect twice: nonces that were used, and answers under an idempotency key.
//! For the engine, which asks, and for nodes, which remember: in memory, or in a store that they share.
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::{BoxFuture, store::StoreError};

/// Nonces that callers used.
pub trait NonceStore: Send + Sync {
    /// Remembers a nonce, if it was not used. Called once the message's signature held, never before: a stranger must not use up
    /// a caller's nonces. Atomic: of two calls with one nonce, one is told [`Remembered::First`].
    fn remember<'a>(&'a self, nonce: NonceUse<'a>) -> BoxFuture<'a, Result<Remembered, StoreError>>;
}

/// One nonce of one caller.
#[derive(Clone, Copy, Debug)]
pub struct NonceUse<'a> {
    /// Nonces of different callers have nothing to do with one another.
    pub caller: &'a str,
    /// A digest of the nonce.
    pub nonce: [u8; 16],
    /// Unix time, milliseconds.
    pub now_ms: i64,
    /// How long it must be remembered, milliseconds.
    pub keep_ms: i64,
    /// Nonces of this caller that are remembered at once.
    pub most: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembered {
    First,
    /// It was used: the message is a repeat.
    Again,
    /// No room: nothing may be forgotten early, so the message is to be refused.
    Full,
}

/// Answers that were given under a caller's idempotency key.
pub trait AnswerStore: Send + Sync {
    /// Takes the key for this request, or tells what became of it before. Whoever is told [`Begun::First`] ends it with
    /// [`AnswerStore::finish`].
    fn begin<'a>(
        &'a self,
        key: &'a AnswerKey,
        request: [u8; 32],
        now_ms: i64,
    ) -> BoxFuture<'a, Result<Begun, StoreError>>;

    /// How the request under a taken key ended. Does not block: a shared store hands it on.
    fn finish(&self, key: &AnswerKey, ended: Ended);
}

/// Whose key it is, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AnswerKey {
    pub caller: Arc<str>,
    pub interface: Arc<str>,
    /// A digest of the caller's text.
    pub key: [u8; 16],
}

/// What a key stands for when a request comes with it.
#[derive(Clone, Debug)]
pub enum Begun {
    /// Nothing yet; it is taken now.
    First,
    /// The same request is under way.
    Running,
    /// The same request was answered so.
    Answered(KeptAnswer),
    /// The same request was begun and its end is not known, or its answer was too large to be kept.
    Unknown,
    /// Another request came under this key.
    Other,
    /// No room: nothing may be forgotten early.
    Full,
}

/// How a request ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// With this answer, which a repeat gets again.
    Answer(KeptAnswer),
    /// Without effect: a repeat runs anew.
    Nothing,
    /// Without anybody knowing whether it took effect.
    Unknown,
}

/// An answer as the flow gave it, before it was sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Remembers nothing and therefore lets nothing through that must be remembered.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMemory;

impl NonceStore for NoMemory {
    fn remember<'a>(&'a self, _: NonceUse<'a>) -> BoxFuture<'a, Result<Remembered, StoreError>> {
        Box::pin(std::future::ready(Ok(Remembered::Full)))
    }
}

impl AnswerStore for NoMemory {
    fn begin<'a>(
        &'a self,
        _: &'a AnswerKey,
        _: [u8; 32],
        _: i64,
    ) -> BoxFuture<'a, Result<Begun, StoreError>> {
        Box::pin(std::future::ready(Ok(Begun::Full)))
    }

    fn finish(&self, _: &AnswerKey, _: Ended) {}
}
