//! The form of a mock partner's files, as its author writes them: `mocks/<partner>/partner.yaml` and `stubs/*.yaml`.
//!
//! `docs/mocks.md` explains the form with a full example. These types are what the strict reader and the JSON Schema see.
pub mod carrier;
pub mod city;
pub mod criteria;
pub mod fault;
pub mod form;
pub mod listen;
mod made;
pub mod push;
pub mod session;
pub mod sftp;
pub mod stub;
pub mod table;
pub mod verify;

pub use carrier::CarrierSpec;
pub use city::CitySpec;
pub use criteria::{Criterion, When};
pub use fault::{Delay, Dial, FaultKind, FaultSpec, Per, Target, WrongLength};
pub use form::{AnswerForm, OpenForm, RequestForm, SealForm};
pub use listen::{TcpSpec, TlsSpec};
pub use push::{AmqpSpec, PlanSpec, PushSpec, StepSpec, ThenSpec};
pub use session::{AccountSpec, PackSpec, PartnerOverlay, SessionSpec};
pub use stub::{Respond, SoapFault, StateRule, StubSpec};
pub use table::{OneOrMany, RowRule, WriteRule};
pub use verify::{Meant, Partly, Pick, ScoreField, ScoreTemplate};

use indexmap::IndexMap;
use qiao_vault::EnvelopeSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use qiao_mappings::units::{Bytes, Duration};

/// A mock partner (模拟伙伴): a stand-in for a partner's system.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PartnerSpec {
    /// The version of this form.
    pub mock: FormVersion,
    /// Id, the same as the folder's name: lower-case letters, digits and hyphens.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]{0,39}$"))]
    pub partner: String,
    /// Chinese title, shown in the console.
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Start of every random value; 0 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Constants of this partner, visible to templates as `partner.<name>`. Never secrets.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub parameters: IndexMap<String, serde_json::Value>,
    /// How messages are sealed and opened, by name. Roles are written as the bus writes them in its system's definition.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub envelopes: IndexMap<String, EnvelopeSpec>,
    /// Where the partner listens.
    #[schemars(length(min = 1))]
    pub listen: Vec<ListenSpec>,
    /// JSONPath of the dispatch key, compared with the stubs' `item`; a listener may have its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<String>,
    /// JSONPath of who calls, for instance `$.headers['x-app-id']`: journaled, and the journal is filtered by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// What makes requests belong to one business case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceSpec>,
    /// Whether a request may bring its own fault in the header `X-Mock-Fault`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fault_header: bool,
    /// Standing faults and delays; the first that applies counts, before a stub's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dials: Vec<Dial>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stubs: Vec<StubSpec>,
    /// Places that the partner sends to, by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub pushes: IndexMap<String, PushSpec>,
    /// What is sent when, by name; started by a stub's `then` or by hand.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub plans: IndexMap<String, PlanSpec>,
    /// What answers when no stub matches; left out: 404 with `X-Mock-Miss`. Journaled as a miss either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FormVersion {
    #[serde(rename = "v1")]
    V1,
}

/// One place where the partner listens.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ListenSpec {
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]{0,39}$"))]
    pub id: String,
    pub proto: Proto,
    /// `http` and `soap`: path on the mock port, such as `/permit`; unique over all partners, the longest that fits a request is taken.
    /// With `port`, the path on that port; everything there when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(/[A-Za-z0-9._~-]{1,64}){1,8}$"))]
    pub path: Option<String>,
    /// Port of its own, unique over all partners. Left out: `http` and `soap` are on the mock port, the other protocols on their default port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// `soap`: the service's WSDL 1.1, a file of the partner's folder. Its operations are then found, answered in both SOAP
    /// versions and, where no stub answers, from their schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wsdl: Option<String>,
    /// With `wsdl`: whether a request that its schema does not allow is refused with a SOAP fault.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// `http`, `soap` and `tcp` with a port of their own: TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// With `proto: tcp`: framing and life of connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpSpec>,
    /// With `proto: sftp`: users and bank files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sftp: Option<sftp::SftpSpec>,
    /// `cmpp`, `smgp`, `sgip`: the gateway's accounts, times and reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<CarrierSpec>,
    /// With `proto: amqp`: the queue whose messages are requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amqp: Option<listen::QueueSpec>,
    /// Replaces the partner's `select`. Left out everywhere: `$.operation` with `proto: soap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<String>,
    /// From wire to business document; JSON, or SOAP 1.1 with `proto: soap`, when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestForm>,
    /// From business document to wire; the codec of requests when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<AnswerForm>,
    /// Bound on request bodies, 1MiB when left out, 16MiB at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Proto {
    /// On the common mock port.
    Http,
    /// SOAP on the common mock port.
    Soap,
    /// Framed messages.
    Tcp,
    /// Files over SSH.
    Sftp,
    /// China Mobile's SMS gateway, CMPP 2.0 and 3.0.
    Cmpp,
    /// China Telecom's SMS gateway, SMGP 3.0.
    Smgp,
    /// China Unicom's SMS gateway, SGIP 1.2.
    Sgip,
    /// Messages of a queue, AMQP 0-9-1, on the broker of the settings.
    Amqp,
}

impl Proto {
    /// Whether it is a carrier's SMS gateway.
    pub fn is_carrier(self) -> bool {
        matches!(self, Self::Cmpp | Self::Smgp | Self::Sgip)
    }

    /// Whether it is served on the common mock port, by path.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Soap)
    }

    /// The name in YAML.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Soap => "soap",
            Self::Tcp => "tcp",
            Self::Sftp => "sftp",
            Self::Cmpp => "cmpp",
            Self::Smgp => "smgp",
            Self::Sgip => "sgip",
            Self::Amqp => "amqp",
        }
    }
}

/// The business key: state, counts and random values belong to it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct InstanceSpec {
    /// JSONPath, for instance `$.request.bizNo`. A request without it has its own content as key.
    pub key: String,
    /// How long a key untouched is remembered; 2h when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// Keys remembered at most, the longest untouched are forgotten first; 100000 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max: Option<u32>,
}

/// What answers when no stub matches.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Fallback {
    pub respond: Respond,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
}

/// `stubs/*.yaml`: more stubs of the partner, read in the order of the files' names.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StubsFile {
    pub stubs: Vec<StubSpec>,
}
