//! When an attempt is repeated, and after how long: only where a repeat is safe, only while there is time.
use std::time::Duration;

use qiao_core::{Fault, Repeat, fault_codes};

use crate::definitions::partner::Retry as RetryDefinition;

const FIRST: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_secs(2);

/// How often and how patiently an operation is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts at most, the first included.
    pub attempts: u32,
    first: Duration,
    most: Duration,
}

impl RetryPolicy {
    /// One attempt where nothing is declared.
    pub fn new(definition: Option<&RetryDefinition>) -> Self {
        let Some(definition) = definition else {
            return Self { attempts: 1, first: FIRST, most: MOST };
        };
        Self {
            attempts: definition.attempts.clamp(1, 10),
            first: definition.first.map_or(FIRST, |first| first.0),
            most: definition.most.map_or(MOST, |most| most.0),
        }
    }

    /// The wait before attempt `next` (1 is the second attempt), jittered by a fifth either way: `dice` is 0 to 1.
    pub fn wait(&self, next: u32, dice: f64) -> Duration {
        let doubled =
            self.first.saturating_mul(1_u32.checked_shl(next.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.most).mul_f64(0.8 + 0.4 * dice.clamp(0.0, 1.0))
    }
}

/// Whether an attempt that ended in `fault` may be made again. `keyed`: the partner recognises a repeat by its
/// idempotency header.
pub fn may_repeat(fault: &Fault, changing: bool, keyed: bool) -> bool {
    let code = fault.code();
    if code == &fault_codes::PARTNER_DOWN || code == &fault_codes::PARTNER_TRY_LATER {
        return true;
    }
    let lost = code == &fault_codes::PARTNER_TIMEOUT || code == &fault_codes::PARTNER_PROTOCOL;
    lost && (!changing || keyed || fault.repeat() == Repeat::Safe)
}

/// Whether an attempt that ended in `fault` tells that the partner is not well.
pub fn counts_against_partner(fault: &Fault) -> bool {
    [
        &fault_codes::PARTNER_DOWN,
        &fault_codes::PARTNER_TIMEOUT,
        &fault_codes::PARTNER_PROTOCOL,
        &fault_codes::PARTNER_TRY_LATER,
    ]
    .contains(&fault.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Duration as Length;

    #[test]
    fn repeats_only_what_is_safe_to_repeat() {
        let lost = || Fault::new(&fault_codes::PARTNER_TIMEOUT, "");
        let unsent = || Fault::new(&fault_codes::PARTNER_TIMEOUT, "").with_repeat(Repeat::Safe);
        let broken = || Fault::new(&fault_codes::PARTNER_PROTOCOL, "");
        let down = || Fault::new(&fault_codes::PARTNER_DOWN, "");
        let later = || Fault::new(&fault_codes::PARTNER_TRY_LATER, "");
        let refused = || Fault::new(&fault_codes::PARTNER_REFUSED, "");
        let unknown = || Fault::new(&fault_codes::PARTNER_RESULT_UNKNOWN, "");
        let open = || Fault::new(&fault_codes::BREAKER_OPEN, "");
        // fault, then whether it repeats when: not changing, changing, changing with a key
        let table = [
            (lost(), [true, false, true]),
            (unsent(), [true, true, true]),
            (broken(), [true, false, true]),
            (down(), [true, true, true]),
            (later(), [true, true, true]),
            (refused(), [false, false, false]),
            (unknown(), [false, false, false]),
            (open(), [false, false, false]),
        ];
        for (fault, expected) in table {
            let found = [(false, false), (true, false), (true, true)]
                .map(|(changing, keyed)| may_repeat(&fault, changing, keyed));
            assert_eq!(found, expected, "{fault}");
        }
    }

    #[test]
    fn waits_double_up_to_the_most_with_a_fifth_of_jitter() {
        let policy = RetryPolicy::new(Some(&RetryDefinition {
            attempts: 5,
            first: Some(Length(Duration::from_millis(100))),
            most: Some(Length(Duration::from_millis(350))),
        }));
        let middle = |next| policy.wait(next, 0.5).as_millis();
        assert_eq!([middle(1), middle(2), middle(3), middle(40)], [100, 200, 350, 350]);
        assert_eq!(policy.wait(1, 0.0).as_millis(), 80);
        assert_eq!(policy.wait(1, 1.0).as_millis(), 120);
    }
}
