//! Answers onto the stream, whole or as a fault asks.
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use qiao_wire::frame::FrameError;
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, sleep, timeout},
};

use super::{Reader, Wire};
use crate::{
    faults::Fault,
    server::sockets::Place,
    spec::FaultKind,
    tcp::{TcpForm, pieces},
};

/// A peer that takes nothing for this long is given up.
const STALL: Duration = Duration::from_secs(60);
/// Between the pieces of a split frame, so that they travel as segments of their own.
const PAUSE: Duration = Duration::from_millis(10);
/// Pieces of a dripped frame at most.
const DRIPS: usize = 50;
/// Bytes taken in from a peer that is not being answered.
const UNANSWERED: usize = 64 << 10;

/// What becomes of the connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Then {
    GoOn,
    Close,
    Reset,
}

/// Why an answer could not be sent.
pub enum Unsent {
    /// The peer is gone or takes nothing.
    Gone,
    Unwritable(FrameError),
}

impl From<FrameError> for Unsent {
    fn from(error: FrameError) -> Self {
        Self::Unwritable(error)
    }
}

/// The writing side.
#[derive(Default)]
pub struct Sender {
    /// Frames that wait for the next one, and until when.
    glued: BytesMut,
    until: Option<Instant>,
}

impl Sender {
    /// Sends a message as the fault asks.
    ///
    /// # Errors
    /// A peer that is gone, a message that the framing cannot carry.
    pub async fn send(
        &mut self,
        wire: &mut Wire,
        form: &TcpForm,
        message: &Bytes,
        fault: Option<&Fault>,
    ) -> Result<Then, Unsent> {
        let Some(fault) = fault else { return self.whole(wire, &form.encode(message)?).await };
        match fault.kind {
            FaultKind::Maintenance if fault.business.is_none() => Ok(Then::Close),
            FaultKind::Cut => {
                let frame = form.encode(message)?;
                let sent = frame.len() - message.len().div_ceil(2);
                self.whole(wire, &frame[..sent]).await?;
                Ok(Then::Close)
            }
            FaultKind::Drip => {
                let frame = form.encode(message)?;
                let piece = frame.len().div_ceil(DRIPS).max(1);
                let drips = (0..frame.len()).step_by(piece);
                let drips: Vec<Bytes> =
                    drips.map(|at| frame.slice(at..frame.len().min(at + piece))).collect();
                let pause = fault.after / u32::try_from(drips.len()).unwrap_or(1).max(1);
                self.in_pieces(wire, drips, pause).await
            }
            FaultKind::SplitFrames => self.in_pieces(wire, pieces(&form.encode(message)?), PAUSE).await,
            FaultKind::GluedFrames => {
                self.glued.extend_from_slice(&form.encode(message)?);
                if self.until.is_some() {
                    return self.release(wire).await;
                }
                self.until = Some(Instant::now() + fault.after);
                Ok(Then::GoOn)
            }
            FaultKind::WrongLength => self.whole(wire, &form.misstate(message, fault.length)?).await,
            _ => self.whole(wire, &form.encode(message)?).await,
        }
    }

    /// Sends nothing for as long as the fault says, or until the peer has gone.
    pub async fn silence(&self, wire: &mut Wire, reader: &mut Reader, fault: &Fault, place: &mut Place) {
        tokio::select! {
            () = sleep(fault.after) => {}
            () = reader.gone(wire, UNANSWERED) => {}
            () = place.closing() => {}
        }
    }

    /// When frames that wait must leave.
    pub fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// A peer that is gone.
    pub async fn release(&mut self, wire: &mut Wire) -> Result<Then, Unsent> {
        self.whole(wire, &[]).await
    }

    /// Sends what waits and closes the connection.
    pub async fn close(&mut self, wire: &mut Wire) {
        if self.release(wire).await.is_ok()
            && let Ok(Err(error)) = timeout(STALL, wire.shutdown()).await
        {
            tracing::trace!(%error, "a connection to a mock partner ended");
        }
    }

    /// Sends what waits and a frame in one piece.
    async fn whole(&mut self, wire: &mut Wire, frame: &[u8]) -> Result<Then, Unsent> {
        self.until = None;
        if self.glued.is_empty() {
            write(wire, frame).await?;
        } else {
            self.glued.extend_from_slice(frame);
            write(wire, &self.glued.split()).await?;
        }
        Ok(Then::GoOn)
    }

    async fn in_pieces(
        &mut self,
        wire: &mut Wire,
        pieces: Vec<Bytes>,
        pause: Duration,
    ) -> Result<Then, Unsent> {
        self.release(wire).await?;
        for piece in pieces {
            write(wire, &piece).await?;
            sleep(pause).await;
        }
        Ok(Then::GoOn)
    }
}

async fn write(wire: &mut Wire, bytes: &[u8]) -> Result<(), Unsent> {
    let written = async {
        wire.write_all(bytes).await?;
        wire.flush().await
    };
    match timeout(STALL, written).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Unsent::Gone),
    }
}
