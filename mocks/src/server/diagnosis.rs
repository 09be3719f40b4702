//! Diagnoses misses on a thread of its own, so that no request waits for an explanation.
use std::{
    io,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

use crate::{
    facts::Incoming,
    journal::{Entry, Nearest, Verdict},
    matching::explain,
    partner::Partner,
};

/// Misses that wait for their diagnosis at most; later ones go without.
const WAITING: usize = 256;

pub struct Miss {
    pub partner: Arc<Partner>,
    /// The listener's number.
    pub number: usize,
    pub incoming: Incoming,
    pub entry: Arc<Entry>,
}

/// The way to the thread, which ends with it.
pub struct Diagnosis(SyncSender<Miss>);

impl Diagnosis {
    pub fn start() -> io::Result<Self> {
        let (sender, receiver) = sync_channel::<Miss>(WAITING);
        thread::Builder::new().name("qiao-mock-why".into()).spawn(move || {
            for miss in receiver {
                let nearest = explain::nearest(&miss.partner, miss.number, &miss.incoming);
                miss.entry.nearest.get_or_init(|| nearest);
            }
        })?;
        Ok(Self(sender))
    }

    /// Hands a miss over; when too many wait, the entry says so.
    pub fn explain(&self, miss: Miss) {
        if let Err(refused) = self.0.try_send(miss) {
            let (std::sync::mpsc::TrySendError::Full(miss)
            | std::sync::mpsc::TrySendError::Disconnected(miss)) = refused;
            let why = Verdict {
                criterion: "diagnosis".into(),
                wanted: "fewer misses at once; use try on this request".into(),
                seen: None,
                ok: false,
            };
            miss.entry.nearest.get_or_init(|| vec![Nearest { stub: String::new(), criteria: vec![why] }]);
        }
    }
}
