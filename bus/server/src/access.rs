//! Who may call what, now: identify and admit, everything cheap first. Limits live here, because they outlast a plan.
use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use governor::{DefaultDirectRateLimiter, RateLimiter};
use http::{HeaderMap, HeaderName};
use qiao_core::{Fault, fault_codes};
use qiao_engine::{
    definitions::grant::Rate,
    plan::{CallerPlan, GrantPlan, InterfacePlan, Plan},
};

/// Names the caller.
pub static APP_ID: HeaderName = HeaderName::from_static("x-app-id");
/// Proves a caller that has a shared key.
pub static APP_KEY: HeaderName = HeaderName::from_static("x-app-key");

const DAY_US: i64 = 86_400_000_000;
/// Asia/Shanghai is eight hours ahead of UTC all year.
const SHANGHAI_US: i64 = 8 * 3_600_000_000;

type Gates = HashMap<Arc<str>, HashMap<Arc<str>, Vec<Arc<Gate>>>>;

/// The limits of a plan's callers and grants. Built once per plan; counters are taken over from the plan before.
#[derive(Default)]
pub struct Access {
    callers: HashMap<Arc<str>, Arc<Limiter>>,
    gates: Gates,
}

/// One grant for one interface.
struct Gate {
    grant: Arc<GrantPlan>,
    rate: Option<Arc<Limiter>>,
    quota: Option<Arc<DayCounter>>,
}

impl Access {
    pub fn new(plan: &Plan, previous: Option<&Access>) -> Self {
        let callers = plan
            .callers()
            .filter_map(|caller| {
                let rate = caller.rate?;
                let kept = previous
                    .and_then(|access| access.callers.get(&caller.id))
                    .filter(|kept| kept.is_of(rate));
                Some((Arc::clone(&caller.id), kept.cloned().unwrap_or_else(|| Arc::new(Limiter::new(rate)))))
            })
            .collect();
        let gates =
            plan.callers().map(|caller| (Arc::clone(&caller.id), gates(plan, caller, previous))).collect();
        Self { callers, gates }
    }

    /// What lets this caller call this interface now: its grants whose window is open. Nothing is counted yet.
    pub fn granted<'a>(
        &'a self,
        caller: &'a CallerPlan,
        interface: &InterfacePlan,
        now_us: i64,
    ) -> Result<Granted<'a>, Fault> {
        let gates = self
            .gates
            .get(&caller.id)
            .and_then(|gates| gates.get(&interface.id))
            .map_or(&[][..], Vec::as_slice);
        if gates.is_empty() {
            return Err(Fault::new(
                &fault_codes::NOT_GRANTED,
                format!("no grant lets {} call {}", caller.id, interface.id),
            ));
        }
        if !gates.iter().any(|gate| gate.grant.window.is_open(now_us)) {
            let detail = format!("outside the window of {}", gates[0].grant.id);
            return Err(Fault::new(&fault_codes::WINDOW_CLOSED, detail));
        }
        Ok(Granted { caller: &caller.id, limiter: self.callers.get(&caller.id), gates, now_us })
    }
}

/// Grants that are open; their limits are still to be asked.
pub struct Granted<'a> {
    caller: &'a str,
    limiter: Option<&'a Arc<Limiter>>,
    gates: &'a [Arc<Gate>],
    now_us: i64,
}

impl Granted<'_> {
    /// Counts the call against the caller's rate, then against the rate and quota of the first grant that has room.
    pub fn take(self) -> Result<Taken, Fault> {
        if let Some(limiter) = self.limiter {
            limiter.check(|| format!("caller {}", self.caller))?;
        }
        let mut refused = None;
        for gate in self.gates.iter().filter(|gate| gate.grant.window.is_open(self.now_us)) {
            match gate.take(self.now_us) {
                Ok(taken) => return Ok(taken),
                Err(fault) => refused = refused.or(Some(fault)),
            }
        }
        Err(refused.unwrap_or_else(|| Fault::new(&fault_codes::WINDOW_CLOSED, "no grant is open")))
    }
}

