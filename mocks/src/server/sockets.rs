//! Sockets of the protocols beside HTTP: opened and closed as partners come and go, within a bound of connections each.
use std::{
    collections::HashMap,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use qiao_mappings::strict::Mistake;
use tokio::{runtime::Handle, sync::watch};

use super::{
    Ports, Shared, accept, bind,
    protocols::{self, Protocol},
};
use crate::{catalogue::Catalogue, partner::Partner};

/// Partner and listener.
type Name = (Arc<str>, Arc<str>);

/// Where a connection belongs. Partners are looked up for each message, so that a reload takes effect at once.
#[derive(Clone)]
pub struct Place {
    pub shared: Arc<Shared>,
    pub partner: Arc<str>,
    pub listener: Arc<str>,
    closing: watch::Receiver<bool>,
}

impl Place {
    /// The partner as it is now and the listener's number; none once it is stopped or gone.
    pub fn current(&self) -> Option<(Arc<Partner>, usize)> {
        let partner = self.shared.partner(&self.partner)?;
        let number = partner.listeners.iter().position(|listener| listener.id == self.listener)?;
        partner.runtime.is_running().then_some((partner, number))
    }

    /// Turns true when the socket is closing.
    pub fn ending(&self) -> watch::Receiver<bool> {
        self.closing.clone()
    }

    /// Done when the socket is closing: no new work after what is at hand.
    pub async fn closing(&mut self) {
        // An error means that the socket is gone, which is the same.
        drop(self.closing.wait_for(|closing| *closing).await);
    }
}

/// The open sockets.
pub struct Sockets {
    host: SocketAddr,
    ports: Ports,
    connections: usize,
    handle: Handle,
    open: Mutex<HashMap<Name, Socket>>,
}

struct Socket {
    asked: u16,
    proto: crate::spec::Proto,
    addr: SocketAddr,
    closing: watch::Sender<bool>,
}

/// Sockets bound for a catalogue that is not in force yet.
pub struct Bound(Vec<(Name, &'static Protocol, u16, TcpListener, SocketAddr)>);

impl Sockets {
    pub fn new(host: SocketAddr, ports: Ports, connections: usize, handle: Handle) -> Self {
        Self { host, ports, connections, handle, open: Mutex::default() }
    }

    /// Where a listener of a partner is reached.
    pub fn addr(&self, partner: &str, listener: &str) -> Option<SocketAddr> {
        self.open.lock().get(&(Arc::from(partner), Arc::from(listener))).map(|socket| socket.addr)
    }

    /// Binds what the catalogue has and is not open yet.
    ///
    /// # Errors
    /// Ports that cannot be listened on.
    pub fn prepare(&self, catalogue: &Catalogue) -> Result<Bound, Vec<Mistake>> {
        let (mut bound, mut mistakes) = (Vec::new(), Vec::new());
        let open = self.open.lock();
        for (name, protocol, port) in wanted(catalogue) {
            if open.get(&name).is_some_and(|socket| socket.asked == port && socket.proto == protocol.proto) {
                continue;
            }
            let real = if self.ports == Ports::Free { 0 } else { port };
            match bind(SocketAddr::new(self.host.ip(), real)) {
                Ok((listener, addr)) => bound.push((name, protocol, port, listener, addr)),
                Err(error) => {
                    let message = format!("the listener `{}`: {error}", name.1);
                    mistakes.push(Mistake::of_file(format!("{}/partner.yaml", name.0), message));
                }
            }
        }
        if mistakes.is_empty() { Ok(Bound(bound)) } else { Err(mistakes) }
    }

    /// Serves what was bound and closes what the catalogue has no more.
    pub fn adopt(&self, catalogue: &Catalogue, bound: Bound, shared: &Arc<Shared>) {
        let wanted: HashMap<Name, u16> = wanted(catalogue).map(|(name, _, port)| (name, port)).collect();
        let mut open = self.open.lock();
        for (name, protocol, asked, listener, addr) in bound.0 {
            let (closing, closed) = watch::channel(false);
            let place = Accepting {
                shared: Arc::downgrade(shared),
                name: name.clone(),
                closing: closed,
                connections: self.connections,
                protocol,
            };
            self.handle.spawn(accept(listener, place));
            if let Some(old) = open.insert(name, Socket { asked, proto: protocol.proto, addr, closing }) {
                old.closing.send_replace(true);
            }
        }
        open.retain(|name, socket| {
            let stays = wanted.get(name) == Some(&socket.asked);
            if !stays {
                socket.closing.send_replace(true);
            }
            stays
        });
    }

    /// Accepts no more and asks the connections to end.
    pub fn close(&self) {
        for (_, socket) in self.open.lock().drain() {
            socket.closing.send_replace(true);
        }
    }
}

fn wanted(catalogue: &Catalogue) -> impl Iterator<Item = (Name, &'static Protocol, u16)> {
    catalogue.partners.iter().flat_map(|partner| {
        partner.listeners.iter().filter_map(|listener| {
            let (protocol, port) = protocols::of(listener)?;
            Some(((Arc::clone(&partner.id), Arc::clone(&listener.id)), protocol, port))
        })
    })
}

struct Accepting {
    /// Weak: a socket must not keep the server alive.
    shared: Weak<Shared>,
    name: Name,
    closing: watch::Receiver<bool>,
    connections: usize,
    protocol: &'static Protocol,
}

async fn accept(listener: TcpListener, accepting: Accepting) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, partner = %accepting.name.0, "a mock partner cannot listen");
            return;
        }
    };
    let Accepting { shared, name: (partner, name), closing, connections, protocol } = accepting;
    accept::accept(listener, connections, (closing.clone(), true), |stream, peer| {
        let shared = shared.upgrade()?;
        let alive = shared.alive.subscribe();
        let (partner, listener, closing) = (Arc::clone(&partner), Arc::clone(&name), closing.clone());
        let served = (protocol.serve)(stream, peer, Place { shared, partner, listener, closing });
        Some(async move {
            served.await;
            drop(alive);
        })
    })
    .await;
}
