//! What later steps see of how a step ended: `outcomes.<id>` = `{is, code, text, partnerCode, degradedFrom}`.
use qiao_core::{Fault, Outcome};
use serde_json::{Map, Value};

use super::{context::Stop, spans::outcome_of};

/// Where a stand-in came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DegradedFrom {
    Static,
    LastGood,
    Alternative,
}

impl DegradedFrom {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::LastGood => "last-good",
            Self::Alternative => "alternative",
        }
    }
}

/// How a step ended.
#[derive(Clone, Debug)]
pub(crate) struct StepOutcome {
    /// ok, done, partial, refused, degraded, failed, unknown, skipped.
    pub is: &'static str,
    pub code: Option<String>,
    pub text: Option<String>,
    pub partner_code: Option<String>,
    pub degraded_from: Option<DegradedFrom>,
}

impl StepOutcome {
    pub fn of(is: &'static str) -> Self {
        Self { is, code: None, text: None, partner_code: None, degraded_from: None }
    }

    pub fn fault(fault: &Fault) -> Self {
        let is = match outcome_of(fault) {
            Outcome::Refused => "refused",
            Outcome::Unknown => "unknown",
            _ => "failed",
        };
        Self {
            is,
            code: Some(fault.code().to_string()),
            text: Some(fault.text().to_owned()),
            partner_code: fault.partner_code().map(str::to_owned),
            degraded_from: None,
        }
    }

    /// A stand-in took the place of an answer; code and text tell why.
    pub fn degraded(fault: &Fault, from: DegradedFrom) -> Self {
        Self { is: "degraded", degraded_from: Some(from), ..Self::fault(fault) }
    }

    pub fn stop(stop: &Stop) -> Self {
        match stop {
            Stop::Respond(_) => Self::of("ok"),
            Stop::Fault(fault) => Self::fault(fault),
            Stop::Fail(refusal) => Self {
                code: Some(refusal.code.clone()),
                text: Some(refusal.text.clone()),
                ..Self::of("refused")
            },
        }
    }

    pub fn document(self) -> Value {
        let text = |text: Option<String>| text.map_or(Value::Null, Value::String);
        let mut members = Map::with_capacity(5);
        members.insert("is".into(), Value::from(self.is));
        members.insert("code".into(), text(self.code));
        members.insert("text".into(), text(self.text));
        members.insert("partnerCode".into(), text(self.partner_code));
        let from = self.degraded_from.map(DegradedFrom::as_str);
        members.insert("degradedFrom".into(), from.map_or(Value::Null, Value::from));
        Value::Object(members)
    }
}

/// The outcome of what did not run.
pub(crate) fn skipped() -> Value {
    StepOutcome::of("skipped").document()
}
