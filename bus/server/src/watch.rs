//! Tells when something below a folder changed, once per burst of changes.
use std::{path::Path, time::Duration};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// How long nothing may change before a burst counts as over.
const QUIET: Duration = Duration::from_millis(100);

/// Changes after which a burst counts as over even though it goes on.
const BURST: usize = 20;

/// Watches a folder and everything below it.
pub struct Watch {
    _watcher: RecommendedWatcher,
    changed: mpsc::Receiver<()>,
}

impl Watch {
    pub fn new(folder: &Path) -> Result<Self, notify::Error> {
        let (sender, changed) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let reading = event.as_ref().is_ok_and(|event| event.kind.is_access());
            if !reading {
                // A full channel already says that something changed; a closed one, that nobody asks any more.
                sender.try_send(()).unwrap_or_default();
            }
        })?;
        watcher.watch(folder, RecursiveMode::Recursive)?;
        Ok(Self { _watcher: watcher, changed })
    }

    /// Resolves after a burst of changes is over; never where the watcher has died.
    pub async fn changed(&mut self) {
        if self.changed.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        for _ in 0..BURST {
            if tokio::time::timeout(QUIET, self.changed.recv()).await.is_err() {
                return;
            }
        }
    }
}
