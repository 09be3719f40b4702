//! Branches at the same time: the join decides, the losers are cancelled or finish in the background.
use std::sync::Arc;

use futures_util::{StreamExt, stream::FuturesUnordered};
use qiao_core::{Outcome, SpanKind};
use tokio::{sync::Semaphore, time::Instant};

use super::{
    context::{Bounds, CallContext, Stop},
    outcomes::StepOutcome,
    scope::FlowScope,
    spans::{End, SpanGuard},
    steps::{Done, end_of, run_steps},
};
use crate::{
    definitions::flow::{Join, Losers, OnFault},
    plan::flow::ParallelPlan,
};

/// Joins whose losers finish in the background, over all calls; beyond it losers are cancelled.
static BACKGROUND: Semaphore = Semaphore::const_new(256);

/// A branch that came to its end.
struct Ended {
    index: usize,
    scope: FlowScope,
    result: Result<(), Stop>,
}

/// What the join says after a branch ended.
#[derive(PartialEq)]
enum Decision {
    Wait,
    Won,
    Lost,
}

/// The branches that ended, and what follows.
struct Race {
    /// In the order of the definition.
    ended: Vec<Option<Ended>>,
    won: usize,
    /// The branch whose end is the flow's, should the join be lost.
    lost: Option<usize>,
    decision: Decision,
}

impl Race {
    fn take(&mut self, plan: &ParallelPlan, branch: Ended) {
        let index = branch.index;
        let responds = matches!(branch.result, Err(Stop::Respond(_)));
        if branch.result.is_ok() {
            self.won += 1;
        } else if responds {
            self.lost = Some(index);
        } else {
            self.lost.get_or_insert(index);
        }
        self.ended[index] = Some(branch);
        let ended = self.ended.iter().flatten().count();
        self.decision = if responds { Decision::Lost } else { decide(plan, self.won, ended - self.won) };
    }
}

pub(crate) async fn run(
    context: &Arc<CallContext>,
    plan: &Arc<ParallelPlan>,
    scope: &mut FlowScope,
    bounds: Bounds,
) -> Result<Done, Stop> {
    let mut running = FuturesUnordered::new();
    let mut spans = Vec::with_capacity(plan.branches.len());
    for (index, branch) in plan.branches.iter().enumerate() {
        let name = match &scope.item {
            None => branch.name.clone(),
            Some(item) => format!("{item}.{}", branch.name).into(),
        };
        let span = context.spans.open(bounds.parent, SpanKind::Step, name);
        let deadline =
            branch.timeout.map_or(bounds.deadline, |own| bounds.deadline.min(Instant::now() + own));
        let below = Bounds { deadline, parent: span.index() };
        spans.push(span.index());
        running.push(run_branch(context.clone(), plan.clone(), index, scope.branch(), below, span));
    }
    let mut race = Race {
        ended: plan.branches.iter().map(|_| None).collect(),
        won: 0,
        lost: None,
        decision: Decision::Wait,
    };
    while race.decision == Decision::Wait
        && let Some(branch) = running.next().await
    {
        race.take(plan, branch);
    }
    if !running.is_empty() {
        let open = race.ended.iter().zip(&spans).filter(|(ended, _)| ended.is_none());
        leave(context, plan.losers, running, open.map(|(_, span)| *span).collect());
    }
    join(plan, scope, race)
}

async fn run_branch(
    context: Arc<CallContext>,
    plan: Arc<ParallelPlan>,
    index: usize,
    mut scope: FlowScope,
    bounds: Bounds,
    span: SpanGuard,
) -> Ended {
    let result = run_steps(&context, &plan.branches[index].steps, &mut scope, bounds).await;
    span.finish(match &result {
        Ok(()) if scope.degraded.is_empty() => End::of(Outcome::Ok),
        Ok(()) => End::of(Outcome::Degraded),
        Err(stop) => end_of(stop),
    });
    Ended { index, scope, result }
}

fn decide(plan: &ParallelPlan, won: usize, lost: usize) -> Decision {
    let count = plan.branches.len();
    match plan.join {
        Join::All if lost > 0 && plan.on_fault == OnFault::Fail => Decision::Lost,
        Join::All if won + lost == count => Decision::Won,
        Join::All => Decision::Wait,
        Join::First | Join::NOfM if won >= plan.need => Decision::Won,
        Join::First | Join::NOfM if lost > count - plan.need => Decision::Lost,
        Join::First | Join::NOfM => Decision::Wait,
    }
}

/// Lets the losers go: cancelled here and now, or on their own until the deadline.
fn leave<F>(
    context: &Arc<CallContext>,
    losers: Losers,
    mut running: FuturesUnordered<F>,
    open: Vec<Option<u16>>,
) where
    F: Future<Output = Ended> + Send + 'static,
{
    if losers == Losers::Finish
        && let Ok(place) = BACKGROUND.try_acquire()
    {
        tokio::spawn(async move {
            // Every wait in a branch ends with its deadline, so this ends too.
            while running.next().await.is_some() {}
            drop(place);
        });
        return;
    }
    drop(running);
    open.into_iter().for_each(|span| context.spans.skip_below(span));
}

fn join(plan: &ParallelPlan, scope: &mut FlowScope, race: Race) -> Result<Done, Stop> {
    let Race { ended, won, lost, decision } = race;
    let mut stop = None;
    for (branch, ended) in plan.branches.iter().zip(ended) {
        let Some(ended) = ended else { continue };
        let outcome = match &ended.result {
            Ok(()) if ended.scope.degraded.is_empty() => StepOutcome::of("ok"),
            Ok(()) => StepOutcome {
                degraded_from: ended.scope.degraded.first().map(|(_, from)| *from),
                ..StepOutcome::of("degraded")
            },
            Err(stop) => StepOutcome::stop(stop),
        };
        scope.merge(ended.scope);
        scope.set_outcome(&branch.id, outcome);
        if let Err(found) = ended.result
            && lost == Some(ended.index)
        {
            stop = Some(found);
        }
    }
    match (decision, stop) {
        (Decision::Lost, Some(stop)) => Err(stop),
        _ => {
            let end =
                End::of(Outcome::Ok).note(&format!("{won} of {} branches succeeded", plan.branches.len()));
            Ok(Done { end, ..Done::ok(None) })
        }
    }
}
