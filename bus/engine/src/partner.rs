//! What the bus knows about a partner between calls: its breaker, its bulkhead, its last good answers. Outlives plans where the limits stay the same.
pub mod breaker;
pub mod bulkhead;
pub mod last_good;
pub mod retry;

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::definitions::{
    partner::{Breaker as BreakerDefinition, Limits},
    system::SystemDefinition,
};
pub use breaker::BreakerState;

use breaker::Breaker;
use bulkhead::Bulkhead;
use last_good::LastGoodAnswers;

/// Governance of one system, shared by every call that asks it.
pub struct PartnerState {
    pub breaker: Breaker,
    pub bulkhead: Bulkhead,
    /// Last good answers by the identity of the step that keeps them.
    kept: Arc<Mutex<HashMap<u64, Arc<LastGoodAnswers>>>>,
}

/// A system's state for metrics and health pages.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PartnerStatus {
    pub system: Arc<str>,
    pub breaker: BreakerState,
    /// Attempts under way.
    pub concurrent: u32,
    /// Calls waiting for a place.
    pub waiting: u32,
}

impl PartnerState {
    pub fn new(breaker: Option<&BreakerDefinition>, limits: Option<&Limits>) -> Self {
        Self { breaker: Breaker::new(breaker), bulkhead: Bulkhead::new(limits), kept: Arc::default() }
    }

    /// The state under the next plan: the very same where neither limits, breaker nor endpoints changed; otherwise a
    /// fresh one that still knows the last good answers.
    pub fn under(self: &Arc<Self>, before: &SystemDefinition, after: &SystemDefinition) -> Arc<Self> {
        let unchanged = same(&before.breaker, &after.breaker)
            && same(&before.limits, &after.limits)
            && same(&before.endpoints, &after.endpoints);
        if unchanged {
            return self.clone();
        }
        let fresh = Self::new(after.breaker.as_ref(), after.limits.as_ref());
        Arc::new(Self { kept: self.kept.clone(), ..fresh })
    }

    /// The answers kept for one step; `identity` is a hash over the interface, the step's path and its definition.
    pub(crate) fn last_good(&self, identity: u64, entries: usize) -> Arc<LastGoodAnswers> {
        self.kept.lock().entry(identity).or_insert_with(|| Arc::new(LastGoodAnswers::new(entries))).clone()
    }

    /// Forgets the answers of steps that are no longer defined.
    pub(crate) fn keep_only(&self, identities: &[u64]) {
        self.kept.lock().retain(|identity, _| identities.contains(identity));
    }

    pub fn status(&self, system: Arc<str>) -> PartnerStatus {
        PartnerStatus {
            system,
            breaker: self.breaker.state(Instant::now()),
            concurrent: self.bulkhead.concurrent(),
            waiting: self.bulkhead.waiting(),
        }
    }
}

/// Definitions are compared by what they say.
fn same<T: serde::Serialize>(left: &T, right: &T) -> bool {
    match (serde_json::to_value(left), serde_json::to_value(right)) {
        (Ok(left), Ok(right)) => left == right,
        _ => false,
    }
}
