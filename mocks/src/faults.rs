//! Faults and delays, compiled: which of a request's stub, dials and header decides, and whether it strikes now.
pub mod alter;
mod asked;
mod window;

pub use asked::asked;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use qiao_mappings::{Template, units};

use crate::{
    answer::Rendered,
    entropy::{Entropy, Fnv},
    functions::Environment,
    spec::{Delay, Dial, FaultKind, FaultSpec, Per, Proto, Target, WrongLength},
    state::Instance,
};
use window::Window;

/// Longest wait that a delay or fault may ask for.
pub const MAX_WAIT: Duration = Duration::from_secs(600);

/// A compiled fault.
#[derive(Debug)]
pub struct Fault {
    pub kind: FaultKind,
    /// HTTP status of `status`.
    pub status: u16,
    /// Wait of `no-answer`, `reset`, `drip` and `glued-frames`.
    pub after: Duration,
    /// Whole seconds, where given.
    retry_after: Option<u64>,
    /// Document of `business`, `maintenance` and `token-expired`.
    pub business: Option<Template>,
    /// Member of the answer's document.
    pub field: String,
    /// Milliseconds that the partner's clock is ahead.
    pub skew_ms: i64,
    pub length: WrongLength,
    /// The answer that `replay` gives.
    replayed: Mutex<Option<Rendered>>,
    window: Option<Window>,
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
        let business =
            spec.json.as_ref().and_then(|json| match Template::compile_with(json, &Environment::default()) {
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
            FaultKind::GluedFrames => Duration::from_secs(1),
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
        let skew = spec.skew.as_deref().map(skew_ms);
        if skew == Some(None) {
            wrong.push(("skew".into(), "a length of time such as 10m, ahead, or -10m, behind".into()));
        }
        let window = spec.window.as_deref().map(Window::parse);
        if window == Some(None) {
            wrong.push(("window".into(), "two times of day such as 22:00-06:00".into()));
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let whole = |after: &units::Duration| after.0.as_millis().div_ceil(1000).try_into().unwrap_or(1);
        Ok(Self {
            kind: spec.kind,
            status: spec.status.unwrap_or(503),
            after,
            retry_after: spec.retry_after.as_ref().map(whole),
            business,
            field: spec.field.clone().unwrap_or_default(),
            skew_ms: skew.flatten().unwrap_or(600_000),
            length: spec.length.unwrap_or_default(),
            replayed: Mutex::default(),
            window: window.flatten(),
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

    /// Starts counting anew, and forgets the answer that is replayed.
    pub fn reset(&self) {
        self.counter.store(0, Ordering::Relaxed);
        *self.replayed.lock() = None;
    }

    /// Whether a protocol can have it: a business document in its place travels everywhere.
    pub fn is_of(&self, proto: Proto) -> bool {
        self.business.is_some() || self.kind.is_of(proto)
    }

    /// Whether it changes the answer's document or how that is sealed, so that an answer encoded ahead will not do.
    pub fn is_of_document(&self) -> bool {
        use FaultKind::{BadSignature, StaleKey};
        self.business.is_some() || self.kind.is_of_field() || matches!(self.kind, BadSignature | StaleKey)
    }

    /// The first answer that it was shown.
    pub fn replay(&self, answer: Rendered) -> Rendered {
        self.replayed.lock().get_or_insert(answer).clone()
    }

    /// Whole seconds of `Retry-After`: as given, else to the end of the window, else 1.
    pub fn retry_after(&self, now_ms: i64) -> u64 {
        let left = || self.window.as_ref().map_or(1, |window| window.seconds_left(now_ms));
        self.retry_after.unwrap_or_else(left)
    }

    /// Whether it strikes this request at that Unix time in milliseconds. Counts, unless `dry`.
    fn strikes(&self, entropy: &Entropy, instance: Option<&mut Instance>, dry: bool, now_ms: i64) -> bool {
        if self.window.as_ref().is_some_and(|window| !window.holds(now_ms)) {
            return false;
        }
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

/// Milliseconds of `10m` or `-10m`.
fn skew_ms(text: &str) -> Option<i64> {
    let (sign, length) = text.strip_prefix('-').map_or((1, text), |length| (-1, length));
    let length: units::Duration = length.parse().ok()?;
    Some(sign * i64::try_from(length.0.as_millis()).ok().filter(|ms| *ms <= 366 * 86_400_000)?)
}

fn refuse_misplaced(spec: &FaultSpec, wrong: &mut Vec<Wrong>) {
    use FaultKind::{
        Business, ClockSkew, Drip, FieldExtra, GluedFrames, Maintenance, NoAnswer, Reset, Status, Throttle,
        TokenExpired,
    };
    let kind = spec.kind;
    let mut check = |key: &str, given: bool, fits: bool| {
        if given && !fits {
            wrong.push((key.to_owned(), format!("`{}` has no `{key}`", kind.name())));
        }
    };
    check("status", spec.status.is_some(), kind == Status);
    check("after", spec.after.is_some(), matches!(kind, NoAnswer | Reset | Drip | GluedFrames));
    check("retryAfter", spec.retry_after.is_some(), matches!(kind, Throttle | Maintenance));
    check("json", spec.json.is_some(), matches!(kind, Business | Maintenance | TokenExpired));
    check("field", spec.field.is_some(), kind.is_of_field());
    check("skew", spec.skew.is_some(), kind == ClockSkew);
    check("length", spec.length.is_some(), kind == FaultKind::WrongLength);
    check("per", spec.per.is_some() && spec.first.is_none() && spec.every.is_none(), false);
    check("per", spec.per == Some(Per::Key), !kind.is_beforehand(Proto::Http));
    if kind == Business && spec.json.is_none() {
        wrong.push((String::new(), "`business` needs `json`, the document that it answers".into()));
    }
    if kind.is_of_field() && kind != FieldExtra && spec.field.is_none() {
        let message = format!("`{}` needs `field`, the member of the answer that it changes", kind.name());
        wrong.push((String::new(), message));
    }
}

/// Why a fault cannot be laid over pushes.
fn unfit_for_pushes(spec: &FaultSpec) -> Option<Wrong> {
    let kind = spec.kind;
    if !kind.is_of_push() {
        return Some(("fault.kind".into(), format!("`{}` cannot occur on pushes", kind.name())));
    }
    let endless = kind == FaultKind::Maintenance && spec.window.is_none();
    endless
        .then(|| ("fault".into(), "pushes wait for the end of a window: `maintenance` needs `window`".into()))
}

/// A compiled delay.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    from: Duration,
    to: Duration,
    /// Log-normal around `from`, with this standard deviation of the logarithm.
    sigma: Option<f64>,
}

impl Wait {
    /// Compiles a delay.
    ///
    /// # Errors
    /// Neither `fixed` nor `from` and `to`, bounds that are reversed, more than [`MAX_WAIT`].
    pub fn compile(spec: &Delay) -> Result<Self, Vec<Wrong>> {
        let (from, to) = match (spec.fixed, spec.from, spec.to, spec.median, spec.sigma) {
            (Some(fixed), None, None, None, None) => (fixed.0, fixed.0),
            (None, Some(from), Some(to), None, None) if from <= to => (from.0, to.0),
            (None, None, None, Some(median), Some(_)) => (median.0, median.0),
            _ => {
                let message = "write `fixed`, or `from` and a larger `to`, or `median` and `sigma`";
                return Err(vec![(String::new(), message.into())]);
            }
        };
        if to > MAX_WAIT {
            return Err(vec![(String::new(), "at most 10m".into())]);
        }
        Ok(Self { from, to, sigma: spec.sigma })
    }

    /// Whether it differs from request to request.
    pub fn varies(&self) -> bool {
        self.from != self.to || self.sigma.is_some()
    }

    fn length(&self, entropy: &Entropy) -> Duration {
        if let Some(sigma) = self.sigma {
            // Box and Muller: two even draws make a normal one.
            let radius = (-2.0 * (1.0 - entropy.chance("delay")).ln()).sqrt();
            let normal = radius * (std::f64::consts::TAU * entropy.chance("delay angle")).cos();
            let factor = (sigma * normal).exp();
            let seconds = (self.from.as_secs_f64() * factor).min(MAX_WAIT.as_secs_f64());
            return Duration::try_from_secs_f64(seconds).unwrap_or(MAX_WAIT);
        }
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
        if spec.target.as_ref().is_some_and(|target| target.push.is_some()) {
            wrong.extend(spec.fault.as_ref().and_then(unfit_for_pushes));
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
    pub proto: Proto,
    /// Unix time in milliseconds by the mock partners' clock.
    pub now_ms: i64,
    pub item: Option<&'a str>,
    pub stub: Option<&'a str>,
    /// The step of a push; none for a request.
    pub push: Option<&'a str>,
    pub own_delay: Option<Wait>,
    pub own_fault: Option<&'a Arc<Fault>>,
    /// The request's own, from its header.
    pub asked: Option<Fault>,
}

impl Aim<'_> {
    /// Whether a fault that was found can strike here.
    fn can_have(&self, fault: &Fault) -> bool {
        if self.push.is_some() {
            return fault.kind.is_of_push();
        }
        fault.is_of(self.proto) && !fault.kind.is_beforehand(self.proto)
    }
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
/// `luck` gives the answer's random values, which few faults ask for.
pub fn apply<'d>(
    aim: Aim<'_>,
    dials: impl Iterator<Item = &'d LiveDial>,
    luck: &dyn Fn() -> Entropy,
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
            && aim.can_have(fault)
            && fault.strikes(&luck(), instance.as_deref_mut(), dry, aim.now_ms)
        {
            applied.fault = Some(Arc::clone(fault));
            applied.origin = format!("dial {}", dial.spec.id);
        }
    }
    applied.delay = wait.map_or(Duration::ZERO, |wait| wait.length(&luck()));
    if let Some(asked) = aim.asked {
        applied.fault = Some(Arc::new(asked));
        "request".clone_into(&mut applied.origin);
    } else if let (None, Some(fault)) = (&applied.fault, aim.own_fault)
        && aim.can_have(fault)
        && fault.strikes(&luck(), instance, dry, aim.now_ms)
    {
        applied.fault = Some(Arc::clone(fault));
        "stub".clone_into(&mut applied.origin);
    }
    applied
}

/// The first dial over a listener with a fault of the kinds wanted that strikes before there is a request: fault and dial's id.
pub fn beforehand<'d>(
    (listener, proto): (&str, Proto),
    wanted: &dyn Fn(FaultKind) -> bool,
    dials: impl Iterator<Item = &'d LiveDial>,
    entropy: &Entropy,
    (now, now_ms): (Instant, i64),
) -> Option<(Arc<Fault>, &'d str)> {
    let aim = Aim {
        listener,
        proto,
        now_ms,
        item: None,
        push: None,
        stub: None,
        own_delay: None,
        own_fault: None,
        asked: None,
    };
    dials.filter(|dial| dial.is_for(&aim, now)).find_map(|dial| {
        let fault = dial.fault.as_ref()?;
        let strikes = wanted(fault.kind) && fault.is_of(proto) && fault.strikes(entropy, None, false, now_ms);
        strikes.then(|| (Arc::clone(fault), dial.spec.id.as_str()))
    })
}

#[cfg(test)]
mod tests;
