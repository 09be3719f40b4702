//! The runs of plans: where each step stands. Bounded; the oldest finished ones are forgotten.
use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use serde::Serialize;

use super::{Plan, snapshot::Snapshot};
use crate::partner::Partner;

/// Runs remembered at most.
pub const MAX_RUNS: usize = 20_000;

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    Waiting,
    /// Sent after a later one, as a fault or a tester asks.
    Held,
    Sending,
    /// Not acknowledged; to be sent again.
    Repeating,
    Done,
    Skipped,
    Failed,
}

/// A push as it is sent, and sent again.
#[derive(Clone, Debug)]
pub struct Ready {
    /// URL, or routing key.
    pub to: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub plain: Bytes,
}

/// One step of a run.
#[derive(Debug)]
pub struct Progress {
    pub standing: Standing,
    pub timer: Option<u64>,
    pub attempts: u32,
    pub ready: Option<Ready>,
    /// Why it was skipped or failed.
    pub why: Option<Box<str>>,
}

/// One start of a plan.
pub struct Run {
    pub id: u64,
    /// As it was when the run began.
    pub partner: Arc<Partner>,
    pub plan: Arc<Plan>,
    pub snapshot: Snapshot,
    pub steps: Mutex<Vec<Progress>>,
}

impl Run {
    pub fn is_over(&self) -> bool {
        use Standing::{Done, Failed, Skipped};
        self.steps.lock().iter().all(|step| matches!(step.standing, Done | Skipped | Failed))
    }

    /// The place of a step.
    pub fn step(&self, id: &str) -> Option<usize> {
        self.plan.steps.iter().position(|step| *step.id == *id)
    }

    /// The held steps before that place, which go out now.
    pub fn release(&self, before: usize) -> Vec<usize> {
        let mut steps = self.steps.lock();
        let held = steps.iter_mut().enumerate().take(before);
        held.filter(|(_, step)| step.standing == Standing::Held)
            .map(|(place, step)| {
                step.standing = Standing::Sending;
                place
            })
            .collect()
    }

    /// Whether a step after that place is still to come.
    pub fn has_later(&self, place: usize) -> bool {
        self.steps.lock().iter().skip(place + 1).any(|step| step.standing == Standing::Waiting)
    }
}

/// All runs, by number.
#[derive(Default)]
pub struct Runs {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    runs: BTreeMap<u64, Arc<Run>>,
    last: u64,
}

impl Runs {
    /// Begins a run. None where [`MAX_RUNS`] are still going on.
    pub fn begin(&self, partner: Arc<Partner>, plan: Arc<Plan>, snapshot: Snapshot) -> Option<Arc<Run>> {
        let mut known = self.known.lock();
        if known.runs.len() >= MAX_RUNS {
            let over = known.runs.values().find(|run| run.is_over()).map(|run| run.id)?;
            known.runs.remove(&over);
        }
        known.last += 1;
        let steps = plan.steps.iter().map(|_| Progress {
            standing: Standing::Waiting,
            timer: None,
            attempts: 0,
            ready: None,
            why: None,
        });
        let steps = Mutex::new(steps.collect());
        let run = Arc::new(Run { id: known.last, partner, plan, snapshot, steps });
        known.runs.insert(run.id, Arc::clone(&run));
        Some(run)
    }

    pub fn get(&self, id: u64) -> Option<Arc<Run>> {
        self.known.lock().runs.get(&id).cloned()
    }

    /// The newest runs of a partner that fit, newest first.
    pub fn newest(&self, partner: &str, fits: impl Fn(&Run) -> bool, limit: usize) -> Vec<Arc<Run>> {
        let known = self.known.lock();
        let theirs = known.runs.values().rev().filter(|run| *run.partner.id == *partner && fits(run));
        theirs.take(limit).cloned().collect()
    }

    /// Forgets the runs of a partner, of one of its sessions only where one is named.
    pub fn clear(&self, partner: &str, session: Option<&str>) {
        let theirs = |run: &Run| {
            *run.partner.id == *partner && session.is_none_or(|session| *run.snapshot.session == *session)
        };
        self.known.lock().runs.retain(|_, run| !theirs(run));
    }
}
