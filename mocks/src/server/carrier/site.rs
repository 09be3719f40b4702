//! A gateway's place among the mock partners: how its parts find the partner as it is now, ask its stubs, and deliver later.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, Method};
use serde_json::Value;

use super::{
    callback,
    hub::{AccountState, Cargo, Counts, Parcel},
    settings::{Account, Settings},
    trouble,
};
use crate::{
    exchange::{Exchange, exchange, note},
    facts::Incoming,
    journal::Entry,
    partner::Partner,
    server::{Shared, sockets::Place},
};

/// A listener of a partner, found again at each use so that a reload takes effect at once.
#[derive(Clone)]
pub struct Site {
    pub shared: Arc<Shared>,
    pub partner: Arc<str>,
    pub listener: Arc<str>,
}

/// Turns true when a message has been answered: its report must not overtake the answer.
pub type Gate = tokio::sync::watch::Receiver<bool>;

/// The listener as it is now.
pub struct Here {
    pub partner: Arc<Partner>,
    pub number: usize,
    pub settings: Arc<Settings>,
}

impl From<&Place> for Site {
    fn from(place: &Place) -> Self {
        let (partner, listener) = (Arc::clone(&place.partner), Arc::clone(&place.listener));
        Self { shared: Arc::clone(&place.shared), partner, listener }
    }
}

impl Site {
    /// None once the partner is stopped or gone.
    pub fn current(&self) -> Option<Here> {
        let partner = self.shared.partner(&self.partner)?;
        let number = partner.listeners.iter().position(|listener| listener.id == self.listener)?;
        let settings = Arc::clone(partner.listeners[number].carrier.as_ref()?);
        partner.runtime.is_running().then_some(Here { partner, number, settings })
    }

    pub fn account(&self, account: &Arc<str>) -> Arc<AccountState> {
        self.shared.carriers.account(&self.partner, &self.listener, account)
    }

    /// Asks the stubs and dials about something that came, or is about to be sent.
    pub fn ask(
        &self,
        here: &Here,
        (method, path): (&str, &str),
        session: &str,
        document: &Value,
    ) -> Exchange {
        let incoming = Incoming {
            method: Method::from_bytes(method.as_bytes()).unwrap_or(Method::POST),
            path: path.to_owned(),
            query: None,
            headers: HeaderMap::new(),
            body: document.to_string().into(),
            session: session.into(),
        };
        let codes = here.settings.dialect.codes();
        let twist = |fault: &crate::faults::Fault, answer: &mut crate::answer::Rendered| {
            trouble::twist(fault, answer, codes);
        };
        exchange(&self.shared, Arc::clone(&here.partner), here.number, incoming, Instant::now(), twist)
    }

    /// Journals bytes that are no message, so that a tester sees why the connection ended.
    pub fn note(&self, session: &str, problem: &str) {
        let told = Entry { session, method: "FRAME", problem: Some(problem), ..Entry::default() };
        note(&self.shared, &self.partner, &self.listener, told);
    }

    /// A new id's time in seconds and number.
    pub fn number(&self, here: &Here) -> (i64, u32) {
        let now_s = self.shared.clock.now_ms().div_euclid(1000);
        let place = (&self.partner, &self.listener);
        self.shared.carriers.number(place, here.partner.seed, now_s, here.settings.dialect.id_space())
    }

    /// Hands something to the account's connections; kept while there is none.
    pub fn deliver(&self, account: &Arc<Account>, parcel: Parcel) {
        let state = self.account(&account.id);
        let here = self.current();
        let kept = here.as_ref().map_or(1, |here| here.settings.kept);
        state.push(parcel, kept);
        if here.is_some_and(|here| here.settings.dialect.calls_back()) {
            callback::ensure(self, account, &state);
        }
    }

    /// Delivers when the mock partners' clock shows `after` more than now, and `gate` is open.
    pub fn deliver_later(&self, account: &Arc<Account>, cargo: Cargo, after: Duration, gate: Option<Gate>) {
        if after.is_zero() {
            self.deliver(account, Parcel::new(cargo));
            return;
        }
        let (what, key) = match &cargo {
            Cargo::Report(report) => (format!("report {}", report.stat), report.destination.clone()),
            Cargo::Uplink(part) => (format!("uplink {}/{}", part.number, part.total), part.from.clone()),
        };
        let (site, receiver) = (self.clone(), Arc::clone(account));
        let task = Box::new(move || {
            let fire = async move {
                if let Some(mut gate) = gate {
                    // An error means that who held it is gone, which opens it too.
                    drop(gate.wait_for(|open| *open).await);
                }
                let mut cargo = cargo;
                if let Cargo::Report(report) = &mut cargo {
                    report.done_ms = site.shared.clock.now_ms();
                }
                site.deliver(&receiver, Parcel::new(cargo));
            };
            Box::pin(fire) as futures_util::future::BoxFuture<'static, ()>
        });
        let whose = (&self.partner, &*account.session);
        if let Err(full) = self.shared.timers.schedule(after, whose, (&what, &key), task) {
            tracing::warn!(partner = %self.partner, %full, "a report is lost");
            Counts::add(&self.account(&account.id).counts.lost);
        }
    }
}
