//! One HTTP/1 connection, driven by whoever uses it: no task of its own, so a call costs no wake-up between tasks.
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::{body::Incoming, client::conn::TrySendError, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::body::OutBody;

/// A socket that remembers whether anything was written: decides whether a failed request can have had an effect.
pub(super) struct Socket {
    stream: Stream,
    wrote: Arc<AtomicBool>,
}

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    #[cfg(test)]
    Memory(tokio::io::DuplexStream),
}

macro_rules! on_stream {
    ($socket:expr, $stream:ident => $call:expr) => {
        match &mut $socket.get_mut().stream {
            Stream::Plain($stream) => $call,
            Stream::Tls($stream) => $call,
            #[cfg(test)]
            Stream::Memory($stream) => $call,
        }
    };
}

impl Socket {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, wrote: Arc::new(AtomicBool::new(false)) }
    }

    fn noted(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(count)) if count > 0) {
            self.wrote.store(true, Relaxed);
        }
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = on_stream!(self.as_mut(), stream => Pin::new(stream).poll_write(cx, bytes));
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = on_stream!(self.as_mut(), stream => Pin::new(stream).poll_write_vectored(cx, slices));
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
            #[cfg(test)]
            Stream::Memory(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

/// An open HTTP/1 connection. Dropping it closes the socket.
pub(super) struct Connection {
    sender: http1::SendRequest<OutBody>,
    /// `None` once it has ended.
    driver: Option<http1::Connection<TokioIo<Socket>, OutBody>>,
    wrote: Arc<AtomicBool>,
}

impl Connection {
    pub(super) async fn open(socket: Socket, header_bytes: usize) -> Result<Self, hyper::Error> {
        let wrote = socket.wrote.clone();
        let (sender, driver) = http1::Builder::new()
            .max_header_size(header_bytes)
            .max_buf_size(header_bytes.max(64 << 10))
            .handshake(TokioIo::new(socket))
            .await?;
        Ok(Self { sender, driver: Some(driver), wrote })
    }

    /// Moves bytes both ways as far as possible without waiting.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver {
            // What went wrong reaches the request or the body; the driver's own word adds nothing.
            if Pin::new(driver).poll(cx).is_ready() {
                self.driver = None;
            }
        }
    }

    /// Whether a kept connection can take a request: it is still open and nothing arrived unasked.
    pub(super) fn poll_usable(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        self.is_ready()
    }

    /// Whether the last exchange is over on both sides.
    pub(super) fn is_ready(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Whether any byte of the last request was handed to the socket.
    pub(super) fn wrote(&self) -> bool {
        self.wrote.load(Relaxed)
    }

    /// Sends a request and waits for the answer's head. The error holds the request if it was surely not sent.
    pub(super) async fn send(
        &mut self,
        request: Request<OutBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<OutBody>>> {
        self.wrote.store(false, Relaxed);
        let mut answer = std::pin::pin!(self.sender.try_send_request(request));
        std::future::poll_fn(|cx| {
            self.drive(cx);
            answer.as_mut().poll(cx)
        })
        .await
    }

    /// The next part of the answer's body, driving the connection where it is not there yet.
    pub(super) fn poll_frame(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        // The empty-handed poll above told the driver that there is room again.
        self.drive(cx);
        Pin::new(incoming).poll_frame(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn pair() -> (Connection, tokio::io::DuplexStream) {
        let (near, far) = tokio::io::duplex(4096);
        let connection = Connection::open(Socket::new(Stream::Memory(near)), 8192).await.expect("opens");
        (connection, far)
    }

    fn request() -> Request<OutBody> {
        Request::post("/")
            .header("host", "partner")
            .body(OutBody::Whole(Bytes::from_static(b"{}")))
            .expect("valid")
    }

    async fn usable(connection: &mut Connection) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(connection.poll_usable(cx))).await
    }

    #[tokio::test]
    async fn a_request_on_a_connection_that_just_closed_is_given_back_unsent() {
        let (mut connection, far) = pair().await;
        assert!(usable(&mut connection).await);
        drop(far);
        let mut error = connection.send(request()).await.expect_err("closed");
        assert!(error.take_message().is_some());
        assert!(!connection.wrote());
    }

    #[tokio::test]
    async fn a_request_that_was_written_is_never_given_back() {
        let (mut connection, mut far) = pair().await;
        assert!(usable(&mut connection).await);
        let partner = async move {
            let mut buffer = [0; 16];
            far.read_exact(&mut buffer).await.expect("request");
        };
        let (sent, ()) = tokio::join!(connection.send(request()), partner);
        let mut error = sent.expect_err("closed");
        assert!(error.take_message().is_none());
        assert!(connection.wrote());
    }

    #[tokio::test]
    async fn an_idle_connection_that_closed_or_spoke_unasked_is_not_used_again() {
        let (mut connection, far) = pair().await;
        drop(far);
        assert!(!usable(&mut connection).await);

        let (mut connection, mut far) = pair().await;
        far.write_all(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n").await.expect("written");
        assert!(!usable(&mut connection).await);
    }
}
