//! Structured logs: one JSON object per line on standard error, with the call id where there is one. Level by `QIAO_LOG`.
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

const LEVELS: &str = "warn,qiao=info,qiao_engine=info,qiao_store=info,qiao_mocks=info,qiao_connectors=info";

/// Starts logging for the whole process, at the levels in `QIAO_LOG` or at the usual ones; a second call does nothing.
pub fn start() {
    start_at(&std::env::var("QIAO_LOG").unwrap_or_else(|_| LEVELS.to_owned()));
}

/// Starts logging at these levels (`warn,qiao=debug`).
pub fn start_at(levels: &str) {
    let filter = EnvFilter::try_new(levels).unwrap_or_else(|_| EnvFilter::new(LEVELS));
    let json = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    let started =
        tracing_subscriber::registry().with(filter).with(json.with_writer(std::io::stderr)).try_init();
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
