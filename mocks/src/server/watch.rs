//! Reloads the partners when their folder changes.
use std::{
    path::Path,
    sync::{
        Arc, Weak,
        mpsc::{Receiver, sync_channel},
    },
    thread,
    time::Duration,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::Shared;

/// An editor writes a file in several steps, a checkout many files: the folder must be quiet for this long.
const QUIET: Duration = Duration::from_millis(200);

/// Watches until the watcher returned is dropped.
///
/// # Errors
/// A folder that the system cannot watch.
pub fn watch(folder: &Path, shared: &Arc<Shared>) -> notify::Result<RecommendedWatcher> {
    let (changed, changes) = sync_channel(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // Our own reading is an event too. A full channel already holds a change.
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            let told_already = changed.try_send(()).is_err();
            tracing::trace!(told_already, "the folder of mock partners changed");
        }
    })?;
    watcher.watch(folder, RecursiveMode::Recursive)?;
    let shared = Arc::downgrade(shared);
    thread::Builder::new()
        .name("qiao-mock-watch".into())
        .spawn(move || reload_on(&changes, &shared))
        .map_err(notify::Error::io)?;
    Ok(watcher)
}

fn reload_on(changes: &Receiver<()>, shared: &Weak<Shared>) {
    while changes.recv().is_ok() {
        while changes.recv_timeout(QUIET).is_ok() {}
        let Some(shared) = shared.upgrade() else { return };
        match shared.reload() {
            Ok(done) => tracing::info!(version = done.version, stubs = done.stubs, "mock partners reloaded"),
            Err(mistakes) => {
                for mistake in &mistakes {
                    tracing::error!(%mistake, "a mock partner cannot be reloaded; the old ones stay");
                }
            }
        }
    }
}
