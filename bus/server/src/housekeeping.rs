//! What a node does for its keys now and then: what others changed, rotations that are due, warnings before expiry, shares that
//! nobody completed.
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use qiao_vault::{Control, KeyInfo, KeyState, StorageError, VaultError};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::node::Node;

const EVERY: Duration = Duration::from_secs(60);
/// A key is warned of again after this many rounds: a day.
const WARN_AGAIN: u32 = 1440;

/// Runs until told to stop.
pub async fn run(node: Arc<Node>, stop: CancellationToken) {
    let mut pace = tokio::time::interval(EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut warned, mut rounds) = (HashSet::new(), 0);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = pace.tick() => {}
        }
        if rounds % WARN_AGAIN == 0 {
            warned.clear();
        }
        rounds = rounds.wrapping_add(1);
        let keeping = Arc::clone(&node);
        let kept = tokio::task::spawn_blocking(move || round(&keeping, warned)).await;
        match kept {
            Ok(still) => warned = still,
            Err(error) => {
                tracing::error!(%error, "the keys' housekeeping ended early");
                return;
            }
        }
    }
}

/// One round; takes and gives the keys that were warned of.
fn round(node: &Node, mut warned: HashSet<String>) -> HashSet<String> {
    node.unsealing.forget_old(Instant::now());
    node.memory.forget_old(now().saturating_mul(1000));
    if !node.vault.is_unsealed() {
        return warned;
    }
    match node.vault.refresh() {
        Ok(false) => {}
        Ok(true) => tracing::info!("keys that were changed elsewhere were read again"),
        Err(error) => tracing::error!(%error, "the keys were not read again, the known ones stay"),
    }
    rotate(node);
    for info in
        node.vault.expiring(now().saturating_add(node.config.vault.warned_before())).unwrap_or_default()
    {
        let key = format!("vault:{}#{}", info.name, info.version);
        if warned.insert(key.clone()) {
            let days = (info.expires.unwrap_or_default() - now()) / 86_400;
            tracing::warn!(
                key,
                days,
                "this key expires: rotate it with `qiao keys rotate`, or set another expiry"
            );
        }
    }
    warned
}

fn rotate(node: &Node) {
    match node.vault.rotate_due(now()) {
        Ok(changed) => {
            for info in changed {
                let key = format!("vault:{}#{}", info.name, info.version);
                let state = format!("{:?}", info.state).to_lowercase();
                tracing::info!(key, state, "by the key's schedule");
            }
        }
        // Another node was first; the next round reads what it did.
        Err(VaultError::Storage(StorageError::Conflict)) => {}
        Err(error) => tracing::error!(%error, "keys that are due were not rotated"),
    }
}

/// Brings the gauges about keys up to date.
pub fn refresh_gauges(node: &Node) {
    let metrics = &node.metrics;
    metrics.vault_sealed.set(i64::from(!node.vault.is_unsealed()));
    let dual = matches!(node.vault.control(), Ok(Control::Dual));
    metrics.vault_dual_control.set(i64::from(dual));
    let progress = node.unsealing.progress(&node.vault);
    metrics
        .unseal_failures
        .set(progress.map_or(0, |progress| i64::try_from(progress.failed_tries).unwrap_or(i64::MAX)));
    metrics.devices.set(&node.vault.devices());
    let (nonces, keys) = node.memory.counts();
    metrics.remembered_nonces.set(i64::try_from(nonces).unwrap_or(i64::MAX));
    metrics.remembered_keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
    metrics.key_expiry.reset();
    let in_use =
        |info: &&KeyInfo| matches!(info.state, KeyState::Pending | KeyState::Active | KeyState::Retiring);
    for info in node.vault.list().unwrap_or_default().iter().filter(in_use) {
        if let Some(expires) = info.expires {
            let version = info.version.to_string();
            metrics.key_expiry.with_label_values(&[info.name.as_str(), &version]).set(expires - now());
        }
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
