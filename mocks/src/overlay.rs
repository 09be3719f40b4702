//! What a session lays over one partner: stubs tried before the partner's own, and dials turned before the partner's.
use std::{sync::Arc, time::Instant};

use arc_swap::ArcSwap;

use crate::{
    faults::LiveDial,
    matching::{Index, Sources},
    partner::{Partner, Stub},
};

/// One session's stubs and dials over one partner.
#[derive(Default)]
pub struct Overlay {
    /// In the order in which they are tried.
    pub stubs: Vec<Stub>,
    pub sources: Sources,
    /// By the listener's number.
    pub indexes: Vec<Index>,
    /// Those of its declaration, behind those of the admin API.
    pub declared: Vec<Arc<LiveDial>>,
    /// Newest first.
    pub dials: Dials,
    pub uses_tables: bool,
}

impl Overlay {
    /// All dials in the order in which they apply.
    pub fn all_dials(&self) -> Vec<Arc<LiveDial>> {
        self.dials.load().iter().chain(&self.declared).cloned().collect()
    }

    /// Starts every fault's count anew and turns off the dials that were turned on by hand.
    pub fn reset(&self) {
        self.dials.store(Arc::default());
        let of_dials = self.declared.iter().filter_map(|dial| dial.fault.as_ref());
        self.stubs
            .iter()
            .filter_map(|stub| stub.fault.as_ref())
            .chain(of_dials)
            .for_each(|fault| fault.reset());
    }
}

/// Stubs that are tried together, in their order.
#[derive(Clone, Copy)]
pub struct Tried<'p> {
    pub stubs: &'p [Stub],
    pub sources: &'p Sources,
    pub index: &'p Index,
}

/// The stubs of a listener: a session's own first, then the partner's.
pub fn tried<'p>(
    partner: &'p Partner,
    overlay: Option<&'p Overlay>,
    number: usize,
) -> impl Iterator<Item = Tried<'p>> {
    let own = overlay.filter(|overlay| !overlay.stubs.is_empty()).and_then(|overlay| {
        let index = overlay.indexes.get(number)?;
        Some(Tried { stubs: &overlay.stubs, sources: &overlay.sources, index })
    });
    let partners =
        Tried { stubs: &partner.stubs, sources: &partner.sources, index: &partner.listeners[number].index };
    own.into_iter().chain([partners])
}

/// Dials turned by hand, newest first.
pub type Dials = ArcSwap<Vec<Arc<LiveDial>>>;

/// Puts a dial before the others, in place of the one with its id; ended ones go.
///
/// # Errors
/// More than 100 dials.
pub fn put_dial(dials: &Dials, dial: LiveDial, now: Instant) -> Result<(), String> {
    let dial = Arc::new(dial);
    let mut full = false;
    dials.rcu(|dials| {
        let lives = |other: &&Arc<LiveDial>| {
            other.spec.id != dial.spec.id && other.ends.is_none_or(|ends| now < ends)
        };
        let mut next = vec![Arc::clone(&dial)];
        next.extend(dials.iter().filter(lives).cloned());
        full = next.len() > 100;
        if full { (**dials).clone() } else { next }
    });
    if full { Err("a partner has at most 100 dials".into()) } else { Ok(()) }
}

/// Takes a dial away; whether it was there.
pub fn remove_dial(dials: &Dials, id: &str) -> bool {
    let mut found = false;
    dials.rcu(|dials| {
        found = dials.iter().any(|dial| dial.spec.id == id);
        dials.iter().filter(|dial| dial.spec.id != id).cloned().collect::<Vec<_>>()
    });
    found
}
