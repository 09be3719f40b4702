//! Result codes and delivery states of the carriers, judged alike: done, worth a repeat, or refused.

/// What a sender should make of a result code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Accepted.
    Done,
    /// The carrier is busy or limits the flow: the same message may be sent again later.
    Again,
    /// The same message would be refused again.
    Refused,
}

/// One result code of a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultCode {
    /// The code on the wire.
    pub code: u32,
    /// What to do about it.
    pub advice: Advice,
    /// What it means.
    pub meaning: &'static str,
}

impl ResultCode {
    pub(crate) const fn new(code: u32, advice: Advice, meaning: &'static str) -> ResultCode {
        ResultCode { code, advice, meaning }
    }

    /// The entry of `code`; a code the table does not list is a refusal.
    pub(crate) fn find(table: &[ResultCode], code: u32) -> ResultCode {
        let listed = table.iter().find(|entry| entry.code == code).copied();
        listed.unwrap_or(ResultCode::new(code, Advice::Refused, "a code the protocol document does not list"))
    }
}

/// How far the delivery of a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// On the handset.
    Delivered,
    /// Will not be delivered.
    Failed,
    /// Not decided yet; another report follows. Drop this one.
    Intermediate,
    /// The carrier does not know.
    Unknown,
}

/// Message states of CMPP 3.0 §8.4.5.1 table 1 and SMGP 3.0 §6.2.63.1.
const STATES: &[(&[u8], DeliveryState)] = &[
    (b"DELIVRD", DeliveryState::Delivered),
    (b"EXPIRED", DeliveryState::Failed),
    (b"DELETED", DeliveryState::Failed),
    (b"UNDELIV", DeliveryState::Failed),
    (b"REJECTD", DeliveryState::Failed),
    (b"ACCEPTD", DeliveryState::Intermediate),
    (b"UNKNOWN", DeliveryState::Unknown),
];

/// Prefixes of `XX:nnnn`, an error inside the network (CMPP 3.0 §8.4.5.1 table 1): no delivery.
const NETWORK_ERRORS: &[&[u8]] =
    &[b"MA:", b"MB:", b"MC:", b"CA:", b"CB:", b"DA:", b"DB:", b"SA:", b"SB:", b"IA:", b"IB:", b"IC:"];

/// The state that the Stat text of a CMPP or SMGP status report names. A text of no table is
/// [`DeliveryState::Unknown`]: carriers add their own.
pub fn delivery_state(stat: &[u8]) -> DeliveryState {
    if let Some((_, state)) = STATES.iter().find(|(text, _)| *text == stat) {
        return *state;
    }
    if NETWORK_ERRORS.iter().any(|prefix| stat.starts_with(prefix)) {
        return DeliveryState::Failed;
    }
    DeliveryState::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_every_stat_of_a_status_report() {
        for (stat, state) in [
            ("DELIVRD", DeliveryState::Delivered),
            ("EXPIRED", DeliveryState::Failed),
            ("DELETED", DeliveryState::Failed),
            ("UNDELIV", DeliveryState::Failed),
            ("REJECTD", DeliveryState::Failed),
            ("ACCEPTD", DeliveryState::Intermediate),
            ("UNKNOWN", DeliveryState::Unknown),
            ("MB:0066", DeliveryState::Failed),
            ("IC:0001", DeliveryState::Failed),
            ("ZZ:0001", DeliveryState::Unknown),
            ("", DeliveryState::Unknown),
        ] {
            assert_eq!(delivery_state(stat.as_bytes()), state, "{stat}");
        }
    }

    #[test]
    fn a_code_of_no_table_is_a_refusal() {
        assert_eq!(ResultCode::find(&[], 7).advice, Advice::Refused);
    }
}
