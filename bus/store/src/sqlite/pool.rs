//! A few read-only connections; each read runs on a blocking thread under a deadline that interrupts it.
use std::{path::PathBuf, sync::Arc, time::Duration};

use parking_lot::Mutex;
use qiao_core::StoreError;
use rusqlite::{Connection, InterruptHandle};
use tokio::{sync::Semaphore, time::Instant};

use super::{fault, schema, unavailable};

/// Reads at the same time; others queue, up to their deadline.
const READERS: usize = 4;

pub struct Pool {
    place: PathBuf,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Pool {
    pub fn new(place: PathBuf) -> Self {
        Self { place, permits: Arc::new(Semaphore::new(READERS)), idle: Arc::default() }
    }

    pub async fn run<T: Send + 'static>(
        &self,
        deadline: Duration,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let until = Instant::now() + deadline;
        let late = || unavailable(&self.place, &format!("a read took longer than {} s", deadline.as_secs()));
        let permit = tokio::time::timeout_at(until, Arc::clone(&self.permits).acquire_owned());
        let permit =
            permit.await.map_err(|_| late())?.map_err(|_| unavailable(&self.place, "it is closed"))?;
        let running = Arc::new(Mutex::new(Running::default()));
        let (place, idle, shared) = (self.place.clone(), Arc::clone(&self.idle), Arc::clone(&running));
        let read = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let pooled = idle.lock().pop();
            let connection =
                pooled.map_or_else(|| schema::connect_reader(&place), Ok).map_err(fault(&place))?;
            if !shared.lock().start(&connection) {
                return Err(unavailable(&place, "the read was given up"));
            }
            let result = job(&connection);
            // From here on no interrupt may hit the connection's next user.
            shared.lock().interrupt = None;
            if result.is_ok() {
                idle.lock().push(connection);
            }
            result.map_err(fault(&place))
        });
        // Also when this future is dropped: nobody waits for the answer any more.
        let _stop = StopOnDrop(running);
        match tokio::time::timeout_at(until, read).await {
            Ok(joined) => joined.map_err(|_| unavailable(&self.place, "the read panicked"))?,
            Err(_) => Err(late()),
        }
    }
}

#[derive(Default)]
struct Running {
    interrupt: Option<InterruptHandle>,
    given_up: bool,
}

impl Running {
    /// False where nobody waits any more.
    fn start(&mut self, connection: &Connection) -> bool {
        self.interrupt = Some(connection.get_interrupt_handle());
        !self.given_up
    }
}

struct StopOnDrop(Arc<Mutex<Running>>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        let mut running = self.0.lock();
        running.given_up = true;
        if let Some(interrupt) = running.interrupt.take() {
            interrupt.interrupt();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDLESS: &str =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

    fn pool() -> (tempfile::TempDir, Pool) {
        let folder = tempfile::tempdir().expect("folder");
        let place = folder.path().join("calls.db");
        schema::prepare(&place).expect("made");
        (folder, Pool::new(place))
    }

    #[tokio::test]
    async fn a_read_past_its_deadline_is_interrupted_and_the_pool_goes_on() {
        let (_folder, pool) = pool();
        for _ in 0..READERS + 1 {
            let endless = pool.run(Duration::from_millis(20), |connection| {
                connection.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))
            });
            assert!(matches!(endless.await, Err(StoreError::Unavailable { .. })));
        }
        let one = pool.run(Duration::from_secs(30), |connection| {
            connection.query_row("SELECT 1", [], |row| row.get::<_, i64>(0))
        });
        assert_eq!(one.await.expect("a permit came back"), 1);
    }

    #[tokio::test]
    async fn a_pooled_connection_cannot_write() {
        let (_folder, pool) = pool();
        let written =
            pool.run(Duration::from_secs(30), |connection| connection.execute("DELETE FROM calls", []));
        assert!(written.await.is_err());
    }
}