impl Gate {
    fn take(&self, now_us: i64) -> Result<Taken, Fault> {
        let used_up = || {
            Fault::new(
                &fault_codes::QUOTA_EXCEEDED,
                format!("the day's quota of {} is used up", self.grant.id),
            )
            .with_retry_after(until_tomorrow(now_us))
        };
        // A used-up quota must not cost the rate, and a refusal by the rate must not cost the quota.
        if self.quota.as_ref().is_some_and(|quota| quota.is_used_up(now_us)) {
            return Err(used_up());
        }
        if let Some(rate) = &self.rate {
            rate.check(|| format!("grant {}", self.grant.id))?;
        }
        match &self.quota {
            Some(quota) if !quota.take(now_us) => Err(used_up()),
            quota => Ok(Taken { quota: quota.clone(), day: day(now_us) }),
        }
    }
}

/// A call that was counted.
pub struct Taken {
    quota: Option<Arc<DayCounter>>,
    day: u64,
}

impl Taken {
    /// Takes the count back: whoever cannot prove to be the caller must not use up the caller's quota.
    pub fn give_back(self) {
        if let Some(quota) = self.quota {
            quota.give_back(self.day);
        }
    }
}

/// The caller a request names and, for callers with a shared key, proves to be. Sealed requests are proven when they are opened.
pub fn identify(plan: &Plan, headers: &HeaderMap) -> Result<Arc<CallerPlan>, Fault> {
    let unknown = |why: &'static str| Fault::new(&fault_codes::UNKNOWN_CALLER, why);
    let mut named = headers.get_all(&APP_ID).iter();
    let name = named.next().ok_or_else(|| unknown("the header X-App-Id is missing"))?;
    if named.next().is_some() {
        return Err(unknown("the header X-App-Id is there twice"));
    }
    let name = name.to_str().map_err(|_| unknown("the header X-App-Id is not text"))?;
    let caller = plan.caller(name).ok_or_else(|| unknown("no caller has the id in X-App-Id"))?;
    if caller.off {
        return Err(unknown("the caller is switched off"));
    }
    caller.prove(headers.get(&APP_KEY).map(http::HeaderValue::as_bytes))?;
    Ok(Arc::clone(caller))
}

fn gates(plan: &Plan, caller: &CallerPlan, previous: Option<&Access>) -> HashMap<Arc<str>, Vec<Arc<Gate>>> {
    let kept = previous.and_then(|access| access.gates.get(&caller.id));
    plan.interfaces()
        .filter_map(|interface| {
            let grants = plan.grants(&caller.id, &interface.id);
            let kept = kept.and_then(|kept| kept.get(&interface.id)).map_or(&[][..], Vec::as_slice);
            let gates: Vec<_> = grants.iter().map(|grant| gate(grant, kept)).collect();
            (!gates.is_empty()).then(|| (Arc::clone(&interface.id), gates))
        })
        .collect()
}

/// A gate for the new plan's grant, which goes on with the counters of the old one where the limit is the same.
fn gate(grant: &Arc<GrantPlan>, kept: &[Arc<Gate>]) -> Arc<Gate> {
    let before = kept.iter().find(|gate| gate.grant.id == grant.id);
    let rate = grant.rate.map(|rate| {
        let kept = before.and_then(|gate| gate.rate.as_ref()).filter(|kept| kept.is_of(rate));
        kept.cloned().unwrap_or_else(|| Arc::new(Limiter::new(rate)))
    });
    let quota = grant.quota.map(|quota| {
        let kept = before.and_then(|gate| gate.quota.as_ref());
        let used = kept.map_or(0, |kept| kept.state.load(Ordering::Relaxed));
        match kept.filter(|kept| kept.most == quota.per_day) {
            Some(kept) => Arc::clone(kept),
            None => Arc::new(DayCounter { most: quota.per_day, state: AtomicU64::new(used) }),
        }
    });
    Arc::new(Gate { grant: Arc::clone(grant), rate, quota })
}

/// A rate with its burst (GCRA, lock-free).
struct Limiter {
    rate: Rate,
    limiter: DefaultDirectRateLimiter,
}

