//! Compiles the steps that hold steps: branch, parallel, each.
use std::sync::Arc;

use super::FlowCompiler;
use crate::{
    definitions::flow::{BranchArm, EachStep, Join, ParallelStep},
    plan::flow::{ArmPlan, BranchPlan, EachPlan, ParallelPlan, StepKind},
};

const CONCURRENCY: u32 = 4;
const MOST_ITEMS: u32 = 1000;

impl FlowCompiler<'_, '_> {
    pub(super) fn branch(&mut self, arms: &[BranchArm], path: &str, prefix: &str) -> Option<StepKind> {
        let mut compiled = Vec::with_capacity(arms.len());
        for (index, arm) in arms.iter().enumerate() {
            let place = format!("{path}[{index}].when");
            if arm.when.is_none() && index + 1 < arms.len() {
                self.draft.wrong(
                    &place,
                    "only the last arm may leave its condition out: the arms after it never run",
                );
            }
            let when = self.draft.condition(&place, arm.when.as_ref());
            if let Some(Some(when)) = &when {
                self.reads(&place, when.roots());
            }
            let steps = self.steps(&arm.steps, &format!("{path}[{index}].steps"), prefix);
            if let (Some(when), Some(steps)) = (when, steps) {
                compiled.push(ArmPlan { when, steps });
            }
        }
        (compiled.len() == arms.len()).then_some(StepKind::Branch(compiled))
    }

    pub(super) fn parallel(&mut self, step: &ParallelStep, path: &str, prefix: &str) -> Option<StepKind> {
        let count = step.branches.len();
        let need = match (step.join, step.need) {
            (Join::All, None) => count,
            (Join::First, None) => 1,
            (Join::NOfM, Some(need)) if need >= 1 && need as usize <= count => need as usize,
            (Join::NOfM, _) => {
                self.draft
                    .wrong(&format!("{path}.need"), format!("`n-of-m` needs a number from 1 to {count}"));
                return None;
            }
            (_, Some(_)) => {
                self.draft.wrong(&format!("{path}.need"), "only `join: n-of-m` takes `need`");
                return None;
            }
        };
        if count == 0 {
            self.draft.wrong(&format!("{path}.branches"), "at least one branch");
        }
        let mut branches = Vec::with_capacity(count);
        for (index, branch) in step.branches.iter().enumerate() {
            let name = match prefix {
                "" => branch.name.clone(),
                _ => format!("{prefix}.{}", branch.name),
            };
            if let Some(steps) = self.steps(&branch.steps, &format!("{path}.branches[{index}].steps"), &name)
            {
                let timeout = branch.timeout.map(|timeout| timeout.0);
                branches.push(BranchPlan {
                    id: branch.name.as_str().into(),
                    name: name.into(),
                    timeout,
                    steps,
                });
            }
        }
        let whole = count > 0 && branches.len() == count;
        whole.then(|| {
            let (join, losers, on_fault) = (step.join, step.losers, step.on_fault);
            StepKind::Parallel(Arc::new(ParallelPlan { join, need, losers, on_fault, branches }))
        })
    }

    pub(super) fn each(&mut self, step: &EachStep, path: &str) -> Option<StepKind> {
        let over = self.selector(&format!("{path}.over"), &step.over);
        let name = step.name.as_deref().unwrap_or("item");
        if self.outcomes.contains_key(name) || super::FIXED.contains(&name) {
            self.draft.wrong(&format!("{path}.as"), format!("`{name}` is taken already"));
        }
        let (item, index) = (self.slot(name), self.slot("index"));
        // Spans inside are named from the item on; the item's own name is known when it runs.
        let steps = self.steps(&step.steps, &format!("{path}.steps"), "");
        let collect = match &step.collect {
            None => Some(None),
            Some(collect) => self.template(&format!("{path}.collect"), collect).map(Some),
        };
        let last = step.steps.iter().rev().find_map(|step| step.id.as_deref()).map(|id| self.slot(id));
        Some(StepKind::Each(Arc::new(EachPlan {
            over: over?,
            item,
            index,
            concurrency: step.concurrency.unwrap_or(CONCURRENCY).clamp(1, 256) as usize,
            most: step.most.unwrap_or(MOST_ITEMS) as usize,
            on_fault: step.on_fault,
            need: step.need.unwrap_or(0) as usize,
            steps: steps?,
            collect: collect?,
            last,
        })))
    }
}
