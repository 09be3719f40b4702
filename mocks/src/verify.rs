//! Verification of what the partners were asked: how often, in which order, and nothing else, within a deadline. It waits
//! for entries, it does not poll.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use qiao_mappings::units;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    catalogue::Catalogue,
    compile::report::{Place, Report},
    journal::{Entry, Journal, Record, Verdict},
    mask,
    question::Question,
    spec::Meant,
};

/// Longest wait.
pub const MAX_WITHIN: Duration = Duration::from_secs(60);
/// Ids told at most.
const MAX_IDS: usize = 100;
/// Entries that did not fit and are explained.
const NEAREST: usize = 3;
/// Entries read at once.
const STEP: usize = 1_000;

/// What is to be verified.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct VerifySpec {
    /// Only requests of this session; empty: the common one; left out: of all.
    #[serde(default)]
    pub session: Option<String>,
    /// Only requests to this partner.
    #[serde(default)]
    pub partner: Option<String>,
    /// Only entries from this id on.
    #[serde(default)]
    pub since: Option<u64>,
    /// Which requests are counted.
    #[serde(default)]
    pub when: Option<Meant>,
    /// Exactly as many.
    #[serde(default)]
    pub count: Option<u64>,
    /// At least as many; one when neither `count` nor `max` is given.
    #[serde(default)]
    pub min: Option<u64>,
    /// At most as many.
    #[serde(default)]
    pub max: Option<u64>,
    /// Requests that must come in this order, others between them or not.
    #[serde(default)]
    pub order: Vec<Meant>,
    /// Whether nothing may have come but what `when` and `order` mean.
    #[serde(default)]
    pub nothing_else: bool,
    /// How long is waited for it to hold; not at all when left out, 60s at most.
    #[serde(default)]
    pub within: Option<units::Duration>,
    /// How long nothing may come that breaks it once it holds; not looked at when left out.
    #[serde(default)]
    pub quiet: Option<units::Duration>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    pub ok: bool,
    /// How many were counted.
    pub matched: u64,
    /// Their ids, the first hundred.
    pub entries: Vec<u64>,
    /// What does not hold.
    pub failed: Vec<String>,
    /// The entries that came nearest to what is missing.
    pub nearest: Vec<Near>,
    pub waited_ms: u64,
}

/// An entry that is not meant, and why.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Near {
    pub id: u64,
    pub stub: Option<String>,
    pub criteria: Vec<Verdict>,
}

/// A compiled [`VerifySpec`].
pub struct Verification {
    spec: VerifySpec,
    when: Option<Question>,
    order: Vec<Question>,
}

impl Verification {
    /// Compiles it, or reports all its mistakes.
    pub fn compile(spec: VerifySpec, place: &Place<'_>, report: &mut Report) -> Self {
        let when = spec.when.as_ref().map(|meant| Question::compile(meant, &place.at("when"), report));
        let order = spec.order.iter().enumerate();
        let order =
            order.map(|(number, meant)| Question::compile(meant, &place.nth("order", number), report));
        let order = order.collect();
        if spec.count.is_some() && (spec.min.is_some() || spec.max.is_some()) {
            report.add(&place.at("count"), "`count`, or `min` and `max`, not both");
        }
        if spec.when.is_none() && (spec.count.is_some() || spec.min.is_some() || spec.max.is_some()) {
            report.add(place, "what is counted? `when` says it");
        }
        if spec.when.is_none() && spec.order.is_empty() && !spec.nothing_else {
            report.add(place, "one of when, order and nothingElse");
        }
        for (key, time) in [("within", spec.within), ("quiet", spec.quiet)] {
            if time.is_some_and(|time| time.0 > MAX_WITHIN) {
                report.add(&place.at(key), "at most 60s");
            }
        }
        Self { spec, when, order }
    }

    /// Looks at what came and, where it does not hold yet, waits for more.
    pub async fn run(
        &self,
        journal: &Journal,
        catalogue: &(dyn Fn() -> Arc<Catalogue> + Sync),
        raw: bool,
    ) -> Verified {
        let begun = Instant::now();
        let deadline = begun + self.spec.within.map_or(Duration::ZERO, |within| within.0);
        let quiet = self.spec.quiet.map(|quiet| quiet.0);
        let mut so_far = SoFar { next: self.spec.since.unwrap_or(0), ..SoFar::default() };
        let mut held: Option<Instant> = None;
        loop {
            // Before reading, so that no entry slips in between.
            let changed = journal.changed();
            so_far.read(self, journal, &catalogue());
            let failed = self.failed(&so_far);
            let until = match (failed.is_empty(), quiet) {
                (true, None) => return self.told(so_far, failed, begun, journal, &catalogue(), raw),
                (true, Some(quiet)) => *held.get_or_insert_with(Instant::now) + quiet,
                (false, _) if self.is_hopeless(&so_far) => {
                    return self.told(so_far, failed, begun, journal, &catalogue(), raw);
                }
                (false, _) => {
                    held = None;
                    deadline
                }
            };
            if tokio::time::timeout_at(until.into(), changed).await.is_err() {
                // What came at the last moment counts.
                so_far.read(self, journal, &catalogue());
                let failed = self.failed(&so_far);
                return self.told(so_far, failed, begun, journal, &catalogue(), raw);
            }
        }
    }

