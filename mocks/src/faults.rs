//! Faults and delays, compiled: which of a request's stub, dials and header decides, and whether it strikes now.
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use qiao_mappings::Template;

use crate::{
    entropy::{Entropy, Fnv},
    functions::Environment,
    spec::{Delay, Dial, FaultKind, FaultSpec, Per, Target},
    state::Instance,
};

/// Longest wait that a delay or fault may ask for.
pub const MAX_WAIT: Duration = Duration::from_secs(600);

/// A compiled fault.
#[derive(Debug)]
pub struct Fault {
    pub kind: FaultKind,
    /// HTTP status of `status`.
    pub status: u16,
    /// Wait of `no-answer`, `reset` and `drip`.
    pub after: Duration,
    /// Whole seconds of `throttle`.
    pub retry_after: u64,
    /// Document of `business`.
    pub business: Option<Template>,
    pick: Pick,
    per_key: bool,
    counter: AtomicU64,
    id: u64,
}

#[derive(Clone, Copy, Debug)]
enum Pick {
    Always,
    First(u64),
    Every(u64),
    Chance(f64),
}

/// A mistake in a delay, fault or dial, with its path below it.
pub type Wrong = (String, String);

impl Fault {
    /// Compiles a fault; `id` keeps its counts apart from others'.
    ///
    /// # Errors
    /// Settings that its kind does not have, several of `first`, `every` and `p`, a wait over [`MAX_WAIT`], a bad template.
    pub fn compile(spec: &FaultSpec, id: &str) -> Result<Self, Vec<Wrong>> {
        let mut wrong = Vec::new();
        refuse_misplaced(spec, &mut wrong);
        let business = spec.json.as_ref().and_then(|json| match Template::compile_with(json, &Environment) {
            Ok(template) => Some(template),
            Err(errors) => {
                wrong.extend(
                    errors.into_iter().map(|(path, error)| (under("json", &path), error.to_string())),
                );
                None
            }
        });
        let default = match spec.kind {
            FaultKind::NoAnswer => Duration::from_secs(300),
            FaultKind::Drip => Duration::from_secs(2),
            _ => Duration::ZERO,
        };
        let after = spec.after.map_or(default, |after| after.0);
        if after > MAX_WAIT {
            wrong.push(("after".into(), "at most 10m".into()));
        }
        let pick = match (spec.first, spec.every, spec.p) {
            (None, None, None) => Pick::Always,
            (Some(n), None, None) => Pick::First(n),
            (None, Some(n), None) => Pick::Every(n.max(1)),
            (None, None, Some(p)) => Pick::Chance(p),
            _ => {
                wrong.push((String::new(), "at most one of `first`, `every` and `p`".into()));
                Pick::Always
            }
        };
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let retry_after =
            spec.retry_after.map_or(1, |after| after.0.as_millis().div_ceil(1000).try_into().unwrap_or(1));
        Ok(Self {
            kind: spec.kind,
            status: spec.status.unwrap_or(503),
            after,
            retry_after,
            business,
            pick,
            per_key: spec.per == Some(Per::Key),
            counter: AtomicU64::new(0),
            id: Fnv::hash(id.as_bytes()),
        })
    }

    /// Whether it needs the business key's own count.
    pub fn needs_instance(&self) -> bool {
        self.per_key || matches!(self.pick, Pick::Chance(_))
    }

