//! The sync thread: forces the log to the disk, writes what nobody waits for, and probes a disk that failed.
use std::{
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, SeqCst},
    },
    time::{Duration, Instant},
};

use qiao_core::{Clock, Recorded, SystemClock};

use super::{
    CheckpointKey, State, SyncPolicy,
    counters::add,
    wake::{HURRY, SIGN, STOP, WORK},
};

/// While there is work: how long a record may lie without anybody writing it.
const TICK: Duration = Duration::from_millis(50);
/// How often a failing disk is tried.
const PROBE_EVERY: Duration = Duration::from_millis(500);
/// Longest rest; a safety net, since whoever makes work raises it.
const REST: Duration = Duration::from_secs(60);

pub fn run(state: &Arc<State>) {
    let each = state.config.sync == SyncPolicy::Each;
    let mut sync_at = None::<Instant>;
    let mut probe_at = Instant::now();
    loop {
        let failing = state.write_failing.load(Relaxed);
        let limit = match sync_at {
            Some(at) => TICK.min(at.saturating_duration_since(Instant::now())),
            None if failing => PROBE_EVERY,
            None => REST,
        };
        let seen = state.sync_wake.wait(STOP | WORK | HURRY | SIGN, limit);
        let now = Instant::now();
        if seen & SIGN != 0 {
            checkpoint(state);
        }
        if seen & WORK != 0 && sync_at.is_none() {
            sync_at = Some(now + state.config.sync_every);
        }
        let due = sync_at.is_some_and(|at| now >= at);
        if due || seen & (STOP | HURRY) != 0 || (each && seen & WORK != 0) {
            // Lowered first: what is handed in from here on raises it again.
            state.active.store(false, SeqCst);
            let sign = due || seen & (STOP | HURRY) != 0;
            let synced = if each { commit_synced(state, sign) } else { commit_then_sync(state) };
            // With every commit synced, it is the next checkpoint that is waited for.
            let again = !synced || state.unsigned();
            sync_at = again.then(|| sync_at.filter(|at| *at > now).unwrap_or(now + state.config.sync_every));
        } else if seen == 0 && !each {
            state.commit_waiting();
        }
        if state.write_failing.load(Relaxed) && now >= probe_at {
            probe_at = now + PROBE_EVERY;
            if state.probe().is_ok() {
                state.write_works();
            }
        }
        if seen & STOP != 0 {
            // The last one is waited for, whoever signs, and is in the log before that ends.
            state.checkpoint();
            sync(state);
            break;
        }
    }
    // Only now is the end of the log final.
    state.ship_wake.raise(STOP);
}

/// Signs the chain: here, or, where a device or service signs, on a thread of its own, so that one that hangs does not hold up the
/// disk. While that is under way no second is begun; the next sync signs what came since.
fn checkpoint(state: &Arc<State>) {
    if !state.config.checkpoints.as_ref().is_some_and(CheckpointKey::blocks) {
        return state.checkpoint();
    }
    if state.signing.is_locked() || !state.unsigned() {
        return;
    }
    let signing = Arc::clone(state);
    let thread = std::thread::Builder::new().name("qiao-log-sign".to_owned());
    let started = thread.spawn(move || {
        signing.checkpoint();
        signing.sync_wake.raise(WORK);
    });
    if started.is_err() {
        state.checkpoint();
    }
}

fn commit_then_sync(state: &Arc<State>) -> bool {
    state.commit_waiting();
    checkpoint(state);
    sync(state)
}

/// Tells the batch only once it is on the disk.
fn commit_synced(state: &Arc<State>, sign: bool) -> bool {
    let written = state.write_pending(state.writer.lock());
    if sign {
        checkpoint(state);
    }
    let synced = sync(state);
    if let Some((batch, outcome)) = written {
        batch.finish(if synced { outcome } else { Recorded::Lost });
    }
    synced
}

fn sync(state: &State) -> bool {
    let unsynced = state.writer.lock().take_unsynced();
    if unsynced.is_empty() {
        return true;
    }
    match unsynced.sync() {
        Ok(()) => {
            add(&state.counters.syncs, 1);
            state.counters.last_sync_us.store(SystemClock.now_us(), Relaxed);
            if state.sync_failing.swap(false, SeqCst) {
                tracing::info!("the call log can be synced again");
            }
            true
        }
        Err(error) => {
            state.writer.lock().sync_failed(unsynced);
            add(&state.counters.sync_errors, 1);
            if !state.sync_failing.swap(true, SeqCst) {
                tracing::error!(%error, "the call log cannot be synced; a power cut now may lose records");
            }
            false
        }
    }
}
