//! What the guard, the service and the driver of one connection tell one another. With HTTP/1 all three run in one task; the
//! atomics are there for HTTP/2, whose streams run in tasks of their own.
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
};

use super::refusal::Refusal;

/// Where the reading side of a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Between two requests.
    Idle,
    /// Part of a head has arrived.
    Head,
    /// Inside a body.
    Body,
    /// A request was refused: nothing more is read.
    Refused,
    /// HTTP/2: frames are passed on.
    Frames,
    /// Answered and shut; unread bytes are being thrown away.
    Linger,
}

/// What the service is to do with the request hyper hands it.
pub(crate) enum Verdict {
    Handle,
    Refuse(Refusal),
}

/// What a connection is waiting for. The number tells one wait from the next: while it stays the same, there was no progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Nothing,
    First,
    Idle(u64),
    Head(u64),
    Body(u64),
    Write(u64),
    Stream(u64),
    Linger,
}

#[derive(Default)]
pub(crate) struct Flow {
    /// Heads the guard has passed to hyper, and heads hyper has handed to the service: equal, or the two disagree on framing.
    passed: AtomicU64,
    served: AtomicU64,
    /// The ordinal of the stand-in for a refused request; 0 for none. Ordinals cannot be forged from outside.
    refused_at: AtomicU64,
    refusal: AtomicU8,
    phase: AtomicU8,
    read_blocked: AtomicBool,
    write_blocked: AtomicBool,
    expired: AtomicBool,
    reads: AtomicU64,
    writes: AtomicU64,
    in_flight: AtomicU32,
    /// Answer bodies with something to send that nobody asks for: the caller takes nothing.
    untaken: AtomicU32,
    taken: AtomicU64,
}

impl Flow {
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Body,
            3 => Phase::Refused,
            4 => Phase::Frames,
            _ => Phase::Linger,
        }
    }

    pub(crate) fn passed(&self, heads: u64) {
        self.passed.store(heads, Relaxed);
    }

    /// The next head hyper sees after the `passed` ones is a stand-in, to be answered with this refusal.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.refused_at.store(self.passed.load(Relaxed) + 1, Relaxed);
        self.refusal.store(refusal as u8, Relaxed);
        self.set_phase(Phase::Refused);
    }

    /// Called by the service for each HTTP/1 request hyper hands it.
    pub(crate) fn claim(&self) -> Verdict {
        let ordinal = self.served.fetch_add(1, Relaxed) + 1;
        if ordinal == self.refused_at.load(Relaxed) {
            let refusal = Refusal::by_number(self.refusal.load(Relaxed));
            return Verdict::Refuse(refusal.unwrap_or(Refusal::OutOfStep));
        }
        if ordinal > self.passed.load(Relaxed) {
            Verdict::Refuse(Refusal::OutOfStep)
        } else {
            Verdict::Handle
        }
    }

    pub(crate) fn read(&self, progress: bool) {
        self.read_blocked.store(!progress, Relaxed);
        if progress {
            self.reads.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn wrote(&self, progress: bool) {
        self.write_blocked.store(!progress, Relaxed);
        if progress {
            self.writes.fetch_add(1, Relaxed);
        }
    }

    /// Tells the guard that its wait is over; it acts only if it still has nothing to read.
    pub(crate) fn expire(&self) {
        self.expired.store(true, Relaxed);
    }

    pub(crate) fn take_expired(&self) -> bool {
        self.expired.load(Relaxed) && self.expired.swap(false, Relaxed)
    }

    pub(crate) fn busy(&self) -> bool {
        self.in_flight.load(Relaxed) > 0
    }

    pub(crate) fn wait(&self) -> Wait {
        let phase = self.phase();
        if phase == Phase::Linger {
            return Wait::Linger;
        }
        if self.write_blocked.load(Relaxed) {
            return Wait::Write(self.writes.load(Relaxed));
        }
        let busy = self.busy();
        match phase {
            Phase::Head => Wait::Head(self.passed.load(Relaxed)),
            Phase::Body if self.read_blocked.load(Relaxed) => Wait::Body(self.reads.load(Relaxed)),
            Phase::Frames if busy && self.untaken.load(Relaxed) > 0 => Wait::Stream(self.taken.load(Relaxed)),
            Phase::Idle if !busy && self.passed.load(Relaxed) == 0 => Wait::First,
            Phase::Idle | Phase::Frames if !busy => Wait::Idle(self.served.load(Relaxed)),
            _ => Wait::Nothing,
        }
    }

    /// Counts a request as under way until the ticket is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Ticket {
        self.in_flight.fetch_add(1, Relaxed);
        Ticket { flow: Arc::clone(self), untaken: false }
    }

    /// Counts a request of HTTP/2, where no guard counts heads.
    pub(crate) fn count_stream(&self) {
        self.served.fetch_add(1, Relaxed);
    }
}

/// One request under way, up to the end of its answer.
pub(crate) struct Ticket {
    flow: Arc<Flow>,
    untaken: bool,
}

impl Ticket {
    /// Whether the answer has something to send that has not been asked for.
    pub(crate) fn set_untaken(&mut self, untaken: bool) {
        if self.untaken == untaken {
            return;
        }
        self.untaken = untaken;
        if untaken {
            self.flow.untaken.fetch_add(1, Relaxed);
        } else {
            self.flow.untaken.fetch_sub(1, Relaxed);
            self.flow.taken.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.set_untaken(false);
        self.flow.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_the_guard_has_not_passed_is_refused_as_out_of_step() {
        let flow = Flow::default();
        flow.passed(1);
        assert!(matches!(flow.claim(), Verdict::Handle));
        assert!(matches!(flow.claim(), Verdict::Refuse(Refusal::OutOfStep)));
    }

    #[test]
    fn a_stand_in_is_known_by_its_ordinal_behind_the_requests_before_it() {
        let flow = Flow::default();
        flow.passed(2);
        flow.refuse(Refusal::DuplicateHost);
        assert!(matches!(flow.claim(), Verdict::Handle));
        assert!(matches!(flow.claim(), Verdict::Handle));
        assert!(matches!(flow.claim(), Verdict::Refuse(Refusal::DuplicateHost)));
        assert!(matches!(flow.claim(), Verdict::Refuse(Refusal::OutOfStep)));
    }

    #[test]
    fn an_answer_nobody_takes_is_waited_for_until_it_is_taken_or_dropped() {
        let flow = Arc::new(Flow::default());
        flow.set_phase(Phase::Frames);
        let mut ticket = flow.begin();
        assert_eq!(flow.wait(), Wait::Nothing);
        ticket.set_untaken(true);
        assert_eq!(flow.wait(), Wait::Stream(0));
        ticket.set_untaken(false);
        assert_eq!(flow.wait(), Wait::Nothing);
        ticket.set_untaken(true);
        assert_eq!(flow.wait(), Wait::Stream(1));
        drop(ticket);
        assert!(!flow.busy());
        assert_eq!(flow.wait(), Wait::Idle(0));
    }
}