    /// Takes over the count of an unchanged fault on reload.
    pub fn inherit(&self, from: &Self) {
        self.counter.store(from.counter.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Starts counting anew.
    pub fn reset(&self) {
        self.counter.store(0, Ordering::Relaxed);
    }

    /// Whether it strikes this request. Counts, unless `dry`.
    fn strikes(&self, entropy: &Entropy, instance: Option<&mut Instance>, dry: bool) -> bool {
        let count = |instance: Option<&mut Instance>| match instance {
            Some(instance) if self.per_key => instance.tick(self.id),
            _ if dry => self.counter.load(Ordering::Relaxed) + 1,
            _ => self.counter.fetch_add(1, Ordering::Relaxed) + 1,
        };
        match self.pick {
            Pick::Always => true,
            Pick::First(n) => count(instance) <= n,
            Pick::Every(n) => count(instance).is_multiple_of(n),
            Pick::Chance(p) => entropy.chance(&format!("fault {:x}", self.id)) < p,
        }
    }
}

fn under(prefix: &str, path: &str) -> String {
    if path.is_empty() || path.starts_with('[') {
        format!("{prefix}{path}")
    } else {
        format!("{prefix}.{path}")
    }
}

fn refuse_misplaced(spec: &FaultSpec, wrong: &mut Vec<Wrong>) {
    use FaultKind::{Business, Drip, NoAnswer, Reset, Status, Throttle};
    let kind = spec.kind;
    let mut check = |key: &str, given: bool, fits: bool| {
        if given && !fits {
            wrong.push((key.to_owned(), format!("`{}` has no `{key}`", kind.name())));
        }
    };
    check("status", spec.status.is_some(), kind == Status);
    check("after", spec.after.is_some(), matches!(kind, NoAnswer | Reset | Drip));
    check("retryAfter", spec.retry_after.is_some(), kind == Throttle);
    check("json", spec.json.is_some(), kind == Business);
    check("per", spec.per.is_some() && spec.first.is_none() && spec.every.is_none(), false);
    if kind == Business && spec.json.is_none() {
        wrong.push((String::new(), "`business` needs `json`, the document that it answers".into()));
    }
}

/// A compiled delay.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    from: Duration,
    to: Duration,
}

impl Wait {
    /// Compiles a delay.
    ///
    /// # Errors
    /// Neither `fixed` nor `from` and `to`, bounds that are reversed, more than [`MAX_WAIT`].
    pub fn compile(spec: &Delay) -> Result<Self, Vec<Wrong>> {
        let (from, to) = match (spec.fixed, spec.from, spec.to) {
            (Some(fixed), None, None) => (fixed.0, fixed.0),
            (None, Some(from), Some(to)) if from <= to => (from.0, to.0),
            _ => return Err(vec![(String::new(), "write `fixed`, or `from` and a larger `to`".into())]),
        };
        if to > MAX_WAIT {
            return Err(vec![(String::new(), "at most 10m".into())]);
        }
        Ok(Self { from, to })
    }

    /// Whether it differs from request to request.
    pub fn varies(&self) -> bool {
        self.from != self.to
    }

    fn length(&self, entropy: &Entropy) -> Duration {
        self.from + (self.to - self.from).mul_f64(entropy.chance("delay"))
    }
}

/// A compiled dial.
#[derive(Debug)]
pub struct LiveDial {
    pub spec: Dial,
    pub delay: Option<Wait>,
    pub fault: Option<Arc<Fault>>,
    /// When it ends by itself.
    pub ends: Option<Instant>,
}

impl LiveDial {
    /// Compiles a dial that ends `ttl` from now.
    ///
    /// # Errors
    /// Those of its delay and fault, and a dial with neither.
    pub fn compile(
        spec: &Dial,
        partner: &str,
        ttl: Option<Duration>,
        now: Instant,
    ) -> Result<Self, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let mut keep = |prefix: &str, errors: Vec<Wrong>| {
            wrong.extend(errors.into_iter().map(|(path, message)| (under(prefix, &path), message)));
        };
        let delay =
            spec.delay.as_ref().and_then(|delay| Wait::compile(delay).map_err(|e| keep("delay", e)).ok());
        let id = format!("{partner} dial {}", spec.id);
        let fault = spec
            .fault
            .as_ref()
            .and_then(|fault| Fault::compile(fault, &id).map_err(|e| keep("fault", e)).ok());
        if spec.delay.is_none() && spec.fault.is_none() {
            wrong.push((String::new(), "a dial needs `delay` or `fault`".into()));
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self { spec: spec.clone(), delay, fault: fault.map(Arc::new), ends: ttl.map(|ttl| now + ttl) })
    }

    /// Whether it needs the business key's own count.
    pub fn needs_instance(&self) -> bool {
        self.delay.is_some_and(|delay| delay.varies())
            || self.fault.as_ref().is_some_and(|fault| fault.needs_instance())
    }

