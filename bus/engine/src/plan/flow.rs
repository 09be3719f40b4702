//! A flow's steps, compiled: what the executor walks.
use std::{sync::Arc, time::Duration};

use http::StatusCode;
use jsonschema::Validator;
use qiao_mappings::{Expression, Mapping, Selector, Template};

use super::{
    forms::HeaderPlan,
    system::{OperationPlan, SystemPlan},
};
use crate::{
    definitions::flow::{DegradeOn, Join, Losers, OnFault},
    partner::{last_good::LastGoodAnswers, retry::RetryPolicy},
};

/// The steps of a flow, an arm, a branch or an item.
pub(crate) type Steps = Arc<[StepPlan]>;

pub(crate) struct StepPlan {
    /// Name of the span: the ids on the way here (`parties.card.query`), below the item where there is one.
    pub name: Arc<str>,
    pub id: Option<Arc<str>>,
    /// Where its result goes, when it has an id.
    pub slot: Option<usize>,
    pub when: Option<Expression>,
    pub kind: StepKind,
}

pub(crate) enum StepKind {
    Call(Box<CallPlan>),
    Map(Mapping),
    Set(Vec<(String, Template)>),
    Validate(ValidatePlan),
    Branch(Vec<ArmPlan>),
    Parallel(Arc<ParallelPlan>),
    Each(Arc<EachPlan>),
    Respond(Box<RespondPlan>),
    Fail(Box<FailPlan>),
}

pub(crate) struct CallPlan {
    pub ask: AskPlan,
    pub timeout: Option<Duration>,
    pub degrade: Option<DegradePlan>,
    pub on_fault: OnFault,
}

/// One question to one partner.
pub(crate) struct AskPlan {
    pub system: Arc<SystemPlan>,
    pub operation: Arc<OperationPlan>,
    pub with: Option<Mapping>,
    pub answer: Option<Mapping>,
    pub retry: RetryPolicy,
}

pub(crate) struct DegradePlan {
    pub on: Vec<DegradeOn>,
    pub alternative: Option<AskPlan>,
    pub last_good: Option<LastGoodPlan>,
    pub fixed: Option<Template>,
}

pub(crate) struct LastGoodPlan {
    pub key: Expression,
    pub max_age: Duration,
    pub answers: Arc<LastGoodAnswers>,
}

pub(crate) struct ValidatePlan {
    /// None: the request.
    pub of: Option<Selector>,
    pub schema: Validator,
}

pub(crate) struct ArmPlan {
    pub when: Option<Expression>,
    pub steps: Steps,
}

pub(crate) struct ParallelPlan {
    pub join: Join,
    pub need: usize,
    pub losers: Losers,
    pub on_fault: OnFault,
    pub branches: Vec<BranchPlan>,
}

pub(crate) struct BranchPlan {
    pub id: Arc<str>,
    pub name: Arc<str>,
    pub timeout: Option<Duration>,
    pub steps: Steps,
}

pub(crate) struct EachPlan {
    pub over: Selector,
    /// Slots of the item and its position.
    pub item: usize,
    pub index: usize,
    pub concurrency: usize,
    pub most: usize,
    pub on_fault: OnFault,
    pub need: usize,
    pub steps: Steps,
    pub collect: Option<Template>,
    /// Without `collect`: the slot of the last step that has an id.
    pub last: Option<usize>,
}

pub(crate) struct RespondPlan {
    pub status: StatusCode,
    pub body: BodyPlan,
    pub headers: Vec<HeaderPlan>,
}

pub(crate) enum BodyPlan {
    Template(Template),
    From(Selector),
    Map(Mapping),
}

pub(crate) struct FailPlan {
    pub code: Template,
    pub text: Template,
    pub status: StatusCode,
}
