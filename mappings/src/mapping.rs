//! Mappings: a pure transformation of documents, written as rules target ← source and compiled once.

mod compile;
mod run;
mod target;

use crate::document::Scope;
use crate::error::{MapError, SpecError};
use crate::expression::Expression;
use crate::functions::call::Applied;
use crate::selector::Selector;
use crate::table::Tables;
use crate::template::Template;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use target::Target;

/// The rules of a mapping, applied in order.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct MappingSpec(pub Vec<RuleSpec>);

/// One rule. Its value comes from exactly one of `from`, `value`, `cel`, `text` and `rules`; `each` repeats it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RuleSpec {
    /// Where the value goes: `person.name`, `list[0].code`, `person.@id`; a name with dots in quotes,
    /// `a['b.c']`; `$` or `.` for the whole result.
    pub to: String,
    /// A selector, `$.request.person.name`. One that can select several values gives a list of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// A constant of any type.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub value: Option<Value>,
    /// A CEL expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cel: Option<String>,
    /// Text with `${CEL}` inside; always gives text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A selector of the elements to repeat this rule for; the target becomes a list. A list selected as one value is
    /// taken apart, one single element counts as a list of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// The name of the element inside `each`; `item` unless given. Its position, from 0, is `index`.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// The rules of a nested object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<MappingSpec>,
    /// Functions applied in order: `trim`, `lookup(gender)`, `date(yyyyMMdd, yyyy-MM-dd)`. Not applied to null.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apply: Vec<String>,
    /// The value when the source has none or null; `apply` does not touch it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub default: Option<Value>,
    /// Refuse the message when there is no value, or it is null or empty text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// A CEL condition; the rule is skipped when it is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// Keeps a written null apart from an absent key.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A compiled mapping.
#[derive(Debug)]
pub struct Mapping {
    rules: Vec<Rule>,
    roots: Vec<String>,
    targets: Vec<String>,
}

#[derive(Debug)]
struct Rule {
    to: Target,
    each: Option<Each>,
    source: Source,
    apply: Vec<Applied>,
    default: Option<Value>,
    required: bool,
    when: Option<Expression>,
}

#[derive(Debug)]
struct Each {
    selector: Selector,
    item: String,
}

#[derive(Debug)]
enum Source {
    From(Selector),
    Value(Value),
    Cel(Expression),
    Text(Template),
    Rules(Vec<Rule>),
}

impl Mapping {
    /// Compiles a mapping against the code tables it may name.
    ///
    /// # Errors
    /// Every mistake, with its path: `[3].apply[0]`, `[2].rules[0].from`.
    pub fn compile(spec: &MappingSpec, tables: &dyn Tables) -> Result<Mapping, Vec<SpecError>> {
        compile::mapping(spec, tables)
    }

    /// Maps the documents of `scope` to a new one: an object, or what a rule with `to: $` gave.
    ///
    /// # Errors
    /// The first rule that fails, by its target.
    pub fn apply(&self, scope: &dyn Scope) -> Result<Value, MapError> {
        run::rules(&self.rules, scope, "")
    }

    /// The names of the documents it reads, the items of `each` excluded.
    pub fn roots(&self) -> &[String] {
        &self.roots
    }

    /// Every target it may write: `person.name`, `materials[].fileId`.
    pub fn targets(&self) -> &[String] {
        &self.targets
    }
}

#[cfg(test)]
mod tests;