    fn most(&self) -> Option<u64> {
        self.spec.count.or(self.spec.max)
    }

    fn least(&self) -> u64 {
        let unsaid = u64::from(self.when.is_some() && self.spec.max.is_none());
        self.spec.count.or(self.spec.min).unwrap_or(unsaid)
    }

    /// What does not hold.
    fn failed(&self, so_far: &SoFar) -> Vec<String> {
        let mut failed = Vec::new();
        if so_far.matched < self.least() {
            failed.push(format!("{} matched, {} are wanted", so_far.matched, self.least()));
        }
        if let Some(most) = self.most().filter(|most| so_far.matched > *most) {
            failed.push(format!("{} matched, at most {most} are wanted", so_far.matched));
        }
        if so_far.order.len() < self.order.len() {
            failed.push(format!("order[{}] has not come after the ones before it", so_far.order.len()));
        }
        if self.spec.nothing_else && so_far.others > 0 {
            failed.push(format!("{} others came, the first is {}", so_far.others, so_far.first_other));
        }
        if so_far.forgotten {
            failed.push("older entries had to make room: give `since`, or the journal more bytes".into());
        }
        failed
    }

    /// Whether nothing that comes can make it hold.
    fn is_hopeless(&self, so_far: &SoFar) -> bool {
        self.most().is_some_and(|most| so_far.matched > most)
            || self.spec.nothing_else && so_far.others > 0
            || so_far.forgotten
    }

    fn told(
        &self,
        so_far: SoFar,
        failed: Vec<String>,
        begun: Instant,
        journal: &Journal,
        catalogue: &Catalogue,
        raw: bool,
    ) -> Verified {
        let nearest =
            if failed.is_empty() { Vec::new() } else { self.nearest(&so_far, journal, catalogue, raw) };
        Verified {
            ok: failed.is_empty(),
            matched: so_far.matched,
            entries: so_far.ids,
            failed,
            nearest,
            waited_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Of the last entries, those that are nearest to what is missing.
    fn nearest(&self, so_far: &SoFar, journal: &Journal, catalogue: &Catalogue, raw: bool) -> Vec<Near> {
        let missing = if so_far.matched < self.least() {
            self.when.as_ref()
        } else {
            self.order.get(so_far.order.len())
        };
        let Some(missing) = missing else { return Vec::new() };
        let from = so_far.next.saturating_sub(STEP as u64).max(self.spec.since.unwrap_or(0));
        let span = journal.span(from, STEP);
        let entries = span.entries.iter().map(Record::entry).filter(|entry| self.is_within(entry));
        let near = entries.filter_map(|entry| {
            let criteria = missing.verdicts(&entry, catalogue);
            let wrong = criteria.iter().filter(|verdict| !verdict.ok).count();
            let criteria =
                criteria.iter().map(|verdict| if raw { verdict.clone() } else { mask::verdict(verdict) });
            let stub = entry.stub.map(str::to_owned);
            (wrong > 0).then(|| (wrong, Near { id: entry.id, stub, criteria: criteria.collect() }))
        });
        let mut near: Vec<(usize, Near)> = near.collect();
        near.sort_by_key(|(wrong, near)| (*wrong, std::cmp::Reverse(near.id)));
        near.into_iter().take(NEAREST).map(|(_, near)| near).collect()
    }

    /// Whether an entry is looked at at all.
    fn is_within(&self, entry: &Entry<'_>) -> bool {
        let same =
            |wanted: &Option<String>, seen: &str| wanted.as_deref().is_none_or(|wanted| wanted == seen);
        same(&self.spec.session, entry.session) && same(&self.spec.partner, entry.partner)
    }
}

/// What was read so far.
#[derive(Default)]
struct SoFar {
    next: u64,
    matched: u64,
    ids: Vec<u64>,
    /// Ids of the entries that stand for `order`.
    order: Vec<u64>,
    others: u64,
    first_other: u64,
    begun: bool,
    forgotten: bool,
}

impl SoFar {
    fn read(&mut self, verification: &Verification, journal: &Journal, catalogue: &Catalogue) {
        loop {
            let span = journal.span(self.next, STEP);
            self.next = span.next;
            // Who names no beginning asks for what is there.
            self.forgotten |= span.forgotten && (verification.spec.since.is_some() || self.begun);
            self.begun = true;
            if span.entries.is_empty() {
                return;
            }
            for entry in span.entries.iter().map(Record::entry).filter(|entry| verification.is_within(entry))
            {
                self.take(verification, &entry, catalogue);
            }
        }
    }

    fn take(&mut self, verification: &Verification, entry: &Entry<'_>, catalogue: &Catalogue) {
        let counted = verification.when.as_ref().is_some_and(|when| when.fits(entry, catalogue));
        if counted {
            self.matched += 1;
            if self.ids.len() < MAX_IDS {
                self.ids.push(entry.id);
            }
        }
        let expected = verification.order.get(self.order.len());
        let in_order = expected.is_some_and(|expected| expected.fits(entry, catalogue));
        if in_order {
            self.order.push(entry.id);
        }
        if !counted && !in_order {
            self.others += 1;
            if self.others == 1 {
                self.first_other = entry.id;
            }
        }
    }
}
