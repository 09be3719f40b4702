//! Messages off the stream, within their bounds and deadlines.
use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use qiao_wire::frame::{FrameDecoder, Framing};
use tokio::{
    io::AsyncReadExt,
    time::{Instant, timeout, timeout_at},
};

use super::Wire;
use crate::tcp::{Cut, TcpForm};

/// Room made for one read.
const READ: usize = 8 << 10;

/// Why there is no further message.
pub enum Stopped {
    /// The peer is gone, or was idle for too long.
    Ended,
    /// The bytes do not follow the framing.
    Broken(String),
}

impl From<io::Error> for Stopped {
    fn from(_: io::Error) -> Self {
        Self::Ended
    }
}

/// The reading side. What it holds survives a read that is given up.
#[derive(Default)]
pub struct Reader {
    buffer: BytesMut,
    /// When the idle deadline of the message under way passes.
    deadline: Option<Instant>,
}

impl Reader {
    /// The next message within the listener's idle deadline.
    ///
    /// # Errors
    /// The end of the stream, the deadline, bytes that do not follow the framing.
    pub async fn next(&mut self, wire: &mut Wire, form: &TcpForm) -> Result<Bytes, Stopped> {
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + form.idle);
        let read = async {
            match &form.cut {
                Cut::Frames(framing) => self.frame(wire, framing).await,
                Cut::Gap(gap, most) => self.until_gap(wire, *gap, *most).await,
            }
        };
        let message = timeout_at(deadline, read).await.map_err(|_| Stopped::Ended)??;
        self.deadline = None;
        Ok(message)
    }

    async fn frame(&mut self, wire: &mut Wire, framing: &Framing) -> Result<Bytes, Stopped> {
        let broken = |error: qiao_wire::frame::FrameError| Stopped::Broken(error.to_string());
        let mut decoder = FrameDecoder::new(framing.clone());
        loop {
            if let Some(message) = decoder.decode(&mut self.buffer).map_err(broken)? {
                return Ok(message);
            }
            if self.more(wire).await? == 0 {
                decoder.finish(&self.buffer).map_err(broken)?;
                return Err(Stopped::Ended);
            }
        }
    }

    async fn until_gap(&mut self, wire: &mut Wire, gap: Duration, most: usize) -> Result<Bytes, Stopped> {
        loop {
            if self.buffer.len() > most {
                return Err(Stopped::Broken(format!("no gap within {most} bytes")));
            }
            let read = if self.buffer.is_empty() {
                Some(self.more(wire).await)
            } else {
                timeout(gap, self.more(wire)).await.ok()
            };
            match read {
                Some(Ok(0)) if self.buffer.is_empty() => return Err(Stopped::Ended),
                Some(Ok(0)) | None => return Ok(self.buffer.split().freeze()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }

    async fn more(&mut self, wire: &mut Wire) -> io::Result<usize> {
        self.buffer.reserve(READ);
        wire.read_buf(&mut self.buffer).await
    }

    /// Done when the peer has closed the connection; takes in what it sends meanwhile, up to a bound.
    pub async fn gone(&mut self, wire: &mut Wire, most: usize) {
        while self.buffer.len() <= most {
            match self.more(wire).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
        std::future::pending().await
    }

    /// What came and is no message yet.
    pub fn held(&self) -> &[u8] {
        &self.buffer
    }
}
