//! Computing with keys that live in devices, off the way of other calls: such work waits for milliseconds. For sealing and
//! opening.
use tokio::runtime::{Handle, RuntimeFlavor};

/// Runs the work; where it `blocks`, this worker's other tasks go to another thread first. On a runtime with a single
/// thread there is no other, and the work runs where it is.
pub(super) fn stepping_aside<T>(blocks: bool, work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    match flavor {
        Ok(RuntimeFlavor::MultiThread) if blocks => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::mpsc::{Receiver, channel},
        time::Duration,
    };

    fn given(blocking: &Receiver<u8>) -> u8 {
        blocking.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn another_call_goes_on_while_a_device_computes() {
        let (give, take) = channel();
        // With its only worker held by the first task, the second would never give.
        let first = tokio::spawn(async move { stepping_aside(true, || given(&take)) });
        let second = tokio::spawn(async move { give.send(7) });
        assert_eq!(first.await.unwrap(), 7);
        second.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn on_a_single_thread_the_work_is_done_all_the_same() {
        assert_eq!(stepping_aside(true, || 7), 7);
        assert_eq!(stepping_aside(false, || 7), 7);
    }

    #[test]
    fn outside_of_a_runtime_too() {
        assert_eq!(stepping_aside(true, || 7), 7);
    }
}
