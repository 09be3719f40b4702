//! Faults that strike before there is a request: in handshakes, at logins, when files are opened.
use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::sockets::Place;
use crate::{
    entropy::Entropy,
    exchange,
    faults::{self, Fault},
    journal::Entry,
    partner::{Listener, Partner},
    spec::FaultKind,
};

/// The fault of one of these kinds that strikes now; it stands in the journal.
pub fn strike(
    place: &Place,
    partner: &Partner,
    listener: &Listener,
    method: &str,
    wanted: &dyn Fn(FaultKind) -> bool,
) -> Option<Arc<Fault>> {
    let live = partner.runtime.dials.load();
    if live.is_empty() && partner.dials.is_empty() {
        return None;
    }
    let count = partner.runtime.connected.fetch_add(1, Ordering::Relaxed);
    let parts: [&[u8]; 3] = [partner.id.as_bytes(), listener.id.as_bytes(), b"beforehand"];
    let entropy = Entropy::of(partner.seed, &parts, count);
    let dials = live.iter().map(|dial| &**dial).chain(&partner.dials);
    let now = (Instant::now(), place.shared.clock.now_ms());
    let (fault, dial) = faults::beforehand((&listener.id, listener.proto), wanted, dials, &entropy, now)?;
    let told = format!("{} (dial {dial})", fault.kind.name());
    note(place, partner, listener, method, Some(told), None);
    Some(fault)
}

/// An entry of the journal that belongs to no request.
pub fn note(
    place: &Place,
    partner: &Partner,
    listener: &Listener,
    method: &str,
    fault: Option<String>,
    problem: Option<String>,
) {
    let (fault, problem) = (fault.as_deref(), problem.as_deref());
    let told = Entry { method, fault, problem, ..Entry::default() };
    exchange::note(&place.shared, &partner.id, &listener.id, told);
}
