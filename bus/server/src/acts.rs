//! What operators do, recorded as calls of the bus itself (`bus.reveal`, `bus.login`): in the same log, chain and listings.
use std::sync::Arc;

use qiao_core::{CallId, CallRecord, Clock, Outcome, Span, SpanKind, SystemClock};

/// Who is at the admin API: an operator's name, or [`MACHINE`].
#[derive(Clone, Debug)]
pub struct Who(pub Arc<str>);

/// Whoever has the node's own token: commands on its machine.
pub const MACHINE: &str = "local";

/// Bytes of what a record tells of an act.
const MOST_NOTE: usize = 256;

/// The record of an act; `note` says what it was done to, from where and why. It is cut to 256 bytes.
pub fn record(act: &str, who: &str, outcome: Outcome, status: u16, note: &str) -> CallRecord {
    let mut end = note.len().min(MOST_NOTE);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    let span = Span {
        parent: None,
        kind: SpanKind::Phase,
        name: act.into(),
        start_us: 0,
        duration_us: 0,
        outcome,
        fault: None,
        bytes_out: 0,
        bytes_in: 0,
        note: Some(note[..end].into()),
    };
    CallRecord {
        id: CallId::generate(),
        interface: format!("bus.{act}").into(),
        caller: who.into(),
        plan: 0,
        started_us: SystemClock.now_us(),
        duration_us: 0,
        outcome,
        fault: None,
        status,
        bytes_in: 0,
        bytes_out: 0,
        request_id: None,
        trace_id: None,
        mocked: false,
        spans: vec![span],
        keys: Vec::new(),
        bodies: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_is_a_call_of_the_bus_with_a_bounded_note() {
        let record = record("reveal", "zhang", Outcome::Ok, 200, &"理由".repeat(200));
        assert_eq!((&*record.interface, &*record.caller), ("bus.reveal", "zhang"));
        assert!(
            record.spans[0]
                .note
                .as_ref()
                .is_some_and(|note| note.len() <= 256 && note.ends_with(['理', '由']))
        );
    }
}
