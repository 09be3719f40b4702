//! Resident memory over many requests: whether it stays flat once the journal is full.
use std::fs;

use qiao_mocks::{MockConfig, MockServer};
use qiao_vault::Vault;

use crate::{Result, load, stubs};

const STUBS: usize = 500;
const STEPS: usize = 10;
/// What it may have grown by between the first tenth and the last, in MB.
const MOST_GROWTH: f64 = 8.0;
const JOURNAL_MIB: u16 = 8;
/// What it may reach beside the journal, in MB.
const MOST: f64 = 64.0;

/// A sentence; to be asked before anything else of size is in this process.
pub fn measure(requests: usize) -> Result<String> {
    let folder = stubs::ours(STUBS)?;
    let mut config = MockConfig::new(folder.path());
    config.journal_bytes = usize::from(JOURNAL_MIB) << 20;
    let server = MockServer::start(config, Vault::in_memory()?)?;
    let mut seen = Vec::new();
    for _ in 0..STEPS {
        load::run(server.addr(), STUBS, requests / STEPS)?;
        seen.push(resident_mb()?);
    }
    let (first, last) = (seen[0], seen[STEPS - 1]);
    let steps: Vec<String> = seen.iter().map(|mb| format!("{mb:.0}")).collect();
    let growth = last - first;
    Ok(format!(
        "Memory over {requests} requests to {STUBS} stubs, journal of {JOURNAL_MIB} MiB, clients in the same process: {} MB after each tenth. It grew by {growth:.1} MB from \
         the first to the last: {}. The wanted {MOST} MB beside the journal are {}.",
        steps.join(", "),
        if growth <= MOST_GROWTH { "flat" } else { "**not flat**" },
        if last <= MOST + f64::from(JOURNAL_MIB) { "met" } else { "**missed**" },
    ))
}

fn resident_mb() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc")?;
    Ok(line.split_whitespace().next().ok_or("an empty VmRSS")?.parse::<f64>()? / 1024.0)
}
