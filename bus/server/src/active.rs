//! What the node runs on now: one plan with its limits and counters, swapped as a whole. A call keeps the one it started with.
use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwapOption;
use qiao_engine::plan::Plan;

use crate::{
    access::Access,
    metrics::{InterfaceMetrics, Metrics},
};

/// A plan with everything that belongs to it.
pub struct Active {
    pub plan: Arc<Plan>,
    pub access: Access,
    interfaces: HashMap<Arc<str>, Arc<InterfaceMetrics>>,
}

impl Active {
    pub fn new(plan: Plan, metrics: &Metrics, previous: Option<&Active>) -> Self {
        let access = Access::new(&plan, previous.map(|active| &active.access));
        let interfaces = metrics.for_interfaces(plan.interfaces().map(|interface| &*interface.id));
        Self { plan: Arc::new(plan), access, interfaces }
    }

    /// The counters of an interface; the empty name counts calls that reached none.
    pub fn counters(&self, interface: &str) -> Option<&Arc<InterfaceMetrics>> {
        self.interfaces.get(interface)
    }
}

/// The place of the active plan; empty until the first one is whole.
#[derive(Default)]
pub struct ActiveSlot(ArcSwapOption<Active>);

impl ActiveSlot {
    pub fn load(&self) -> Option<Arc<Active>> {
        self.0.load_full()
    }

    pub fn store(&self, active: Arc<Active>) {
        self.0.store(Some(active));
    }
}
