//! One window of load by wrk, and what it cost the proxy.
use std::{fs, path::Path, process::Command, time::Duration};

use crate::{
    Result,
    process::{LOAD_CORE, Process},
};

/// A request as wrk sends it.
#[derive(Clone)]
pub struct Load {
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// What one window showed.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub requests: u64,
    /// User and system CPU time of the proxy per request, microseconds.
    pub user_us: f64,
    pub system_us: f64,
    pub per_second: f64,
    pub p99_ms: f64,
}

impl Window {
    pub fn cpu_us(&self) -> f64 {
        self.user_us + self.system_us
    }
}

/// Loads a proxy for some seconds. Any answer but 2xx, and any broken connection, fails the benchmark.
pub fn window(proxy: &Process, load: &Load, connections: u32, seconds: u32, folder: &Path) -> Result<Window> {
    let before = proxy.cpu()?;
    let output = wrk(load, connections, seconds, folder)?;
    let after = proxy.cpu()?;
    let per = |time: Duration| time.as_secs_f64() * 1e6 / output.requests as f64;
    Ok(Window {
        requests: output.requests,
        user_us: per(after.0 - before.0),
        system_us: per(after.1 - before.1),
        per_second: output.requests as f64 / f64::from(seconds),
        p99_ms: output.p99_ms,
    })
}

pub struct Counted {
    pub requests: u64,
    p99_ms: f64,
}

/// Runs wrk on the load's core.
pub fn wrk(load: &Load, connections: u32, seconds: u32, folder: &Path) -> Result<Counted> {
    let script = folder.join("load.lua");
    fs::write(&script, lua(load))?;
    let output = Command::new("taskset")
        .args(["-c", LOAD_CORE, "wrk", "-t1", "--timeout", "10s", "--latency"])
        .args([format!("-c{connections}"), format!("-d{seconds}s")])
        .arg("-s")
        .arg(&script)
        .arg(&load.url)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = |name: &str| -> Result<f64> {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .ok_or_else(|| format!("wrk said no {name}: {text}"))?;
        Ok(line.trim().parse()?)
    };
    let wrong = number("wrong=")?;
    if wrong > 0.0 {
        return Err(format!("{wrong} requests of {} failed:\n{text}", load.url).into());
    }
    Ok(Counted { requests: number("requests=")? as u64, p99_ms: number("p99_us=")? / 1000.0 })
}

fn lua(load: &Load) -> String {
    let quoted = |text: &str| format!("{text:?}").replace("\\u{", "\\\\u{");
    let headers: Vec<_> =
        load.headers.iter().map(|(name, value)| format!("[{}] = {}", quoted(name), quoted(value))).collect();
    format!(
        "wrk.method = \"POST\"\nwrk.body = [==[{}]==]\nwrk.headers = {{{}}}\n\
         function done(summary, latency, requests)\n\
         local e = summary.errors\n\
         print(\"\\nrequests=\" .. summary.requests)\n\
         print(\"wrong=\" .. (e.connect + e.read + e.write + e.status + e.timeout))\n\
         print(\"p99_us=\" .. latency:percentile(99))\nend\n",
        load.body,
        headers.join(", ")
    )
}

/// The middle value; of an even number the upper middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
