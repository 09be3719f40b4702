//! The guard between a socket and hyper: hyper reads only bytes whose framing was found unambiguous. HTTP/1 goes through
//! [`Framing`], HTTP/2 through [`FrameBudget`]; bytes pass unchanged. A refused head never reaches hyper: a stand-in request takes
//! its place in the pipeline, and the service answers that one, known by its ordinal, with the refusal.
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    flow::{Flow, Phase},
    frames::FrameBudget,
    limits::GatewayLimits,
    refusal::Refusal,
};
use framing::{Framing, Step};

mod chunks;
mod framing;
mod head;
mod target;

pub(crate) use target::valid_authority;

/// What an HTTP/2 caller sends first (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Takes the place of a refused request.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
/// Kept for the next split head; larger buffers are given back.
const KEEP_BYTES: usize = 1024;

/// Why the guard broke a body off; found by [`super::GatewayBody`] inside hyper's error.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum GuardError {
    #[error("no byte of the body arrived in time")]
    BodyIdle,
    #[error("{}", .0.reason())]
    Flaw(Refusal),
}

pub(crate) struct Guard<I> {
    io: I,
    flow: Arc<Flow>,
    protocol: Protocol,
    /// `held[given..ready]` may go on, `held[ready..]` is an incomplete head.
    held: Vec<u8>,
    given: usize,
    ready: usize,
    stop: Option<Stop>,
    shut: bool,
}

enum Protocol {
    Http1(Box<Framing>),
    Http2(FrameBudget),
}

#[derive(Clone, Copy)]
enum Stop {
    Refused,
    Broken(GuardError),
}

impl<I: AsyncRead + AsyncWrite + Unpin> Guard<I> {
    /// `sniffed` was read from `io` already.
    pub(crate) fn http1(io: I, flow: Arc<Flow>, limits: &GatewayLimits, sniffed: &[u8]) -> Self {
        let mut guard = Self::new(io, flow, Protocol::Http1(Box::new(Framing::new(limits))));
        guard.held.extend_from_slice(sniffed);
        guard.scan_held();
        guard
    }

    /// The connection preface was read from `io` already.
    pub(crate) fn http2(io: I, flow: Arc<Flow>, limits: &GatewayLimits) -> Self {
        flow.set_phase(Phase::Frames);
        let mut guard = Self::new(io, flow, Protocol::Http2(FrameBudget::new(limits)));
        guard.held.extend_from_slice(PREFACE);
        guard.ready = PREFACE.len();
        guard
    }

    fn new(io: I, flow: Arc<Flow>, protocol: Protocol) -> Self {
        Self { io, flow, protocol, held: Vec::new(), given: 0, ready: 0, stop: None, shut: false }
    }

    /// Reads on in `held[ready..]`.
    fn scan_held(&mut self) {
        let Protocol::Http1(framing) = &mut self.protocol else { return };
        let step = framing.advance(&self.held[self.ready..]);
        let base = self.ready;
        match step {
            Step::More { pass } => self.ready = base + pass,
            Step::Refuse { pass, .. } | Step::Break { pass, .. } => {
                self.held.truncate(base + pass);
                self.ready = base + pass;
            }
        }
        self.settle(step);
    }

    /// Acts on a step whose `pass` bytes are on their way.
    fn settle(&mut self, step: Step) {
        let Protocol::Http1(framing) = &self.protocol else { return };
        self.flow.passed(framing.heads());
        match step {
            Step::More { .. } => {
                let waiting = self.held.len() > self.ready;
                self.flow.set_phase(match (framing.in_body(), waiting) {
                    (true, _) => Phase::Body,
                    (false, true) => Phase::Head,
                    (false, false) => Phase::Idle,
                });
            }
            Step::Refuse { refusal, .. } => self.refuse(refusal),
            Step::Break { refusal, .. } => self.stop = Some(Stop::Broken(GuardError::Flaw(refusal))),
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.held.truncate(self.ready);
        self.held.extend_from_slice(STAND_IN);
        self.ready = self.held.len();
        self.stop = Some(Stop::Refused);
        self.flow.refuse(refusal);
    }

    /// Hands on what may go, as much as fits.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let count = buf.remaining().min(self.ready - self.given);
        buf.put_slice(&self.held[self.given..self.given + count]);
        self.given += count;
        if self.given == self.ready {
            self.held.drain(..self.given);
            (self.given, self.ready) = (0, 0);
            if self.held.is_empty() && self.held.capacity() > KEEP_BYTES {
                self.held = Vec::new();
            }
        }
    }

