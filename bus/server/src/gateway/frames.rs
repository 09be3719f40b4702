//! A budget for HTTP/2 frames that carry no request: PING, SETTINGS, resets and the like cost us work and the caller nothing.
//! Reads frame heads only (RFC 9113 §4.1); everything else about HTTP/2 is hyper's.
use std::io;

use tokio::time::Instant;

use super::limits::GatewayLimits;

const FRAME_HEAD: usize = 9;
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;

pub(crate) struct FrameBudget {
    /// Bytes of the payload under way.
    skip: usize,
    head: [u8; FRAME_HEAD],
    have: usize,
    tokens: u32,
    burst: u32,
    per_second: u32,
    refilled: Instant,
}

/// More control frames than any caller needs.
#[derive(Debug, thiserror::Error)]
#[error("too many HTTP/2 control frames")]
pub(crate) struct ControlFlood;

impl FrameBudget {
    pub(crate) fn new(limits: &GatewayLimits) -> Self {
        Self {
            skip: 0,
            head: [0; FRAME_HEAD],
            have: 0,
            tokens: limits.h2_control_burst,
            burst: limits.h2_control_burst,
            per_second: limits.h2_control_per_second,
            refilled: Instant::now(),
        }
    }

    /// Accounts for bytes read; an error ends the connection.
    pub(crate) fn spend(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let here = self.skip.min(bytes.len());
                self.skip -= here;
                bytes = &bytes[here..];
                continue;
            }
            let here = (FRAME_HEAD - self.have).min(bytes.len());
            self.head[self.have..self.have + here].copy_from_slice(&bytes[..here]);
            self.have += here;
            bytes = &bytes[here..];
            if self.have == FRAME_HEAD {
                self.have = 0;
                self.skip = usize::from(self.head[0]) << 16
                    | usize::from(self.head[1]) << 8
                    | usize::from(self.head[2]);
                // hyper bounds HEADERS and CONTINUATION by streams and header size, DATA by windows and its own budget.
                if !matches!(self.head[3], DATA | HEADERS | WINDOW_UPDATE | CONTINUATION) {
                    self.take()?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self) -> io::Result<()> {
        if self.tokens == 0 {
            let elapsed = self.refilled.elapsed().as_secs_f64();
            let earned = (elapsed * f64::from(self.per_second)).min(f64::from(self.burst));
            if earned < 1.0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, ControlFlood));
            }
            self.tokens = earned as u32;
            self.refilled = Instant::now();
        }
        self.tokens -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let mut bytes = vec![0, (payload >> 8) as u8, payload as u8, kind, 0, 0, 0, 0, 0];
        bytes.resize(9 + payload, 0xab);
        bytes
    }

    #[tokio::test(start_paused = true)]
    async fn control_frames_are_counted_across_any_split_and_earned_back_with_time() {
        let limits = GatewayLimits { h2_control_burst: 3, h2_control_per_second: 2, ..Default::default() };
        let mut budget = FrameBudget::new(&limits);
        let mut wire = Vec::new();
        for (kind, payload) in [(6, 8), (0, 300), (1, 40), (9, 40), (8, 4), (6, 8), (4, 0)] {
            wire.extend(frame(kind, payload));
        }
        for byte in &wire {
            budget.spend(std::slice::from_ref(byte)).expect("three control frames fit");
        }
        assert!(budget.spend(&frame(6, 8)).is_err());
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        let mut budget = FrameBudget { tokens: 0, skip: 0, ..budget };
        budget.spend(&[frame(6, 8), frame(6, 8)].concat()).expect("two earned in a second");
        assert!(budget.spend(&frame(6, 8)).is_err());
    }
}
