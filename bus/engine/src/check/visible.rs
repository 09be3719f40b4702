//! A step reads only results that are there when it runs.
use qiao_mappings::strict::did_you_mean;

use super::{interfaces, walk};
use crate::{
    definitions::{Definitions, Step},
    mistake::{DefinitionId, PlanMistake},
};

/// The documents every flow sees beside its steps' results.
const FIXED: [&str; 6] = ["request", "headers", "caller", "call", "vars", "outcomes"];

/// A step reads only results that are there when it runs.
pub(super) fn steps(all: &Definitions, found: &mut Vec<PlanMistake>) {
    for (id, interface) in interfaces(all) {
        let mut declared = Vec::new();
        walk::steps(interface, &mut |step, path| {
            if let Some(name) = &step.id {
                declared.push((name.clone(), path.to_owned()));
            }
            if let Some(each) = &step.each {
                let name = each.name.clone().unwrap_or_else(|| "item".to_owned());
                let path = format!("{path}.each");
                declared.extend([(name, path.clone()), ("index".to_owned(), path)]);
            }
        });
        let mut reader = Reader { id, declared, found };
        reader.steps(&interface.flow, "flow", &mut Vec::new());
    }
}

struct Reader<'a> {
    id: DefinitionId,
    /// Every name with the path of its step.
    declared: Vec<(String, String)>,
    found: &'a mut Vec<PlanMistake>,
}

impl Reader<'_> {
    /// Adds to `visible` what the steps give.
    fn steps(&mut self, steps: &[Step], path: &str, visible: &mut Vec<String>) {
        for (index, step) in steps.iter().enumerate() {
            let place = format!("{path}[{index}]");
            self.readings(walk::readings(step, &place), &place, visible);
            let mut given = Vec::new();
            for (steps, path) in walk::inner(step, &place) {
                let mut within = visible.clone();
                if let Some(each) = &step.each {
                    within
                        .extend([each.name.clone().unwrap_or_else(|| "item".to_owned()), "index".to_owned()]);
                }
                self.steps(steps, &path, &mut within);
                if step.each.is_some() {
                    self.readings(walk::collected(step, &place), &place, &within);
                } else {
                    given.extend(within.into_iter().filter(|name| !visible.contains(name)));
                }
            }
            visible.extend(given);
            visible.extend(step.id.clone());
        }
    }

    fn readings(&mut self, readings: Vec<walk::Reading>, place: &str, visible: &[String]) {
        for reading in readings {
            for root in reading.roots {
                if !FIXED.contains(&root.as_str()) && !visible.contains(&root) {
                    let mistake = self.not_there(&root, &reading.path, place, visible);
                    self.found.push(mistake);
                }
            }
        }
    }

    fn not_there(&self, root: &str, path: &str, place: &str, visible: &[String]) -> PlanMistake {
        let Some((_, step)) = self.declared.iter().find(|(name, _)| name == root) else {
            let mistake =
                PlanMistake::new(self.id.clone(), path, format!("there is no document or step `{root}`"));
            let known = FIXED.into_iter().chain(visible.iter().map(String::as_str));
            return match did_you_mean(root, known) {
                Some(remedy) => mistake.with_remedy(remedy),
                None => mistake,
            };
        };
        let (message, remedy) = match parting(place, step) {
            _ if place == step || place.starts_with(&format!("{step}.")) => {
                ("is this step's own result".to_owned(), "read it in a later step")
            }
            Parting::Parallel => {
                (format!("runs at the same time, at {step}"), "read it after the parallel step")
            }
            Parting::Arms => {
                (format!("is in another arm, at {step}, which does not run then"), "read it after the branch")
            }
            Parting::InsideEach => (
                format!("is known only inside the each step, at {step}"),
                "collect it and read the step's result",
            ),
            Parting::Later => (format!("runs later, at {step}"), "move this step behind it"),
        };
        PlanMistake::new(self.id.clone(), path, format!("`{root}` {message}")).with_remedy(remedy)
    }
}

/// Why one step cannot see another.
enum Parting {
    Later,
    Parallel,
    Arms,
    InsideEach,
}

/// Looks at where two paths part.
fn parting(reader: &str, declared: &str) -> Parting {
    let common = reader.bytes().zip(declared.bytes()).take_while(|(a, b)| a == b).count();
    let (before, rest) = declared.split_at(common);
    match () {
        () if before.ends_with(".parallel.branches[") => Parting::Parallel,
        () if before.ends_with(".branch[") => Parting::Arms,
        () if rest.contains(".each") => Parting::InsideEach,
        () => Parting::Later,
    }
}
