//! Where one HTTP/1 request ends and the next begins, decided strictly and without I/O: heads, lengths, chunks.
use super::super::{limits::GatewayLimits, refusal::Refusal};
use super::chunks::{ChunkLimits, Chunks};
use super::head::{Delimited, Head, HeadLimits};

/// Follows one connection's bytes.
pub(crate) struct Framing {
    head_limits: HeadLimits,
    chunk_limits: ChunkLimits,
    at: At,
    heads: u64,
}

enum At {
    Head(Head),
    Length(u64),
    Chunked(Box<Chunks>),
}

/// What came of reading on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Everything up to `pass` may go on; the rest is an incomplete head, to be given again with more behind it.
    More { pass: usize },
    /// Up to `pass` may go on; behind it is a head that must not.
    Refuse { pass: usize, refusal: Refusal },
    /// Up to `pass` may go on; behind it the body under way breaks.
    Break { pass: usize, refusal: Refusal },
}

impl Framing {
    pub(crate) fn new(limits: &GatewayLimits) -> Self {
        Self {
            head_limits: HeadLimits {
                bytes: limits.header_bytes,
                target: limits.target_bytes,
                count: limits.header_count,
            },
            chunk_limits: ChunkLimits {
                extension: limits.chunk_extension_bytes,
                trailers: limits.trailer_bytes,
            },
            at: At::Head(Head::default()),
            heads: 0,
        }
    }

    /// Complete heads seen.
    pub(crate) fn heads(&self) -> u64 {
        self.heads
    }

    pub(crate) fn in_body(&self) -> bool {
        !matches!(self.at, At::Head(_))
    }

    /// Reads on: `bytes` follows what was passed before.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Step {
        let mut pass = 0;
        while pass < bytes.len() {
            let rest = &bytes[pass..];
            match &mut self.at {
                At::Head(head) => match head.advance(rest, &self.head_limits) {
                    Err(refusal) => return Step::Refuse { pass, refusal },
                    Ok(None) => break,
                    Ok(Some((length, delimited))) => {
                        pass += length;
                        self.heads += 1;
                        self.at = match delimited {
                            Delimited::Length(0) => At::Head(Head::default()),
                            Delimited::Length(length) => At::Length(length),
                            Delimited::Chunked => At::Chunked(Box::new(Chunks::new())),
                        };
                    }
                },
                At::Length(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    pass += here;
                    *left -= here as u64;
                    if *left == 0 {
                        self.at = At::Head(Head::default());
                    }
                }
                At::Chunked(chunks) => match chunks.advance(rest, &self.chunk_limits) {
                    Err((here, refusal)) => return Step::Break { pass: pass + here, refusal },
                    Ok((here, ended)) => {
                        pass += here;
                        if ended {
                            self.at = At::Head(Head::default());
                        }
                    }
                },
            }
        }
        Step::More { pass }
    }
}

#[cfg(test)]
mod tests;
