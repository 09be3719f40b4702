//! The end of the scheduler's turn: for the leader of a group commit, which waits for the others of its turn.
use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::AcqRel, Ordering::Acquire},
    },
    task::{Context, Poll, Wake, Waker},
};

/// Wakes the task and remembers that it did.
struct Turn {
    over: AtomicBool,
    task: Waker,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        if !self.over.swap(true, AcqRel) {
            self.task.wake_by_ref();
        }
    }
}

/// Resolves once the scheduler has run what was ready.
///
/// `yield_now` alone resolves whenever it is polled again, and an HTTP connection polls what it answers with again within the
/// same turn; every such leader would write alone.
pub async fn over() {
    let mut yielding = pin!(tokio::task::yield_now());
    let mut turn: Option<Arc<Turn>> = None;
    poll_fn(|context| match &turn {
        Some(turn) if turn.over.load(Acquire) => Poll::Ready(()),
        // A task that moved to another waker meanwhile is woken through it.
        Some(turn) if turn.task.will_wake(context.waker()) => Poll::Pending,
        Some(_) => Poll::Ready(()),
        None => {
            let new = Arc::new(Turn { over: AtomicBool::new(false), task: context.waker().clone() });
            let waker = Waker::from(Arc::clone(&new));
            turn = Some(new);
            yielding.as_mut().poll(&mut Context::from_waker(&waker))
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;

    #[test]
    fn polled_again_within_its_turn_it_goes_on_waiting_and_others_run_first() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let order = runtime.block_on(async {
            let order = Arc::new(parking_lot::Mutex::new(Vec::new()));
            let seen = Arc::clone(&order);
            let leader = tokio::spawn(async move {
                let mut over = pin!(over());
                poll_fn(|context| {
                    // As a connection does: polled twice in one go.
                    match over.as_mut().poll(context) {
                        Poll::Pending => over.as_mut().poll(context),
                        ready => ready,
                    }
                })
                .await;
                seen.lock().push("leader");
            });
            let seen = Arc::clone(&order);
            let other = tokio::spawn(async move { seen.lock().push("other") });
            leader.await.unwrap();
            other.await.unwrap();
            Arc::try_unwrap(order).unwrap().into_inner()
        });
        assert_eq!(order, ["other", "leader"]);
    }
}
