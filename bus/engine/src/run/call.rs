//! The step that asks a partner, and what stands in when there is no answer.
use std::sync::Arc;

use qiao_core::{Fault, Outcome, Repeat, fault_codes as codes};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    ask::{self, ask},
    context::{Bounds, CallContext, Stop},
    outcomes::{DegradedFrom, StepOutcome},
    scope::FlowScope,
    spans::End,
    steps::Done,
};
use crate::{
    definitions::{
        flow::{DegradeOn, OnFault},
        system::Judgement,
    },
    plan::flow::{CallPlan, DegradePlan, LastGoodPlan},
};

pub(crate) async fn run(
    context: &Arc<CallContext>,
    plan: &CallPlan,
    scope: &mut FlowScope,
    name: &Arc<str>,
    bounds: Bounds,
) -> Result<Done, Stop> {
    let own = plan.timeout.map(|timeout| Instant::now() + timeout);
    let bounds = Bounds { deadline: own.map_or(bounds.deadline, |own| own.min(bounds.deadline)), ..bounds };
    let fault = match ask(context, &plan.ask, scope, name, bounds).await {
        Ok(asked) => {
            if let Some(kept) = plan.degrade.as_ref().and_then(|degrade| degrade.last_good.as_ref())
                && asked.is == Judgement::Ok
                && let Some(key) = key_of(kept, scope)
            {
                kept.answers.keep(&key, asked.result.clone(), asked.bytes);
            }
            return Ok(answered(asked));
        }
        Err(fault) => fault,
    };
    if let Some(degrade) = plan.degrade.as_ref().filter(|degrade| covers(&degrade.on, &fault))
        && let Some((result, from)) = stand_in(context, degrade, &fault, scope, name, bounds).await
    {
        scope.degraded.push((name.clone(), from));
        let end = End::fault(&fault).note(&format!(
            "{}, answered from {}: {}",
            fault.code(),
            from.as_str(),
            fault.detail()
        ));
        let outcome = StepOutcome::degraded(&fault, from);
        return Ok(Done { outcome, result: Some(result), end: end.with(Outcome::Degraded) });
    }
    match plan.on_fault {
        OnFault::Fail => Err(fault.into()),
        OnFault::Continue => {
            Ok(Done { outcome: StepOutcome::fault(&fault), result: None, end: End::fault(&fault) })
        }
    }
}

fn answered(asked: ask::Asked) -> Done {
    let outcome = StepOutcome {
        partner_code: asked.partner_code,
        text: asked.text,
        ..StepOutcome::of(ask::word(asked.is))
    };
    Done { outcome, end: End::of(Outcome::Ok).note(ask::word(asked.is)), result: Some(asked.result) }
}

fn covers(on: &[DegradeOn], fault: &Fault) -> bool {
    let code = fault.code();
    let is = |codes: &[&'static qiao_core::FaultCode]| codes.contains(&code);
    on.iter().any(|on| match on {
        DegradeOn::Unavailable => {
            is(&[&codes::PARTNER_DOWN, &codes::BREAKER_OPEN, &codes::PARTNER_BUSY, &codes::PARTNER_TRY_LATER])
        }
        DegradeOn::Timeout => is(&[&codes::PARTNER_TIMEOUT, &codes::DEADLINE_EXCEEDED]),
        DegradeOn::Broken => is(&[&codes::PARTNER_PROTOCOL]),
        DegradeOn::Refused => is(&[&codes::PARTNER_REFUSED]),
    })
}

/// The first stand-in there is: another system's answer, the last good one, the fixed one.
async fn stand_in(
    context: &Arc<CallContext>,
    degrade: &DegradePlan,
    fault: &Fault,
    scope: &FlowScope,
    name: &Arc<str>,
    bounds: Bounds,
) -> Option<(Arc<Value>, DegradedFrom)> {
    if let Some(alternative) = &degrade.alternative
        // What may have happened already is not done once more elsewhere.
        && !(alternative.operation.changing && fault.repeat() == Repeat::Unknown)
        && let Ok(asked) = ask(context, alternative, scope, &format!("{name}.alternative"), bounds).await
    {
        return Some((asked.result, DegradedFrom::Alternative));
    }
    if let Some(kept) = &degrade.last_good
        && let Some(answer) = key_of(kept, scope).and_then(|key| kept.answers.get(&key, kept.max_age))
    {
        return Some((answer, DegradedFrom::LastGood));
    }
    let fixed = degrade.fixed.as_ref()?.render(scope).ok()?;
    Some((Arc::new(fixed), DegradedFrom::Static))
}

/// The key of the answer wanted; none where it has no value, for then it would mix different ones up.
fn key_of(kept: &LastGoodPlan, scope: &FlowScope) -> Option<String> {
    match kept.key.eval(scope).ok()? {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        key => serde_json::to_string(&key).ok(),
    }
}
