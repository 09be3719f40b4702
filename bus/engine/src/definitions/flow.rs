//! A flow's steps. A step has an optional id, title and condition, and exactly one kind.
use indexmap::IndexMap;
use qiao_mappings::MappingSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{partner::Retry, units::Duration};

/// One step. Later steps see its result under its id: `$.<id>…` in JSONPath, `<id>.…` in CEL; and how it ended under `outcomes.<id>`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Step {
    /// Unique within the interface; needed where a later step refers to the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z][A-Za-z0-9]{0,39}$"))]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// CEL; false: the step is skipped and its result is null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Asks a partner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallStep>,
    /// Builds a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<MappingSpec>,
    /// Sets global parameters: templates, visible to every later step as `vars.<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<IndexMap<String, serde_json::Value>>,
    /// Checks a document against a JSON Schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<ValidateStep>,
    /// Runs the first arm whose condition holds; none: goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<Vec<BranchArm>>,
    /// Runs branches at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<ParallelStep>,
    /// Runs steps for every item of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<EachStep>,
    /// Answers the caller and ends the flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond: Option<RespondStep>,
    /// Ends the flow with a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<FailStep>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CallStep {
    pub system: String,
    pub operation: String,
    /// Builds the business document sent. Left out: `request` as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<MappingSpec>,
    /// Builds the step's result from `body`. Left out: `body`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<MappingSpec>,
    /// Bound on the whole step, attempts and waits included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Replaces the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// What stands in for the answer when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degrade: Option<Degrade>,
    /// What a fault does to the flow: `fail` ends it (default), `continue` makes the result null and shows the fault under `outcomes.<id>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_fault: Option<OnFault>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFault {
    #[default]
    Fail,
    Continue,
}

/// A declared degraded answer, marked as such in the outcome, the trace and the `X-Degraded` header. Tried in the order alternative, last good, static.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Degrade {
    /// Which faults it covers; left out: unavailable and timeout.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<DegradeOn>,
    /// Ask another system instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternative: Option<Alternative>,
    /// The last good answer to the same key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<LastGood>,
    /// A fixed result: templates.
    #[serde(default, rename = "static", skip_serializing_if = "Option::is_none")]
    pub fixed: Option<serde_json::Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DegradeOn {
    /// Down, breaker open, bulkhead full, "later".
    Unavailable,
    Timeout,
    /// The partner's answer could not be read.
    Broken,
    /// The partner said no.
    Refused,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Alternative {
    pub system: String,
    pub operation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<MappingSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<MappingSpec>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LastGood {
    /// CEL text that tells answers apart, for instance `request.idNo`; only its hash is kept.
    pub key: String,
    /// The oldest answer allowed.
    pub max_age: Duration,
    /// Answers kept at most, 10000 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ValidateStep {
    /// JSONPath of what is checked; `$.request` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// JSON Schema 2020-12.
    pub schema: serde_json::Value,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BranchArm {
    /// CEL; left out only in the last arm, which then always holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ParallelStep {
    /// `all` when left out.
    #[serde(default)]
    pub join: Join,
    /// With `n-of-m`: how many branches must succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub need: Option<u32>,
    /// What happens to branches still running when the join is decided: `cancel` (default), or `finish` in the background, within the deadline, result unused.
    #[serde(default)]
    pub losers: Losers,
    /// With `all`: what a failed branch does.
    #[serde(default)]
    pub on_fault: OnFault,
    /// Named branches; `outcomes.<name>` tells how each ended.
    pub branches: Vec<ParallelBranch>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ParallelBranch {
    #[schemars(regex(pattern = r"^[a-z][A-Za-z0-9]{0,39}$"))]
    pub name: String,
    /// Bound on the branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Join {
    /// Waits for every branch.
    #[default]
    All,
    /// The first success decides.
    First,
    /// `need` successes decide.
    NOfM,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Losers {
    #[default]
    Cancel,
    Finish,
}

/// The step's result is a list, one entry per item: `{ok: true, value}` or `{ok: false, fault: {code, text}}`; `value` is `collect`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EachStep {
    /// JSONPath of the list.
    pub over: String,
    /// Name of the current item, `item` when left out; its position is `index`.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z][A-Za-z0-9]{0,39}$"))]
    pub name: Option<String>,
    /// Items at the same time, 4 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: Option<u32>,
    /// Items at most; a longer list is refused. 1000 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u32>,
    /// What a failed item does: `fail` stops the rest and the flow; `continue` goes on and shows it in the result.
    #[serde(default)]
    pub on_fault: OnFault,
    /// With `continue`: the flow fails when fewer items succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub need: Option<u32>,
    pub steps: Vec<Step>,
    /// Template of an item's value, over the item and its steps' results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RespondStep {
    /// 200 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 200, max = 599))]
    pub status: Option<u16>,
    /// The answer as templates. Exactly one of `body`, `from` and `map`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
    /// The answer as JSONPath.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The answer as mapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<MappingSpec>,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FailStep {
    /// Business code for the caller, a template.
    pub code: String,
    /// Text for the caller, a template.
    pub text: String,
    /// HTTP status, 422 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 400, max = 599))]
    pub status: Option<u16>,
}
