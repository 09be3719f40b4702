//! Compiles the step that asks a partner, with its stand-ins.
use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
};

use qiao_mappings::MappingSpec;

use super::FlowCompiler;
use crate::{
    definitions::{
        flow::{CallStep, Degrade, DegradeOn, LastGood},
        partner::Retry,
    },
    partner::retry::RetryPolicy,
    plan::{
        flow::{AskPlan, CallPlan, DegradePlan, LastGoodPlan},
        system::SystemPlan,
    },
};

const KEPT_ENTRIES: u32 = 10_000;

impl FlowCompiler<'_, '_> {
    pub(super) fn call(&mut self, step: &CallStep, path: &str, name: &str) -> Option<CallPlan> {
        let names = (step.system.as_str(), step.operation.as_str());
        let mappings = (step.with.as_ref(), step.answer.as_ref());
        let ask = self.ask(path, names, mappings, step.retry.as_ref());
        let degrade = match &step.degrade {
            None => Some(None),
            Some(degrade) => {
                let system = ask.as_ref().map(|ask| ask.system.clone());
                self.degrade(degrade, &format!("{path}.degrade"), step, name, system.as_deref()).map(Some)
            }
        };
        Some(CallPlan {
            ask: ask?,
            timeout: step.timeout.map(|timeout| timeout.0),
            degrade: degrade?,
            on_fault: step.on_fault.unwrap_or_default(),
        })
    }

    fn ask(
        &mut self,
        path: &str,
        (system_id, operation_id): (&str, &str),
        (with, answer): (Option<&MappingSpec>, Option<&MappingSpec>),
        retry: Option<&Retry>,
    ) -> Option<AskPlan> {
        let with = self.mapping_over(&format!("{path}.with"), with, None);
        let answer = self.mapping_over(&format!("{path}.answer"), answer, Some("body"));
        let Some(system) = self.systems.get(system_id) else {
            if !(self.defined)(system_id) {
                let place = format!("{path}.system");
                let remedy =
                    qiao_mappings::strict::did_you_mean(system_id, self.systems.keys().map(String::as_str));
                let message = format!("there is no system `{system_id}`");
                match remedy {
                    Some(remedy) => self.draft.wrong_so(&place, message, remedy),
                    None => self.draft.wrong(&place, message),
                }
            }
            return None;
        };
        let Some(operation) = system.operations.get(operation_id) else {
            let known = system.operations.keys().map(String::as_str);
            let remedy = qiao_mappings::strict::did_you_mean(operation_id, known).unwrap_or_default();
            let message = format!("system `{system_id}` offers no `{operation_id}`");
            self.draft.wrong_so(&format!("{path}.operation"), message, remedy);
            return None;
        };
        Some(AskPlan {
            system: system.clone(),
            operation: operation.clone(),
            with: with?,
            answer: answer?,
            retry: retry.map_or(system.retry, |retry| RetryPolicy::new(Some(retry))),
        })
    }

    /// A mapping over the flow's documents and, in answers, the business document answered.
    fn mapping_over(
        &mut self,
        path: &str,
        spec: Option<&MappingSpec>,
        extra: Option<&str>,
    ) -> Option<Option<qiao_mappings::Mapping>> {
        let mapping = self.draft.optional_mapping(path, spec)?;
        if let Some(mapping) = &mapping {
            let roots: Vec<_> =
                mapping.roots().iter().filter(|root| Some(root.as_str()) != extra).cloned().collect();
            self.reads(path, &roots);
        }
        Some(mapping)
    }

    fn degrade(
        &mut self,
        degrade: &Degrade,
        path: &str,
        step: &CallStep,
        name: &str,
        system: Option<&SystemPlan>,
    ) -> Option<DegradePlan> {
        if degrade.alternative.is_none() && degrade.last_good.is_none() && degrade.fixed.is_none() {
            self.draft
                .wrong(path, "names no stand-in: at least one of `alternative`, `lastGood` and `static`");
        }
        let alternative = match &degrade.alternative {
            None => Some(None),
            Some(other) => {
                let names = (other.system.as_str(), other.operation.as_str());
                let mappings = (other.with.as_ref(), other.answer.as_ref());
                self.ask(&format!("{path}.alternative"), names, mappings, None).map(Some)
            }
        };
        let last_good = match &degrade.last_good {
            None => Some(None),
            Some(kept) => self.last_good(kept, &format!("{path}.lastGood"), step, name, system).map(Some),
        };
        let fixed = match &degrade.fixed {
            None => Some(None),
            Some(fixed) => self.template(&format!("{path}.static"), fixed).map(Some),
        };
        let on = match degrade.on.as_slice() {
            [] => vec![DegradeOn::Unavailable, DegradeOn::Timeout],
            on => on.to_vec(),
        };
        Some(DegradePlan { on, alternative: alternative?, last_good: last_good?, fixed: fixed? })
    }

    fn last_good(
        &mut self,
        kept: &LastGood,
        path: &str,
        step: &CallStep,
        name: &str,
        system: Option<&SystemPlan>,
    ) -> Option<LastGoodPlan> {
        let place = format!("{path}.key");
        let key = self.draft.expression(&place, &kept.key)?;
        self.reads(&place, key.roots());
        let system = system?;
        let mut hasher = DefaultHasher::new();
        (self.interface, name, serde_json::to_string(step).ok()).hash(&mut hasher);
        let identity = hasher.finish();
        self.kept.push((system.id.clone(), identity));
        let entries = kept.entries.unwrap_or(KEPT_ENTRIES) as usize;
        Some(LastGoodPlan {
            key,
            max_age: kept.max_age.0,
            answers: system.state.last_good(identity, entries),
        })
    }
}
