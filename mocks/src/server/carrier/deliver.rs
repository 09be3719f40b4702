//! Reports and uplink messages over one connection: in order, within the window, again where no answer comes.
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use qiao_wire::sms::{Encoding, split_header};
use serde_json::{Value, json};
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::timeout,
};

use super::{
    Outbound, Part, Sequence,
    hub::{AccountState, Cargo, Counts, Parcel},
    link::{How, Link},
    local,
    settings::Account,
    site::{Here, Site},
    stamp, trouble,
};
use crate::{faults::Fault, spec::FaultKind};

/// Connections on which a parcel is tried.
const ROUNDS: u32 = 3;

/// Delivers what waits for the account until the connection ends, or nothing has waited for `idle`.
pub async fn pump(site: Site, link: Arc<Link>, account: Arc<Account>, idle: Option<Duration>) {
    let state = site.account(&account.id);
    loop {
        let mut arrived = std::pin::pin!(state.arrived.notified());
        // From here on nothing that arrives is missed.
        arrived.as_mut().enable();
        let Some(parcel) = state.take() else {
            let tired = async {
                match idle {
                    Some(idle) => tokio::time::sleep(idle).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = arrived => continue,
                () = link.closed() => return,
                () = tired => return,
            }
        };
        let room = tokio::select! {
            room = Arc::clone(&link.room).acquire_owned() => room.ok(),
            () = link.closed() => None,
        };
        let (Some(room), Some(here)) = (room, site.current()) else {
            state.put_back(parcel);
            link.close();
            return;
        };
        deliver(&site, &here, (&link, &account, &state), parcel, room).await;
    }
}

async fn deliver(
    site: &Site,
    here: &Here,
    (link, account, state): (&Arc<Link>, &Arc<Account>, &Arc<AccountState>),
    mut parcel: Parcel,
    room: OwnedSemaphorePermit,
) {
    let exchange =
        site.ask(here, ("DELIVER", "/deliver"), &account.session, &describe(&parcel.cargo, account));
    let fault = exchange.fault.as_deref();
    tokio::time::sleep(exchange.delay).await;
    if fault.is_some_and(|fault| fault.kind == FaultKind::OutOfOrder)
        && let Some(next) = state.take()
    {
        state.put_back(std::mem::replace(&mut parcel, next));
    }
    let sequence = || {
        let counter = link.counter.fetch_add(1, Ordering::Relaxed) + 1;
        let at = stamp(local(site.shared.clock.now_ms()));
        here.settings.dialect.sequence(here.settings.gateway, at, counter)
    };
    let first = sequence();
    let Some((frame, how)) = frame(link, first, &parcel.cargo, fault) else {
        // The fault is that it never comes, or it has no room in its layout.
        Counts::add(&state.counts.lost);
        return;
    };
    let answer = link.expect(first);
    if !link.send(frame, how).await {
        link.forget(first);
        state.put_back(parcel);
        return;
    }
    if fault.is_some_and(|fault| fault.kind == FaultKind::Duplicate) {
        let again = sequence();
        if let Some((frame, how)) = self::frame(link, again, &parcel.cargo, None) {
            // Its answer is dropped when it comes.
            drop(link.expect(again));
            link.send(frame, how).await;
        }
    }
    if let Some(told) = parcel.written.take()
        && told.send(()).is_err()
    {
        tracing::trace!("whoever waited for the report has given up");
    }
    let again = self::frame(link, first, &parcel.cargo, None);
    let waiting = Waiting {
        link: Arc::clone(link),
        state: Arc::clone(state),
        parcel,
        sequence: first,
        frame: again.map(|(frame, _)| frame).unwrap_or_default(),
        patience: here.settings.answer,
        tries: here.settings.tries,
    };
    tokio::spawn(async move {
        waiting.acknowledge(answer).await;
        drop(room);
    });
}

/// A delivery that waits for its answer.
struct Waiting {
    link: Arc<Link>,
    state: Arc<AccountState>,
    parcel: Parcel,
    sequence: Sequence,
    /// Sent again without the fault.
    frame: Vec<u8>,
    /// T.
    patience: Duration,
    /// N.
    tries: u32,
}

impl Waiting {
    async fn acknowledge(self, mut answer: oneshot::Receiver<u32>) {
        let counts = &self.state.counts;
        for turn in 1..=self.tries {
            let answered = tokio::select! {
                answered = timeout(self.patience, &mut answer) => answered,
                () = self.link.closed() => break,
            };
            match answered {
                Ok(Ok(0)) => return Counts::add(&counts.delivered),
                Ok(Ok(_)) => return Counts::add(&counts.rejected),
                Ok(Err(_)) => break,
                Err(_) if turn < self.tries => {
                    if !self.link.send(self.frame.clone(), How::Whole).await {
                        break;
                    }
                }
                Err(_) => {}
            }
        }
        self.link.forget(self.sequence);
        // A peer that does not answer after N tries is gone; what it missed waits for its next connection.
        self.link.close();
        let mut parcel = self.parcel;
        parcel.rounds += 1;
        if parcel.rounds < ROUNDS {
            self.state.put_back(parcel);
        } else {
            Counts::add(&counts.lost);
        }
    }
}

/// The frame of a delivery as its fault leaves it; none where it is not sent.
fn frame(link: &Link, sequence: Sequence, cargo: &Cargo, fault: Option<&Fault>) -> Option<(Vec<u8>, How)> {
    let mislabelled;
    let message = match cargo {
        Cargo::Report(report) => Outbound::Report(report),
        Cargo::Uplink(part) if fault.is_some_and(|fault| fault.kind == FaultKind::WrongCharset) => {
            mislabelled = in_gbk(part);
            Outbound::Uplink(&mislabelled)
        }
        Cargo::Uplink(part) => Outbound::Uplink(part),
    };
    match link.frame(sequence, &message) {
        Ok(mut frame) => trouble::strike(fault, &mut frame).map(|how| (frame, how)),
        Err(error) => {
            tracing::warn!(%error, "a delivery has no room in its layout and is lost");
            None
        }
    }
}

/// The part with its text in GBK under the label of what it was.
fn in_gbk(part: &Part) -> Part {
    let payload = if part.has_header {
        split_header(&part.content).map_or(&part.content[..], |(_, payload)| payload)
    } else {
        &part.content
    };
    let header = &part.content[..part.content.len() - payload.len()];
    let text =
        Encoding::of(part.format).and_then(|encoding| encoding.decode(payload).ok()).unwrap_or_default();
    let (gbk, ..) = encoding_rs::GBK.encode(&text);
    Part { content: [header, &gbk].concat(), ..part.clone() }
}

fn describe(cargo: &Cargo, account: &Account) -> Value {
    match cargo {
        Cargo::Report(report) => json!({
            "kind": "report", "account": &*account.id, "id": report.id.to_string(), "source": report.source,
            "destination": report.destination, "stat": report.stat, "error": report.error,
        }),
        Cargo::Uplink(part) => json!({
            "kind": "uplink", "account": &*account.id, "id": part.id.to_string(), "from": part.from, "to": part.to,
            "text": part.text, "part": {"number": part.number, "total": part.total},
        }),
    }
}
