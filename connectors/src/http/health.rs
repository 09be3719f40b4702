//! Upkeep beside the calls: active health checks with jitter, and the sweep of unused connections. Each ends with its connector.
use std::{
    hash::{BuildHasher, RandomState},
    sync::Weak,
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Uri, header};
use tokio::time::{sleep, timeout};

use super::{
    body::OutBody,
    dial::Opened,
    endpoints::{EndpointState, Endpoints},
    pool::Pool,
};
use crate::config::HealthConfig;

/// Closes connections unused for `idle_timeout`, at most half as long again late.
///
/// At least once a second: then the runtime never sleeps longer, and setting a call's deadline, which lies further off,
/// need not wake its timer (one system call less per call).
pub(super) async fn sweep(pool: Weak<Pool>, idle_timeout: Duration) {
    let every = (idle_timeout / 2).clamp(Duration::from_millis(10), Duration::from_secs(1));
    loop {
        sleep(every).await;
        match pool.upgrade() {
            Some(pool) => pool.sweep(),
            None => return,
        }
    }
}

/// Checks every endpoint at once, again and again; the pause varies by a tenth so that nodes do not check in step.
pub(super) async fn check(endpoints: Weak<Endpoints>, config: HealthConfig) {
    let mut runs: Vec<Run> = Vec::new();
    let random = RandomState::new();
    for round in 0_u64.. {
        let Some(endpoints) = endpoints.upgrade() else { return };
        runs.resize_with(endpoints.all.len(), Run::default);
        let results = join_all(endpoints.all.iter().map(|endpoint| passes(endpoint, &config))).await;
        for (index, passed) in results.into_iter().enumerate() {
            if let Some(up) = runs[index].after(passed, &config) {
                endpoints.checked(index, up);
            }
        }
        drop(endpoints);
        sleep(jittered(config.every, random.hash_one(round))).await;
    }
}

/// Equal results in a row.
#[derive(Default)]
struct Run {
    passed: bool,
    length: u32,
}

impl Run {
    /// The verdict once there were enough equal results in a row.
    fn after(&mut self, passed: bool, config: &HealthConfig) -> Option<bool> {
        self.length = if self.passed == passed { self.length.saturating_add(1) } else { 1 };
        self.passed = passed;
        (self.length >= if passed { config.rise } else { config.fall }).then_some(passed)
    }
}

async fn passes(endpoint: &EndpointState, config: &HealthConfig) -> bool {
    match timeout(config.timeout, ask(endpoint, &config.path)).await {
        Ok(Ok(())) => true,
        Ok(Err(reason)) => {
            tracing::debug!(endpoint = %endpoint.name, reason, "health check failed");
            false
        }
        Err(_) => {
            tracing::debug!(endpoint = %endpoint.name, "health check timed out");
            false
        }
    }
}

/// One GET on a connection of its own, so that a full pool does not look like a sick partner.
async fn ask(endpoint: &EndpointState, path: &str) -> Result<(), String> {
    let target = &endpoint.target;
    let body = OutBody::Whole(Bytes::new());
    let status = match target.open().await.map_err(|error| error.to_string())? {
        Opened::Http1(mut connection) => {
            let request = Request::get(path)
                .header(header::HOST, &target.host_header)
                .header(header::CONNECTION, "close")
                .body(body)
                .map_err(|error| error.to_string())?;
            connection.send(request).await.map_err(|error| error.into_error().to_string())?.status()
        }
        Opened::Http2(mut sender) => {
            let uri = Uri::builder()
                .scheme(target.scheme.clone())
                .authority(target.authority.clone())
                .path_and_query(path)
                .build()
                .map_err(|error| error.to_string())?;
            let request = Request::get(uri).body(body).map_err(|error| error.to_string())?;
            sender.send_request(request).await.map_err(|error| error.to_string())?.status()
        }
    };
    if status.is_success() || status.is_redirection() { Ok(()) } else { Err(format!("answered {status}")) }
}

/// 90 to 110 % of `every`.
fn jittered(every: Duration, random: u64) -> Duration {
    every.mul_f64(0.9 + 0.2 * (random >> 11) as f64 / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_needs_enough_equal_results_in_a_row() {
        let config = HealthConfig {
            path: "/".into(),
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            fall: 2,
            rise: 3,
        };
        let mut run = Run::default();
        let results = [false, true, false, false, true, true, false, true, true, true, true];
        let verdicts: Vec<_> = results.iter().map(|passed| run.after(*passed, &config)).collect();
        let (up, down) = (Some(true), Some(false));
        assert_eq!(verdicts, [None, None, None, down, None, None, None, None, None, up, up]);
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        let every = Duration::from_secs(10);
        assert_eq!(jittered(every, 0), Duration::from_secs(9));
        assert!(jittered(every, u64::MAX) <= Duration::from_secs(11));
        assert!(jittered(every, u64::MAX) > Duration::from_millis(10_990));
    }
}
