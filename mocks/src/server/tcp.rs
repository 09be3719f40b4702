//! Framed messages over TCP: each is a request with the method `TCP` and the path `/`, its answer is framed back.
mod read;
mod send;

use std::{net::SocketAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use tokio::net::TcpStream;

use super::{sockets::Place, tls, wire::Wire};
use crate::{
    answer::Rendered,
    exchange::{exchange, note},
    facts::Incoming,
    faults::{Fault, alter},
    journal::{Body, Entry},
    partner::Partner,
    spec::FaultKind,
    tcp::TcpForm,
};
use read::{Reader, Stopped};
use send::{Sender, Then};

/// Serves one connection.
pub fn serve(stream: TcpStream, _: SocketAddr, place: Place) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let Some(wire) = tls::accept(stream, &place).await else { return };
        let mut connection = Connection { reader: Reader::default(), sender: Sender::default(), wire, place };
        connection.serve().await;
    })
}

struct Connection {
    reader: Reader,
    sender: Sender,
    wire: Wire,
    place: Place,
}

impl Connection {
    async fn serve(&mut self) {
        loop {
            let Some((partner, number)) = self.place.current() else { return self.wire.reset() };
            let Some(form) = partner.listeners[number].tcp.clone() else { return self.wire.reset() };
            let message = match self.next(&form).await {
                Ok(message) => message,
                Err(Stopped::Ended) => return,
                Err(Stopped::Broken(problem)) => return self.refused(&partner, number, &problem),
            };
            // What is in force may have changed while nothing came.
            let Some((partner, number)) = self.place.current() else { return self.wire.reset() };
            let Some(form) = partner.listeners[number].tcp.clone() else { return self.wire.reset() };
            match self.answer(partner, number, &form, message).await {
                Then::GoOn if !form.one_shot => {}
                Then::GoOn | Then::Close => return self.sender.close(&mut self.wire).await,
                Then::Reset => return self.wire.reset(),
            }
        }
    }

    /// The next message. Answers that wait to be glued leave alone where none comes in time.
    async fn next(&mut self, form: &TcpForm) -> Result<Bytes, Stopped> {
        loop {
            let deadline = self.sender.deadline();
            let next = self.reader.next(&mut self.wire, form);
            tokio::select! {
                biased;
                message = next => return message,
                () = until(deadline) => {
                    if self.sender.release(&mut self.wire).await.is_err() {
                        return Err(Stopped::Ended);
                    }
                }
                () = self.place.closing() => return Err(Stopped::Ended),
            }
        }
    }

    async fn answer(&mut self, partner: Arc<Partner>, number: usize, form: &TcpForm, message: Bytes) -> Then {
        let started = Instant::now();
        let incoming = incoming(message);
        let listener = Arc::clone(&partner.listeners[number].id);
        let name = Arc::clone(&partner.id);
        let exchange = exchange(&self.place.shared, partner, number, incoming, started, twist);
        if !exchange.delay.is_zero() {
            tokio::time::sleep(exchange.delay).await;
        }
        let fault = exchange.fault.as_deref();
        if let Some(fault) =
            fault.filter(|fault| matches!(fault.kind, FaultKind::NoAnswer | FaultKind::Reset))
        {
            self.sender.silence(&mut self.wire, &mut self.reader, fault, &mut self.place).await;
            return Then::Reset;
        }
        match self.sender.send(&mut self.wire, form, &exchange.answer.body, fault).await {
            Ok(then) => then,
            Err(send::Unsent::Gone) => Then::Close,
            Err(send::Unsent::Unwritable(error)) => {
                tracing::warn!(partner = %name, %listener, %error, "an answer does not fit the framing; the connection is reset");
                Then::Reset
            }
        }
    }

    /// A stream that does not follow its framing stands in the journal.
    fn refused(&mut self, partner: &Partner, number: usize, problem: &str) {
        let shared = &self.place.shared;
        let problem = format!("unframed: {problem}");
        let request = Body::cut(self.reader.held());
        let told = Entry { method: "TCP", request, problem: Some(&problem), ..Entry::default() };
        note(shared, &partner.id, &partner.listeners[number].id, told);
        self.wire.reset();
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn incoming(body: Bytes) -> Incoming {
    Incoming {
        method: Method::from_bytes(b"TCP").expect("letters are a method"),
        path: "/".into(),
        query: None,
        headers: HeaderMap::new(),
        body,
        session: "".into(),
    }
}

/// What a fault does to the answer before it is framed.
pub fn twist(fault: &Fault, answer: &mut Rendered) {
    if fault.business.is_some() {
        return;
    }
    match fault.kind {
        FaultKind::BadBody => answer.body = answer.body.slice(..answer.body.len() / 2),
        FaultKind::WrongCharset => answer.body = alter::other_charset(&answer.body).into(),
        FaultKind::Html => {
            let html = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>";
            answer.body = Bytes::from_static(html.as_bytes());
        }
        _ => {}
    }
}
