//! The node's metrics in Prometheus' text form. Counters of a call are resolved once per plan, so that a call only adds to atomics.
use std::{collections::HashMap, sync::Arc, time::Duration};

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use qiao_core::{FaultCode, Outcome};
use qiao_vault::DeviceStatus;

const OUTCOMES: [Outcome; 8] = [
    Outcome::Ok,
    Outcome::Degraded,
    Outcome::Refused,
    Outcome::Denied,
    Outcome::Failed,
    Outcome::Unknown,
    Outcome::Skipped,
    Outcome::Abandoned,
];

/// Upper bounds in seconds: from a pass-through on loopback to the longest contract.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Every metric of a node.
pub struct Metrics {
    registry: Registry,
    calls: IntCounterVec,
    latency: HistogramVec,
    refusals: HashMap<u16, IntCounter>,
    pub mocked: IntCounter,
    pub reloads: IntCounterVec,
    pub plan: IntGauge,
    pub breaker: IntGaugeVec,
    pub partner_active: IntGaugeVec,
    pub partner_waiting: IntGaugeVec,
    pub endpoint_up: IntGaugeVec,
    pub connections: IntGauge,
    pub record_appended: IntGauge,
    pub record_lost: IntGauge,
    pub record_unshipped: IntGauge,
    pub record_disk_bytes: IntGauge,
    pub record_ship_errors: IntGauge,
    pub record_checkpoints: IntGauge,
    pub record_checkpoint_errors: IntGauge,
    pub vault_sealed: IntGauge,
    pub vault_dual_control: IntGauge,
    pub unseal_failures: IntGauge,
    pub key_expiry: IntGaugeVec,
    pub devices: DeviceMetrics,
    pub remembered_nonces: IntGauge,
    pub remembered_keys: IntGauge,
}

/// What is known of the devices and services that hold keys, by name.
pub struct DeviceMetrics {
    up: IntGaugeVec,
    sessions: IntGaugeVec,
    waiting: IntGaugeVec,
    failures: IntGaugeVec,
    last_failure: IntGaugeVec,
}

impl DeviceMetrics {
    fn new(
        gauges: impl Fn(&str, &str, &[&str]) -> Result<IntGaugeVec, prometheus::Error>,
    ) -> Result<Self, prometheus::Error> {
        let one = |name, help| gauges(name, help, &["device"]);
        Ok(Self {
            up: one("qiao_key_device_up", "1 while the key device answers, or was not asked yet; else 0.")?,
            sessions: gauges(
                "qiao_key_device_sessions",
                "Sessions or connections of a key device: most there may be, open, in use.",
                &["device", "state"],
            )?,
            waiting: one("qiao_key_device_waiting", "Calls that wait for a session of the key device.")?,
            failures: one(
                "qiao_key_device_failures",
                "Calls since the start that the key device did not do; data it refused is none.",
            )?,
            last_failure: one(
                "qiao_key_device_last_failure_timestamp_seconds",
                "Unix time of the key device's last failure; left out before the first.",
            )?,
        })
    }

    pub fn set(&self, devices: &[DeviceStatus]) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for device in devices {
            let name = device.name.as_str();
            self.up.with_label_values(&[name]).set(i64::from(device.answering));
            for (state, count) in [("most", device.most), ("open", device.open), ("in-use", device.in_use)] {
                self.sessions.with_label_values(&[name, state]).set(number(count));
            }
            self.waiting.with_label_values(&[name]).set(number(device.waiting));
            let failures = i64::try_from(device.failures).unwrap_or(i64::MAX);
            self.failures.with_label_values(&[name]).set(failures);
            if let Some(at) = device.last_failure_at {
                self.last_failure.with_label_values(&[name]).set(at);
            }
        }
    }
}

/// The counters of one interface.
pub struct InterfaceMetrics {
    outcomes: [IntCounter; OUTCOMES.len()],
    latency: Histogram,
}

impl InterfaceMetrics {
    pub fn count(&self, outcome: Outcome, took: Duration) {
        self.outcomes[outcome as usize].inc();
        self.latency.observe(took.as_secs_f64());
    }
}

