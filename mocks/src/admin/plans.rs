//! Plans and their runs: looked at, started by hand, a step sent now, skipped, sent twice or held behind the next.
use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Refused};
use crate::{
    pushes::{
        Plan, run,
        runs::{Run, Standing},
        snapshot::Snapshot,
    },
    server::Shared,
};

/// Runs in one answer at most.
const MAX_PAGE: usize = 500;

fn steps(plan: &Plan) -> Value {
    let each = plan.steps.iter().map(|step| {
        json!({"id": &*step.id, "afterMs": u64::try_from(step.after.as_millis()).unwrap_or(u64::MAX), "push": &*step.target.id})
    });
    each.collect()
}

fn view(run: &Run) -> Value {
    let steps = run.steps.lock();
    let each = run.plan.steps.iter().zip(&*steps).map(|(step, progress)| {
        json!({
            "id": &*step.id,
            "standing": progress.standing,
            "timer": progress.timer,
            "attempts": progress.attempts,
            "why": progress.why,
        })
    });
    json!({
        "run": run.id,
        "plan": &*run.plan.id,
        "session": &*run.snapshot.session,
        "key": &*run.snapshot.key,
        "steps": each.collect::<Vec<_>>(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Which {
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
}

pub async fn list(
    State(shared): Api,
    Path(id): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Refused> {
    let partner = super::partner(&shared, &id)?;
    let plans = partner
        .plans
        .values()
        .map(|plan| json!({"plan": &*plan.id, "title": plan.title, "steps": steps(plan)}));
    let fits = |run: &Run| {
        which.session.as_deref().is_none_or(|session| *run.snapshot.session == *session)
            && which.key.as_deref().is_none_or(|key| *run.snapshot.key == *key)
    };
    let runs = shared.runs.newest(&id, fits, which.limit.unwrap_or(100).min(MAX_PAGE));
    let runs = runs.iter().map(|run| view(run));
    Ok(Json(json!({"plans": plans.collect::<Vec<_>>(), "runs": runs.collect::<Vec<_>>()})))
}

/// A plan started by hand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Start {
    /// The business key.
    key: String,
    #[serde(default)]
    session: String,
    /// What templates see as `request`.
    #[serde(default)]
    request: Value,
}

pub async fn start(
    State(shared): Api,
    Path((id, plan)): Path<(String, String)>,
    Json(start): Json<Start>,
) -> Result<Json<Value>, Refused> {
    let partner = super::partner(&shared, &id)?;
    let plan = partner.plans.get(&plan).cloned();
    let plan = plan.ok_or_else(|| Refused::not_found(format!("`{id}` has no such plan")))?;
    let snapshot = Snapshot::by_hand(start.request, &start.session, &start.key);
    let run = run::start(&shared, partner, plan, snapshot).map_err(Refused::unfit)?;
    Ok(Json(json!({"run": run})))
}

/// What is done to a step.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Sent at once, whatever dials say.
    Now,
    /// Not sent.
    Skip,
    /// Sent at once, once more where it was sent already.
    Again,
    /// Sent after the next step.
    Hold,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Do {
    action: Action,
}

pub async fn act(
    State(shared): Api,
    Path((id, step)): Path<(u64, String)>,
    Json(wanted): Json<Do>,
) -> Result<Json<Value>, Refused> {
    let run = shared.runs.get(id).ok_or_else(|| Refused::not_found(format!("there is no run {id}")))?;
    let place =
        run.step(&step).ok_or_else(|| Refused::not_found(format!("the plan has no step `{step}`")))?;
    apply(&shared, &run, place, wanted.action).await?;
    Ok(Json(view(&run)))
}

async fn apply(shared: &Arc<Shared>, run: &Arc<Run>, place: usize, action: Action) -> Result<(), Refused> {
    let (standing, timer) = {
        let steps = run.steps.lock();
        (steps[place].standing, steps[place].timer)
    };
    let open = matches!(standing, Standing::Waiting | Standing::Held | Standing::Repeating);
    match action {
        Action::Again if matches!(standing, Standing::Done | Standing::Failed) => {
            run::deliver(shared, run, place, None).await;
        }
        _ if !open => {
            return Err(Refused::unfit(format!("the step is over: {}", json!(standing))));
        }
        Action::Now | Action::Again => {
            cancel(shared, timer);
            if standing == Standing::Repeating {
                run::deliver(shared, run, place, None).await;
            } else {
                run::due(shared, run, place, false).await;
            }
        }
        Action::Skip => {
            cancel(shared, timer);
            run::settle(run, place, Standing::Skipped, Some("skipped by hand"));
        }
        Action::Hold if standing == Standing::Waiting && run.has_later(place) => {
            cancel(shared, timer);
            run::settle(run, place, Standing::Held, None);
        }
        Action::Hold => return Err(Refused::unfit("no later step waits")),
    }
    Ok(())
}

/// A timer that has fired in the meantime finds its step taken.
fn cancel(shared: &Shared, timer: Option<u64>) {
    if let Some(timer) = timer {
        shared.timers.cancel(timer);
    }
}
