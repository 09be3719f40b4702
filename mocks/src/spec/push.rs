//! What a partner sends of its own accord: where to, and the plans that say what is sent when.
use indexmap::IndexMap;
use qiao_mappings::{CodecSpec, units::Duration};
use qiao_wire::frame::FrameSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AnswerForm, StateRule};

/// A place that the partner sends to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PushSpec {
    /// Template of the URL, `${partner.bus}/ems/track`: `http://…` for HTTP and SOAP, `tcp://host:port` for frames. Loopback, or
    /// a host that the settings allow. Exactly one of `to`, `amqp` and `carrier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Published to the broker that the settings name; acknowledged by the broker's confirm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amqp: Option<AmqpSpec>,
    /// A carrier's listener of this partner (CMPP, SMGP, SGIP): the document is a message from a user to the provider, `{from, to, text}`
    /// and what else the admin API takes; acknowledged when it waits for the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// With `tcp://`: eight digits that count the bytes behind them when left out, 1MiB at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framing: Option<FrameSpec>,
    /// Of HTTP; POST when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Templates.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, String>,
    /// From business document to wire; JSON when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<AnswerForm>,
    /// The codec of what comes back; that of `form` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<CodecSpec>,
    /// CEL over `status`, `answer` and `headers` of what comes back; any 2xx, or any frame, when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<String>,
    /// How long an answer is awaited; 10s when left out, 50s at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Waits before the same bytes are sent again where no acknowledgement came; none when left out, 10 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub retry: Vec<Duration>,
}

/// Where a message goes in the broker (AMQP 0-9-1).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AmqpSpec {
    /// The default exchange, whose routing key is the queue's name, when left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub exchange: String,
    /// Template.
    pub routing_key: String,
}

/// Steps that follow one another by the mock partners' clock.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PlanSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[schemars(length(min = 1, max = 100))]
    pub steps: Vec<StepSpec>,
}

/// One push of a plan.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StepSpec {
    /// Unique within the plan.
    #[schemars(regex(pattern = r"^[a-z0-9][a-z0-9-]{0,79}$"))]
    pub id: String,
    /// When, counted from the start of the plan by the mock partners' clock; at once when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Duration>,
    /// CEL over what templates see, looked at when the step is due; false: the step is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// What becomes of the business key's state when the step is due, whether or not its push arrives. Without `in` and `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateRule>,
    /// Name of one of the partner's `pushes`.
    pub push: String,
    /// Template of the business document.
    pub json: serde_json::Value,
}

/// What follows a stub's answer: a plan of the partner, or steps of its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ThenSpec {
    /// CEL over what the answer's templates see; false: nothing follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub steps: Vec<StepSpec>,
}
