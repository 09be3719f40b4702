//! Ends connections that neither ask nor take anything. A connection has one timer for its life: one for each head, as hyper would set
//! it, costs more than finding a stub.
use std::{
    ops::Deref,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

/// How often a connection is looked at. One that has done nothing at the second look in a row ends: after one to one and a half
/// minutes.
const LOOK: Duration = Duration::from_secs(30);
const LOOKS: u32 = 2;

/// What a connection has done: whole requests and bytes taken. A head that comes in drops is nothing.
#[derive(Debug, Default)]
pub struct Progress {
    steps: AtomicU64,
    busy: AtomicUsize,
}

impl Progress {
    pub fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }
}

/// A request is served, or its answer held back on purpose: the connection may be as quiet as it likes.
pub struct Busy<P: Deref<Target = Progress>>(P);

impl<P: Deref<Target = Progress>> Busy<P> {
    pub fn with(progress: P) -> Self {
        progress.busy.fetch_add(1, Ordering::Relaxed);
        Self(progress)
    }
}

impl<P: Deref<Target = Progress>> Drop for Busy<P> {
    fn drop(&mut self) {
        self.0.step();
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Looks at one connection now and then.
pub struct Patience {
    progress: Arc<Progress>,
    sleep: Pin<Box<Sleep>>,
    /// Whether the timer knows whom to wake.
    waits: bool,
    /// Steps at the last look.
    steps: u64,
    /// Looks in a row without another step.
    quiet: u32,
}

impl Patience {
    pub fn new(progress: Arc<Progress>) -> Self {
        Self { progress, sleep: Box::pin(sleep(LOOK)), waits: false, steps: 0, quiet: 0 }
    }

    /// Ready once there was no progress for long enough. To be asked by one task only.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while !self.waits || self.sleep.is_elapsed() {
            if self.sleep.as_mut().poll(context).is_pending() {
                self.waits = true;
                break;
            }
            let steps = self.progress.steps.load(Ordering::Relaxed);
            let quiet = steps == self.steps && self.progress.busy.load(Ordering::Relaxed) == 0;
            self.steps = steps;
            self.quiet = if quiet { self.quiet + 1 } else { 0 };
            if self.quiet >= LOOKS {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(Instant::now() + LOOK);
            self.waits = false;
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// Seconds until a connection that starts with this progress is given up.
    async fn ends(progress: &Arc<Progress>) -> u64 {
        let (begun, mut patience) = (Instant::now(), Patience::new(Arc::clone(progress)));
        poll_fn(|context| patience.poll(context)).await;
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_connection_ends_at_the_second_look_after_its_last_step() {
        let progress = Arc::default();
        assert_eq!(ends(&progress).await, 60);
        let stepping = tokio::spawn({
            let progress = Arc::clone(&progress);
            async move {
                for _ in 0..5 {
                    sleep(Duration::from_secs(29)).await;
                    progress.step();
                }
            }
        });
        // The last step is at 145 s and seen at 150 s.
        assert_eq!(ends(&progress).await, 210);
        stepping.await.expect("five steps");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_served_may_take_its_time() {
        let progress = Arc::<Progress>::default();
        let busy = Busy::with(Arc::clone(&progress));
        tokio::spawn(async move {
            sleep(Duration::from_secs(400)).await;
            drop(busy);
        });
        // Seen at 420 s.
        assert_eq!(ends(&progress).await, 480);
        assert_eq!(progress.busy.load(Ordering::Relaxed), 0);
    }
}