    fn is_for(&self, request: &Aim<'_>, now: Instant) -> bool {
        let fits = |wanted: &Option<String>, seen: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| seen == Some(wanted))
        };
        let everything = Target::default();
        let target = self.spec.target.as_ref().unwrap_or(&everything);
        self.ends.is_none_or(|ends| now < ends)
            && fits(&target.listener, Some(request.listener))
            && fits(&target.item, request.item)
            && fits(&target.stub, request.stub)
            && (fits(&target.push, request.push)
                || (request.push.is_some() && target.push.as_deref() == Some("*")))
    }
}

/// What dials are laid over.
pub struct Aim<'a> {
    pub listener: &'a str,
    pub item: Option<&'a str>,
    pub stub: Option<&'a str>,
    /// The step of a push; none for a request.
    pub push: Option<&'a str>,
    pub own_delay: Option<Wait>,
    pub own_fault: Option<&'a Arc<Fault>>,
    /// The request's own, from its header.
    pub asked: Option<Fault>,
}

/// What is done to one answer.
#[derive(Debug, Default)]
pub struct Applied {
    pub fault: Option<Arc<Fault>>,
    /// Where the fault came from: `stub`, `dial <id>`, `request`.
    pub origin: String,
    pub delay: Duration,
}

/// The request's own fault, else the first dial that is for it and strikes, else the stub's own; the same for the delay.
pub fn apply<'d>(
    aim: Aim<'_>,
    dials: impl Iterator<Item = &'d LiveDial>,
    entropy: &Entropy,
    mut instance: Option<&mut Instance>,
    dry: bool,
    now: Instant,
) -> Applied {
    let mut applied = Applied::default();
    let mut wait = aim.own_delay;
    let mut waits = false;
    for dial in dials.filter(|dial| dial.is_for(&aim, now)) {
        if let (false, Some(delay)) = (waits, dial.delay) {
            (wait, waits) = (Some(delay), true);
        }
        if let (None, None, Some(fault)) = (&applied.fault, &aim.asked, &dial.fault)
            && fault.strikes(entropy, instance.as_deref_mut(), dry)
        {
            applied.fault = Some(Arc::clone(fault));
            applied.origin = format!("dial {}", dial.spec.id);
        }
    }
    applied.delay = wait.map_or(Duration::ZERO, |wait| wait.length(entropy));
    if let Some(asked) = aim.asked {
        applied.fault = Some(Arc::new(asked));
        "request".clone_into(&mut applied.origin);
    } else if let (None, Some(fault)) = (&applied.fault, aim.own_fault)
        && fault.strikes(entropy, instance, dry)
    {
        applied.fault = Some(Arc::clone(fault));
        "stub".clone_into(&mut applied.origin);
    }
    applied
}

/// Reads `X-Mock-Fault`: a kind, and `status=503`, `after=2s`, `retryAfter=2s` behind semicolons.
///
/// # Errors
/// What it does not understand.
pub fn asked(header: &str) -> Result<Fault, String> {
    let mut parts = header.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let kind = FaultKind::named(name).ok_or_else(|| format!("X-Mock-Fault: there is no fault `{name}`"))?;
    let mut spec = FaultSpec {
        kind,
        status: None,
        after: None,
        retry_after: None,
        json: None,
        first: None,
        every: None,
        p: None,
        per: None,
    };
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let bad = || format!("X-Mock-Fault: `{part}` is not understood");
        match key {
            "status" => {
                let status = value.parse().ok().filter(|status| (400..=599).contains(status));
                spec.status = Some(status.ok_or_else(bad)?);
            }
            "after" => spec.after = Some(value.parse().map_err(|_| bad())?),
            "retryAfter" => spec.retry_after = Some(value.parse().map_err(|_| bad())?),
            _ => return Err(bad()),
        }
    }
    Fault::compile(&spec, "request").map_err(|wrong| {
        let (path, message) = wrong.into_iter().next().unwrap_or_default();
        format!("X-Mock-Fault: {path} {message}")
    })
}

#[cfg(test)]
mod tests;
