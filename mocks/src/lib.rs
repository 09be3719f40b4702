//! Mock partners: stand-ins for partners' systems with stubs, state, faults and a journal, each a folder of YAML.
//!
//! `docs/mocks.md` explains the files. [`MockServer`] serves them, [`admin_router`] lets people look and turn dials,
//! [`check`] checks them.
mod admin;
mod answer;
mod catalogue;
mod city;
mod clock;
mod compile;
mod decide;
mod entropy;
mod exchange;
mod facts;
mod faults;
mod files;
mod forms;
mod functions;
mod generate;
pub mod import;
mod journal;
mod keys;
mod mask;
mod matching;
mod origin;
mod overlay;
mod partner;
mod pushes;
mod question;
pub mod record;
mod rows;
mod score;
mod server;
mod sessions;
mod sftp;
pub mod spec;
mod state;
mod table;
mod tables;
mod tcp;
mod timers;
mod verify;
mod wsdl;

pub use admin::{AdminOperation, admin_operations, admin_router};
pub use functions::FUNCTIONS;
pub use journal::MAX_BYTES as MAX_JOURNAL_BYTES;
pub use keys::{PartnerKey, partner_keys};
pub use server::{BrokerUrl, MockConfig, MockServer, Ports, Reloaded, StartError, check};

/// The JSON Schemas of the files, and of a session opened by the admin API.
pub fn schemas() -> [(&'static str, serde_json::Value); 5] {
    use qiao_mappings::strict::schema_of;
    [
        ("mock-partner", schema_of::<spec::PartnerSpec>()),
        ("mock-stubs", schema_of::<spec::StubsFile>()),
        ("mock-city", schema_of::<spec::CitySpec>()),
        ("mock-pack", schema_of::<spec::PackSpec>()),
        ("mock-session", schema_of::<spec::SessionSpec>()),
    ]
}
