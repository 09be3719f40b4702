//! What becomes of an accepted message for one number: drawn from the seed and the message, unless a stub or a fault decides.
use std::time::Duration;

use super::{settings::Reports, verdict::ReportOrder};
use crate::{entropy::Entropy, spec::FaultKind};

/// The fate of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Fate {
    pub stat: String,
    pub error: Option<u32>,
    /// From the answer to the report.
    pub after: Duration,
    /// How often the report is sent.
    pub times: u32,
    /// Whether it is sent before the answer.
    pub early: bool,
}

impl Fate {
    /// A fault goes before the stub's order, which goes before the settings.
    pub fn draw(reports: &Reports, order: &ReportOrder, fault: Option<FaultKind>, entropy: &Entropy) -> Self {
        let strikes = |purpose: &str, share: f64| entropy.chance(purpose) < share;
        let drawn = if strikes("never", reports.never) {
            0
        } else {
            1 + u32::from(strikes("duplicate", reports.duplicate))
        };
        let times = match fault {
            Some(FaultKind::Never) => 0,
            Some(FaultKind::Duplicate) => 2,
            _ => order.times.unwrap_or(drawn),
        };
        let early = match fault {
            Some(FaultKind::OutOfOrder) => true,
            _ => order.early.unwrap_or_else(|| strikes("early", reports.early)),
        };
        let (from, to) = reports.after;
        let spread = || from + to.saturating_sub(from).mul_f64(entropy.chance("after"));
        Self {
            stat: order.stat.clone().unwrap_or_else(|| stat(reports, entropy)),
            error: order.error,
            after: order.after.map_or_else(spread, |after| after.0),
            times,
            early,
        }
    }
}

fn stat(reports: &Reports, entropy: &Entropy) -> String {
    let all: u64 = reports.mix.iter().map(|(_, share)| u64::from(*share)).sum();
    // Shares are at most a few billion: exact in a double.
    #[allow(clippy::cast_precision_loss, reason = "a share out of thousands")]
    let mut point = entropy.chance("mix") * all as f64;
    for (stat, share) in &reports.mix {
        point -= f64::from(*share);
        if point < 0.0 {
            return stat.clone();
        }
    }
    "DELIVRD".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports() -> Reports {
        let mix = [("DELIVRD", 90), ("UNDELIV", 7), ("EXPIRED", 3)];
        Reports {
            after: (Duration::from_secs(1), Duration::from_secs(5)),
            mix: mix.into_iter().map(|(stat, share)| (stat.to_owned(), share)).collect(),
            duplicate: 0.05,
            early: 0.02,
            never: 0.04,
        }
    }

    fn drawn(seed: u64, number: u64, fault: Option<FaultKind>) -> Fate {
        let entropy = Entropy::of(seed, &[b"mobile", &number.to_le_bytes()], 0);
        Fate::draw(&reports(), &ReportOrder::default(), fault, &entropy)
    }

    #[test]
    fn shares_are_kept_over_many_messages_and_each_fate_is_the_same_again() {
        let fates: Vec<Fate> = (0..10_000).map(|number| drawn(1, number, None)).collect();
        let count = |fits: &dyn Fn(&Fate) -> bool| fates.iter().filter(|fate| fits(fate)).count();
        assert!((8_850..9_150).contains(&count(&|fate| fate.stat == "DELIVRD")));
        assert!((620..780).contains(&count(&|fate| fate.stat == "UNDELIV")));
        assert!((330..470).contains(&count(&|fate| fate.times == 0)));
        assert!((400..560).contains(&count(&|fate| fate.times == 2)));
        assert!((150..250).contains(&count(&|fate| fate.early)));
        assert!(fates.iter().all(|fate| (1..=5).contains(&fate.after.as_secs())));
        assert_eq!(fates[..50], (0..50).map(|number| drawn(1, number, None)).collect::<Vec<_>>());
        assert_ne!(fates[..50], (0..50).map(|number| drawn(2, number, None)).collect::<Vec<_>>());
    }

    #[test]
    fn a_fault_goes_before_the_order_and_the_order_before_the_settings() {
        assert_eq!(drawn(1, 1, Some(FaultKind::Never)).times, 0);
        assert_eq!(drawn(1, 1, Some(FaultKind::Duplicate)).times, 2);
        assert!(drawn(1, 1, Some(FaultKind::OutOfOrder)).early);
        let order = ReportOrder { stat: Some("MB:0066".into()), times: Some(3), ..ReportOrder::default() };
        let fate = Fate::draw(&reports(), &order, None, &Entropy::of(1, &[b"x"], 0));
        assert_eq!((fate.stat.as_str(), fate.times), ("MB:0066", 3));
    }
}
