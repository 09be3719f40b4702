//! Mock partners: stand-ins for partners' systems with stubs, state, faults and a journal, each a folder of YAML.
//!
//! `docs/mocks.md` explains the files. [`MockServer`] serves them, [`admin_router`] lets people look and turn dials,
//! [`check`] checks them.
mod admin;
mod answer;
mod catalogue;
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
mod journal;
mod matching;
mod partner;
mod pushes;
mod server;
mod sftp;
pub mod spec;
mod state;
mod table;
mod tcp;
mod timers;
mod wsdl;

pub use admin::admin_router;
pub use functions::FUNCTIONS;
pub use server::{MockConfig, MockServer, Ports, Reloaded, StartError, check};

/// The JSON Schemas of the files: `partner.yaml` and those below `stubs/`.
pub fn schemas() -> [(&'static str, serde_json::Value); 2] {
    use qiao_mappings::strict::schema_of;
    [("mock-partner", schema_of::<spec::PartnerSpec>()), ("mock-stubs", schema_of::<spec::StubsFile>())]
}
