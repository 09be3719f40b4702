//! The same steps for every item of a list, a bounded number at a time.
use std::sync::Arc;

use futures_util::{StreamExt, stream::FuturesUnordered};
use qiao_core::{Fault, Outcome, Repeat, SpanKind, fault_codes};
use serde_json::{Map, Value};

use super::{
    context::{Bounds, CallContext, Stop},
    faults,
    outcomes::StepOutcome,
    scope::FlowScope,
    spans::{End, SpanGuard},
    steps::{Done, end_of, run_steps},
};
use crate::{definitions::flow::OnFault, plan::flow::EachPlan};

struct Ended {
    index: usize,
    scope: FlowScope,
    result: Result<Value, Stop>,
}

pub(crate) async fn run(
    context: &Arc<CallContext>,
    plan: &Arc<EachPlan>,
    name: &Arc<str>,
    scope: &mut FlowScope,
    bounds: Bounds,
) -> Result<Done, Stop> {
    let items = items(plan, scope)?;
    let count = items.len();
    let mut waiting = items.into_iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut ended: Vec<Option<Ended>> = (0..count).map(|_| None).collect();
    let mut stop = None;
    loop {
        while running.len() < plan.concurrency
            && let Some((index, item)) = waiting.next()
        {
            running.push(start(context, plan, name, scope, bounds, index, item));
        }
        let Some(item) = running.next().await else { break };
        let index = item.index;
        let ends = match &item.result {
            Err(Stop::Respond(_)) => true,
            Err(_) => plan.on_fault == OnFault::Fail,
            Ok(_) => false,
        };
        ended[index] = Some(item);
        if ends {
            stop = Some(index);
            break;
        }
    }
    if !running.is_empty() {
        drop(running);
        context.spans.skip_below(bounds.parent);
    }
    finish(plan, scope, ended, stop, count)
}

/// The items of the list, each a document of its own.
fn items(plan: &EachPlan, scope: &FlowScope) -> Result<Vec<Arc<Value>>, Fault> {
    let selected = if plan.over.is_singular() {
        match plan.over.first(scope) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items.iter().collect(),
            Some(_) => {
                let detail = format!("`{}` selects no list", plan.over.text());
                return Err(Fault::new(&fault_codes::FLOW_FAULT, detail));
            }
        }
    } else {
        plan.over.select(scope)
    };
    if selected.len() > plan.most {
        let text = format!("列表超过 {} 项", plan.most);
        let detail = format!("{} items, at most {}", selected.len(), plan.most);
        return Err(Fault::new(&fault_codes::INVALID_REQUEST, detail).with_text(text));
    }
    Ok(selected.into_iter().map(|item| Arc::new(item.clone())).collect())
}

fn start(
    context: &Arc<CallContext>,
    plan: &Arc<EachPlan>,
    name: &Arc<str>,
    scope: &FlowScope,
    bounds: Bounds,
    index: usize,
    item: Arc<Value>,
) -> impl Future<Output = Ended> + Send + 'static {
    let mut scope = scope.branch();
    scope.set(plan.item, item);
    scope.set(plan.index, Arc::new(Value::from(index)));
    let item: Arc<str> = format!("{name}[{index}]").into();
    scope.item = Some(item.clone());
    let span = context.spans.open(bounds.parent, SpanKind::Step, item);
    let below = Bounds { parent: span.index(), ..bounds };
    run_item(context.clone(), plan.clone(), index, scope, below, span)
}

async fn run_item(
    context: Arc<CallContext>,
    plan: Arc<EachPlan>,
    index: usize,
    mut scope: FlowScope,
    bounds: Bounds,
    span: SpanGuard,
) -> Ended {
    let result = match run_steps(&context, &plan.steps, &mut scope, bounds).await {
        Ok(()) => value(&plan, &scope).map_err(Stop::from),
        Err(stop) => Err(stop),
    };
    span.finish(match &result {
        Ok(_) if scope.degraded.is_empty() => End::of(Outcome::Ok),
        Ok(_) => End::of(Outcome::Degraded),
        Err(stop) => end_of(stop),
    });
    Ended { index, scope, result }
}

fn value(plan: &EachPlan, scope: &FlowScope) -> Result<Value, Fault> {
    match &plan.collect {
        Some(collect) => collect.render(scope).map_err(|error| faults::eval(&error, "collect")),
        None => {
            let last = plan.last.and_then(|slot| scope.slot(slot));
            Ok(last.map_or(Value::Null, |value| Value::clone(value)))
        }
    }
}

fn finish(
    plan: &EachPlan,
    scope: &mut FlowScope,
    ended: Vec<Option<Ended>>,
    stop: Option<usize>,
    count: usize,
) -> Result<Done, Stop> {
    let mut entries = Vec::with_capacity(count);
    let mut succeeded = 0;
    for item in ended.into_iter().flatten() {
        scope.merge_item(item.scope);
        match item.result {
            Err(found) if stop == Some(item.index) => return Err(found),
            Err(found) => entries.push(failed(StepOutcome::stop(&found))),
            Ok(value) => {
                succeeded += 1;
                let members = [("ok".to_owned(), Value::from(true)), ("value".to_owned(), value)];
                entries.push(Value::Object(Map::from_iter(members)));
            }
        }
    }
    if succeeded < plan.need {
        let detail = format!("{succeeded} of {count} items succeeded, {} are needed", plan.need);
        let fault = Fault::new(&fault_codes::FLOW_FAILED, detail).with_repeat(Repeat::Unsafe);
        return Err(fault.with_text(format!("{count} 项中仅 {succeeded} 项成功")).into());
    }
    let end = End::of(Outcome::Ok).note(&format!("{succeeded} of {count} items succeeded"));
    let outcome = StepOutcome::of(if succeeded == count { "ok" } else { "partial" });
    Ok(Done { outcome, result: Some(Arc::new(Value::Array(entries))), end })
}

fn failed(outcome: StepOutcome) -> Value {
    let text = |text: Option<String>| text.map_or(Value::Null, Value::String);
    serde_json::json!({"ok": false, "fault": {"code": text(outcome.code), "text": text(outcome.text)}})
}
