//! Diagnoses misses on a thread of its own, so that no request waits for an explanation.
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

use crate::{
    facts::Incoming,
    journal::{Journal, Nearest, Verdict},
    matching::explain,
    overlay::Overlay,
    partner::Partner,
};

/// Misses that wait for their diagnosis at most; later ones go without.
const WAITING: usize = 256;
/// Bytes of the bodies that wait at most, the one that comes last excepted.
const WAITING_BYTES: usize = 16 << 20;

pub struct Miss {
    pub partner: Arc<Partner>,
    /// What the request's session lays over the partner.
    pub overlay: Option<Arc<Overlay>>,
    /// The listener's number.
    pub number: usize,
    pub incoming: Incoming,
    /// The id of its entry.
    pub entry: u64,
}

/// The way to the thread, which ends with it.
pub struct Diagnosis {
    misses: SyncSender<Miss>,
    journal: Arc<Journal>,
    bytes: Arc<AtomicUsize>,
}

impl Diagnosis {
    pub fn start(journal: Arc<Journal>) -> io::Result<Self> {
        let (misses, receiver) = sync_channel::<Miss>(WAITING);
        let bytes = Arc::new(AtomicUsize::new(0));
        let waiting = Arc::clone(&bytes);
        let ours = Arc::clone(&journal);
        thread::Builder::new().name("qiao-mock-why".into()).spawn(move || {
            for miss in receiver {
                let nearest =
                    explain::nearest(&miss.partner, miss.overlay.as_deref(), miss.number, &miss.incoming);
                journal.explain(miss.entry, nearest);
                waiting.fetch_sub(miss.incoming.body.len(), Ordering::Relaxed);
            }
        })?;
        Ok(Self { misses, journal: ours, bytes })
    }

    /// Hands a miss over; when too many wait, the entry says so.
    pub fn explain(&self, miss: Miss) {
        let (entry, size) = (miss.entry, miss.incoming.body.len());
        let room = self.bytes.fetch_add(size, Ordering::Relaxed) < WAITING_BYTES;
        if room && self.misses.try_send(miss).is_ok() {
            return;
        }
        self.bytes.fetch_sub(size, Ordering::Relaxed);
        let why = Verdict {
            criterion: "diagnosis".into(),
            wanted: "fewer misses at once; use try on this request".into(),
            seen: None,
            ok: false,
        };
        self.journal.explain(entry, vec![Nearest { stub: String::new(), criteria: vec![why] }]);
    }
}
