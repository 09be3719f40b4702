//! Sends a push as one frame over a TCP connection of its own and reads one frame back.
use bytes::{Bytes, BytesMut};
use qiao_wire::frame::{FrameDecoder, Framing};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Sends a message and gives the one that comes back.
///
/// # Errors
/// Why none came back.
pub async fn exchange(address: &str, framing: &Framing, message: &[u8]) -> Result<Bytes, String> {
    let frame = framing.encode(message).map_err(|error| format!("it does not fit its frame: {error}"))?;
    let mut stream = TcpStream::connect(address).await.map_err(|error| format!("not delivered: {error}"))?;
    stream.write_all(&frame).await.map_err(|error| format!("not delivered: {error}"))?;
    let mut decoder = FrameDecoder::new(framing.clone());
    let mut buffer = BytesMut::new();
    loop {
        if let Some(answer) = decoder.decode(&mut buffer).map_err(|error| format!("the answer: {error}"))? {
            return Ok(answer);
        }
        let read = stream.read_buf(&mut buffer).await;
        if read.map_err(|error| format!("the answer broke off: {error}"))? == 0 {
            return Err("the connection was closed without an answer".into());
        }
    }
}