    /// Nothing to read: waits, unless the driver found that the wait has been too long.
    fn blocked(&mut self) -> Poll<io::Result<()>> {
        self.flow.read(false);
        if !self.flow.take_expired() {
            return Poll::Pending;
        }
        match &self.protocol {
            Protocol::Http1(framing) if framing.in_body() => {
                self.stop = Some(Stop::Broken(GuardError::BodyIdle));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, GuardError::BodyIdle)))
            }
            Protocol::Http1(_) => {
                self.refuse(Refusal::HeadTimeout);
                Poll::Ready(Ok(()))
            }
            Protocol::Http2(_) => Poll::Pending,
        }
    }

    /// Takes in what was just read behind `before`; returns whether hyper got any of it.
    fn take_in(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> io::Result<bool> {
        let fresh = &buf.filled()[before..];
        let framing = match &mut self.protocol {
            Protocol::Http1(framing) => framing,
            Protocol::Http2(budget) => return budget.spend(fresh).map(|()| true),
        };
        if !self.held.is_empty() {
            self.held.extend_from_slice(fresh);
            buf.set_filled(before);
            self.scan_held();
            return Ok(false);
        }
        let step = framing.advance(fresh);
        let (Step::More { pass } | Step::Refuse { pass, .. } | Step::Break { pass, .. }) = step;
        if matches!(step, Step::More { .. }) {
            self.held.extend_from_slice(&fresh[pass..]);
        }
        buf.set_filled(before + pass);
        self.settle(step);
        Ok(pass > 0)
    }

    /// Whether the caller may still be sending what nobody will read.
    fn leaves_unread(&self) -> bool {
        let mid_body = matches!(&self.protocol, Protocol::Http1(framing) if framing.in_body());
        self.stop.is_some() || mid_body
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if this.given < this.ready {
                this.give(buf);
                return Poll::Ready(Ok(()));
            }
            match this.stop {
                // The answer closes the connection; until then there is nothing more to read.
                Some(Stop::Refused) => return Poll::Pending,
                Some(Stop::Broken(error)) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                }
                None => {}
            }
            let before = buf.filled().len();
            match Pin::new(&mut this.io).poll_read(cx, buf) {
                Poll::Pending => match this.blocked() {
                    Poll::Ready(Ok(())) => continue,
                    other => return other,
                },
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) if buf.filled().len() == before => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => this.flow.read(true),
            }
            if this.take_in(buf, before)? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.flow.wrote(written.is_ready());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.flow.wrote(written.is_ready());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Shuts the sending side; where the caller may still be sending, reads and throws away until it ends (the driver bounds
    /// the time), since closing with unread bytes resets the connection and can take the answer with it.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.shut {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            this.shut = true;
            if this.leaves_unread() {
                this.flow.set_phase(Phase::Linger);
            }
        }
        if !this.leaves_unread() {
            return Poll::Ready(Ok(()));
        }
        let mut space = [0_u8; 4096];
        loop {
            let mut scratch = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut this.io).poll_read(cx, &mut scratch))?;
            if scratch.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// Counts heads as the guard does, for the tests of the whole connection.
#[cfg(test)]
pub(crate) struct Oracle(Framing);

#[cfg(test)]
impl Oracle {
    pub(crate) fn new(limits: &GatewayLimits) -> Self {
        Self(Framing::new(limits))
    }

    pub(crate) fn heads(&mut self, wire: &[u8]) -> u64 {
        self.0.advance(wire);
        self.0.heads()
    }
}
