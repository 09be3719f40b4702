//! The definition model: what an operator writes under `routes/`. Each file holds one definition; its folder says which kind.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::mistake::{DefinitionId, Kind};

pub mod caller;
pub mod flow;
pub mod grant;
pub mod interface;
pub mod partner;
pub mod system;
pub mod table;

pub use caller::CallerDefinition;
pub use flow::Step;
pub use grant::GrantDefinition;
pub use interface::InterfaceDefinition;
pub use qiao_mappings::units::{self, Bytes, Duration};
pub use system::{OperationDefinition, SystemDefinition};
pub use table::TableDefinition;

/// A whole set of definitions by id, as one folder or one release holds it.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    pub systems: BTreeMap<String, Arc<SystemDefinition>>,
    pub interfaces: BTreeMap<String, Arc<InterfaceDefinition>>,
    pub callers: BTreeMap<String, Arc<CallerDefinition>>,
    pub grants: BTreeMap<String, Arc<GrantDefinition>>,
    pub tables: BTreeMap<String, Arc<TableDefinition>>,
    /// Definitions whose files hold mistakes: they exist, so naming them is no mistake, but what they say is not known.
    pub unread: BTreeSet<DefinitionId>,
}

impl Definitions {
    /// Whether there is such a definition, read or not.
    pub fn has(&self, kind: Kind, id: &str) -> bool {
        let read = match kind {
            Kind::System => self.systems.contains_key(id),
            Kind::Interface => self.interfaces.contains_key(id),
            Kind::Caller => self.callers.contains_key(id),
            Kind::Grant => self.grants.contains_key(id),
            Kind::Table => self.tables.contains_key(id),
        };
        read || self.is_unread(kind, id)
    }

    /// Whether the definition's file holds mistakes.
    pub fn is_unread(&self, kind: Kind, id: &str) -> bool {
        !self.unread.is_empty() && self.unread.contains(&DefinitionId::new(kind, id))
    }
}
