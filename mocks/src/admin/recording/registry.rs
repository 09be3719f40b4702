//! The recordings of a mock server: few, each with a number, in memory only.
use std::sync::Arc;

use parking_lot::Mutex;

use crate::record::Recorder;

/// Recordings at once; each may hold 32 MiB.
const MAX: usize = 4;

/// A recording with its number.
pub struct Running {
    pub id: u64,
    pub recorder: Recorder,
}

/// All of them.
#[derive(Default)]
pub struct Recordings {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    last: u64,
    /// Places given to recordings that are being started.
    reserved: usize,
    running: Vec<Arc<Running>>,
}

/// A place that is free again when nothing comes of it.
pub struct Reserved<'r> {
    recordings: &'r Recordings,
}

impl Recordings {
    /// A place for one more; none where there are enough.
    pub fn reserve(&self) -> Option<Reserved<'_>> {
        let mut inner = self.inner.lock();
        if inner.running.len() + inner.reserved >= MAX {
            return None;
        }
        inner.reserved += 1;
        Some(Reserved { recordings: self })
    }

    pub fn list(&self) -> Vec<Arc<Running>> {
        self.inner.lock().running.clone()
    }

    pub fn get(&self, id: u64) -> Option<Arc<Running>> {
        self.inner.lock().running.iter().find(|running| running.id == id).cloned()
    }

    pub fn remove(&self, id: u64) {
        self.inner.lock().running.retain(|running| running.id != id);
    }
}

impl Reserved<'_> {
    /// Takes the place.
    pub fn fill(self, recorder: Recorder) -> Arc<Running> {
        let mut inner = self.recordings.inner.lock();
        inner.last += 1;
        let running = Arc::new(Running { id: inner.last, recorder });
        inner.running.push(Arc::clone(&running));
        drop(inner);
        running
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.recordings.inner.lock().reserved -= 1;
    }
}