impl Metrics {
    /// Registers every metric; fails only if two share a name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone())).map(|()| vec)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone())).map(|()| vec)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone())).map(|()| gauge)
        };
        let latency = HistogramVec::new(
            HistogramOpts::new(
                "qiao_call_duration_seconds",
                "Time from accepting a call to its whole answer, by interface.",
            )
            .buckets(BUCKETS.to_vec()),
            &["interface"],
        )?;
        registry.register(Box::new(latency.clone()))?;
        let refusal_codes = counters(
            "qiao_faults_total",
            "Calls answered with a fault, by fault code (docs/faults has a page for each).",
            &["code"],
        )?;
        let refusals = qiao_core::fault_codes::FAULTS
            .iter()
            .map(|code| (code.number, refusal_codes.with_label_values(&[&code.to_string()])))
            .collect();
        let mocked = IntCounter::new("qiao_mocked_calls_total", "Calls in which a mock partner took part.")?;
        registry.register(Box::new(mocked.clone()))?;
        Ok(Self {
            calls: counters(
                "qiao_calls_total",
                "Calls by interface and outcome.",
                &["interface", "outcome"],
            )?,
            latency,
            refusals,
            mocked,
            reloads: counters(
                "qiao_plan_reloads_total",
                "Reloads of the definitions, by result: active or refused.",
                &["result"],
            )?,
            plan: gauge("qiao_plan_number", "Number of the active plan, counted from the node's start.")?,
            breaker: gauges(
                "qiao_breaker_state",
                "Circuit breaker of a system: 0 closed, 1 half open, 2 open.",
                &["system"],
            )?,
            partner_active: gauges("qiao_partner_active_calls", "Calls under way at a system.", &["system"])?,
            partner_waiting: gauges(
                "qiao_partner_queue_depth",
                "Calls waiting for a place at a system.",
                &["system"],
            )?,
            endpoint_up: gauges(
                "qiao_endpoint_up",
                "1 while an endpoint of a system is healthy, else 0.",
                &["system", "endpoint"],
            )?,
            connections: gauge("qiao_gateway_connections", "Connections open at the gateway.")?,
            record_appended: gauge(
                "qiao_record_appended",
                "Call records written to the local log since the start.",
            )?,
            record_lost: gauge(
                "qiao_record_lost",
                "Call records that could not be written since the start.",
            )?,
            record_unshipped: gauge(
                "qiao_record_queue_depth",
                "Call records in the local log that the store has yet to take.",
            )?,
            record_disk_bytes: gauge("qiao_record_disk_bytes", "Bytes the local call log takes on disk.")?,
            record_checkpoints: gauge(
                "qiao_record_checkpoints",
                "Signed checkpoints over the call log since the start.",
            )?,
            record_checkpoint_errors: gauge(
                "qiao_record_checkpoint_errors",
                "Checkpoints that could not be signed or written since the start, each tried again.",
            )?,
            record_ship_errors: gauge(
                "qiao_record_ship_errors",
                "Failed attempts to ship call records to the store since the start.",
            )?,
            vault_sealed: gauge(
                "qiao_vault_sealed",
                "1 while the vault is sealed and calls are refused, else 0.",
            )?,
            vault_dual_control: gauge(
                "qiao_vault_dual_control",
                "1 where two operators approve what touches the vault's root, 0 under single control.",
            )?,
            unseal_failures: gauge("qiao_unseal_failures", "Tries to unseal in vain since the start.")?,
            key_expiry: gauges(
                "qiao_key_expiry_seconds",
                "Seconds until a key version in use expires; negative once it has. Versions without expiry are left out.",
                &["key", "version"],
            )?,
            devices: DeviceMetrics::new(gauges)?,
            remembered_nonces: gauge(
                "qiao_remembered_nonces",
                "Nonces of callers that are remembered so that no sealed or signed request passes twice.",
            )?,
            remembered_keys: gauge(
                "qiao_remembered_idempotency_keys",
                "Idempotency keys of callers whose answers are kept for repeats.",
            )?,
            registry,
        })
    }

    /// The counters of these interfaces, plus one under the empty name for calls that reached none.
    pub fn for_interfaces<'a>(
        &self,
        interfaces: impl Iterator<Item = &'a str>,
    ) -> HashMap<Arc<str>, Arc<InterfaceMetrics>> {
        interfaces
            .chain([""])
            .map(|interface| (Arc::from(interface), Arc::new(self.for_interface(interface))))
            .collect()
    }

    fn for_interface(&self, interface: &str) -> InterfaceMetrics {
        let label = if interface.is_empty() { "none" } else { interface };
        InterfaceMetrics {
            outcomes: OUTCOMES.map(|outcome| self.calls.with_label_values(&[label, outcome.as_str()])),
            latency: self.latency.with_label_values(&[label]),
        }
    }

    pub fn count_fault(&self, code: &FaultCode) {
        if let Some(counter) = self.refusals.get(&code.number) {
            counter.inc();
        }
    }

    /// The text that Prometheus scrapes, and its content type.
    pub fn render(&self) -> Result<(Vec<u8>, String), prometheus::Error> {
        let encoder = TextEncoder::new();
        let mut text = Vec::with_capacity(16 * 1024);
        encoder.encode(&self.registry.gather(), &mut text)?;
        Ok((text, encoder.format_type().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_help_text_and_outcomes_keep_their_place() {
        let metrics = Metrics::new().expect("names differ");
        let interfaces = metrics.for_interfaces(["ems.order-create"].into_iter());
        for outcome in OUTCOMES {
            interfaces["ems.order-create"].count(outcome, Duration::from_millis(3));
        }
        let (text, kind) = metrics.render().expect("renders");
        let text = String::from_utf8(text).expect("text");
        assert!(kind.starts_with("text/plain"));
        for outcome in OUTCOMES {
            let line = format!(
                "qiao_calls_total{{interface=\"ems.order-create\",outcome=\"{}\"}} 1",
                outcome.as_str()
            );
            assert!(text.contains(&line), "{line} missing in\n{text}");
        }
        let helps = text.lines().filter(|line| line.starts_with("# HELP")).count();
        assert_eq!(helps, text.lines().filter(|line| line.starts_with("# TYPE")).count());
    }
}