impl Limiter {
    fn new(rate: Rate) -> Self {
        let per_second = NonZeroU32::new(rate.per_second).unwrap_or(NonZeroU32::MIN);
        let burst = rate.burst.and_then(NonZeroU32::new).unwrap_or(per_second);
        let quota = governor::Quota::per_second(per_second).allow_burst(burst);
        Self { rate, limiter: RateLimiter::direct(quota) }
    }

    fn is_of(&self, rate: Rate) -> bool {
        self.rate.per_second == rate.per_second && self.rate.burst == rate.burst
    }

    fn check(&self, whose: impl Fn() -> String) -> Result<(), Fault> {
        self.limiter.check().map_err(|not_until| {
            let wait = not_until
                .wait_time_from(governor::clock::Clock::now(&governor::clock::DefaultClock::default()));
            Fault::new(&fault_codes::RATE_LIMITED, format!("the rate of {} is used up", whose()))
                .with_retry_after(wait)
        })
    }
}

/// Calls of one calendar day: the day in the upper 24 bits, the count below.
struct DayCounter {
    most: u64,
    state: AtomicU64,
}

const COUNT_BITS: u32 = 40;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

impl DayCounter {
    /// Counts one more call, or refuses it. A refused call is not counted.
    fn take(&self, now_us: i64) -> bool {
        let day = day(now_us);
        let counted = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
            let used = if state >> COUNT_BITS == day { state & COUNT_MASK } else { 0 };
            (used < self.most).then_some((day << COUNT_BITS) | (used + 1))
        });
        counted.is_ok()
    }

    fn is_used_up(&self, now_us: i64) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        state >> COUNT_BITS == day(now_us) && state & COUNT_MASK >= self.most
    }

    fn give_back(&self, day: u64) {
        let counted = |state: u64| (state >> COUNT_BITS == day && state & COUNT_MASK > 0).then(|| state - 1);
        // A new day began meanwhile: there is nothing to give back.
        self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted).unwrap_or_default();
    }
}

/// The calendar day at Asia/Shanghai, counted from 1970-01-01.
fn day(now_us: i64) -> u64 {
    u64::try_from((now_us + SHANGHAI_US).div_euclid(DAY_US)).unwrap_or(0)
}

/// How long until a quota starts anew.
fn until_tomorrow(now_us: i64) -> Duration {
    let past = (now_us + SHANGHAI_US).rem_euclid(DAY_US);
    Duration::from_micros(u64::try_from(DAY_US - past).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counter_refuses_above_its_quota_and_starts_anew_at_midnight_in_shanghai() {
        let counter = DayCounter { most: 2, state: AtomicU64::new(0) };
        let midnight = 20_000 * DAY_US - SHANGHAI_US;
        assert!(counter.take(midnight - 1));
        assert!(counter.take(midnight - 1));
        assert!(!counter.take(midnight - 1));
        assert!(counter.take(midnight));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_another_days_count_stays() {
        let counter = DayCounter { most: 1, state: AtomicU64::new(0) };
        let noon = 20_000 * DAY_US;
        assert!(counter.take(noon));
        assert!(counter.is_used_up(noon));
        counter.give_back(day(noon));
        assert!(!counter.is_used_up(noon) && counter.take(noon));
        counter.give_back(day(noon + DAY_US));
        assert!(counter.is_used_up(noon));
        assert_eq!(until_tomorrow(20_000 * DAY_US - SHANGHAI_US + 1_000_000), Duration::from_secs(86_399));
    }

    #[test]
    fn a_rate_refuses_after_its_burst_and_says_when_to_come_back() {
        let limiter = Limiter::new(Rate { per_second: 1, burst: Some(2) });
        limiter.check(String::new).expect("first");
        limiter.check(String::new).expect("second");
        let refusal = limiter.check(|| "grant x".to_owned()).expect_err("third");
        assert_eq!(refusal.code(), &fault_codes::RATE_LIMITED);
        assert!(refusal.retry_after().is_some_and(|wait| !wait.is_zero()));
    }
}
