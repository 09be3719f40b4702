//! How messages travel, in the words of system definitions: the mock's request is the bus's request seen from the other side.
use indexmap::IndexMap;
use qiao_mappings::{CodecSpec, MappingSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// From wire to business document: decode, open, frame.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "MockRequestForm")]
pub struct RequestForm {
    /// The codec of what travels.
    pub wire: CodecSpec,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<OpenForm>,
    /// Builds the business document from `wire`, `plain` (when opened), `headers`, `query` and `partner`. Left out: `plain`, or `wire` where nothing is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<MappingSpec>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "MockOpenForm")]
pub struct OpenForm {
    /// Name of one of the partner's envelopes.
    pub envelope: String,
    /// JSONPath of the sealed object, for instance `$.wire.submit.data`.
    pub from: String,
    /// CEL over `wire` and `headers`; false: nothing is opened. Left out: opened whenever `from` selects something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// How the opened bytes become the business document.
    pub plain: CodecSpec,
    /// Parameters of the envelope: templates over `wire`, `headers` and `partner`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub parameters: IndexMap<String, String>,
}

/// From business document to wire: encode `plain`, seal it, frame it, encode the wire document.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "MockAnswerForm")]
pub struct AnswerForm {
    pub wire: CodecSpec,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<SealForm>,
    /// Builds the wire document from `plain`, `sealed`, and all that templates see. Left out: the sealed object, or `plain` where nothing is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<MappingSpec>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "MockSealForm")]
pub struct SealForm {
    /// Name of one of the partner's envelopes.
    pub envelope: String,
    /// How the business document becomes the bytes that are sealed.
    pub plain: CodecSpec,
    /// Parameters of the envelope: templates over `plain`, `request`, `wire`, `headers` and `partner`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub parameters: IndexMap<String, String>,
}
