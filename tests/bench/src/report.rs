//! The benchmark's table, for people as Markdown and for machines as JSON.
use std::fs;

use serde_json::json;

use crate::Result;

/// What a system call count above fails the gate.
pub const MOST_CALLS: f64 = 5.0;
const MOST_IDLE_MB: f64 = 40.0;

/// The heading of the part that people write.
const READING: &str = "## Reading the figures";

/// Medians of one proxy over all rounds.
pub struct Row {
    pub name: &'static str,
    pub cpu_us: f64,
    pub user_us: f64,
    pub system_us: f64,
    pub per_second: f64,
    pub p99_ms: f64,
    /// With 1000 callers.
    pub crowd_p99_ms: Option<f64>,
    pub requests: u64,
}

/// A ratio with its target.
struct Target {
    about: &'static str,
    value: Option<f64>,
    most: f64,
    unit: &'static str,
}

pub fn write(output: &str, rows: &[Row], idle: u64, calls: f64, seconds: u32, rounds: usize) -> Result<()> {
    let targets = targets(rows, idle, calls);
    let table = markdown(rows, &targets, seconds, rounds) + &measured_before(output)?;
    print!("{table}");
    let file = format!("{output}.md");
    let reading = kept(&file);
    fs::write(file, table + &reading)?;
    let machine = json!({
        "secondsPerWindow": seconds,
        "rounds": rounds,
        "rows": rows.iter().map(|row| json!({"name": row.name, "cpuUs": row.cpu_us, "userUs": row.user_us, "systemUs": row.system_us,
            "perSecond": row.per_second, "p99Ms": row.p99_ms, "p99MsAt1000": row.crowd_p99_ms, "requests": row.requests})).collect::<Vec<_>>(),
        "targets": targets.iter().map(|target| json!({"about": target.about, "value": target.value, "most": target.most,
            "met": target.value.map(|value| value <= target.most)})).collect::<Vec<_>>(),
    });
    fs::write(format!("{output}.json"), serde_json::to_string_pretty(&machine)? + "\n")?;
    Ok(())
}

/// The parts that programs of their own have measured before, each into a file of its name.
const PARTS: [(&str, &str); 2] = [
    (
        "crypto",
        "## Cryptography\n\nThe vault on one core in CPU time, the best of many short windows; signatures are over a message of 256 bytes \
         with the signer's identifier, bulk rates over 64 KiB.",
    ),
    (
        "mocks",
        "## Mock partners\n\nCPU time of the serving threads, one thread, 16 connections of one event loop that costs less than any of the servers, medians of 11 rounds, the ratios against bare hyper measured right before; every \
         request is for another stub, told apart by a JSONPath of the body, the answers are templates, the journal is on. WireMock runs warm, in its own \
         process, with its journal bounded.",
    ),
];

fn measured_before(output: &str) -> Result<String> {
    PARTS.iter().try_fold(String::new(), |text, (name, heading)| {
        let file = format!("{output}-{name}.md");
        let table =
            fs::read_to_string(&file).map_err(|error| format!("{file}: {error}; run scripts/bench.sh"))?;
        fs::remove_file(file)?;
        Ok(text + "\n" + heading + "\n\n" + &table)
    })
}

/// What people wrote below the figures stays.
fn kept(file: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.find(READING).map(|at| format!("\n{}", &text[at..])).unwrap_or_default()
}

fn targets(rows: &[Row], idle: u64, calls: f64) -> Vec<Target> {
    let row = |name: &str| rows.iter().find(|row| row.name == name);
    let ratio = |ours: &str, theirs: &str| Some(row(ours)?.cpu_us / row(theirs)?.cpu_us);
    let tail = || Some(row("qiao")?.crowd_p99_ms? / row("nginx")?.crowd_p99_ms?);
    let target = |about, value, most, unit| Target { about, value, most, unit };
    vec![
        target("governed, recorded pass-through against nginx proxy_pass", ratio("qiao", "nginx"), 1.5, "×"),
        target(
            "a bare hyper proxy against nginx (the floor)",
            ratio("bare hyper", "nginx"),
            f64::INFINITY,
            "×",
        ),
        target("system calls per pass-through request", Some(calls), MOST_CALLS, ""),
        target(
            "JSON→SOAP→JSON, recorded, against hand-written hyper with a SQLite row",
            ratio("qiao transform", "hyper + SQLite row"),
            1.0,
            "×",
        ),
        target("JSON→SOAP→JSON against nginx with Lua", ratio("qiao transform", "nginx with Lua"), 0.7, "×"),
        target("recording on against off", ratio("qiao", "qiao, not recorded"), 1.15, "×"),
        target("p99 at 1000 callers against nginx", tail(), 1.5, "×"),
        target("resident memory with 1000 idle connections", Some(idle as f64 / 1e6), MOST_IDLE_MB, " MB"),
    ]
}

fn markdown(rows: &[Row], targets: &[Target], seconds: u32, rounds: usize) -> String {
    let mut text = format!(
        "# Benchmarks\n\nWritten by `make bench`, figures also in [benchmarks.json](benchmarks.json). A ratio compares two programs of the same run; absolute \
         times are this machine's.\n\nOne proxy core, load and upstream on the other; 100 connections; {rounds} interleaved rounds of {seconds} s, medians; CPU time from the process's own counters.\n\n\
         | proxy | CPU µs/request | user | system | requests/s | p99 ms | p99 ms at 1000 |\n|---|---|---|---|---|---|---|\n"
    );
    for row in rows {
        let crowd = row.crowd_p99_ms.map_or("-".to_owned(), |p99| format!("{p99:.1}"));
        text += &format!(
            "| {} | {:.1} | {:.1} | {:.1} | {:.0} | {:.2} | {crowd} |\n",
            row.name, row.cpu_us, row.user_us, row.system_us, row.per_second, row.p99_ms
        );
    }
    text += "\n| figure | measured | target | |\n|---|---|---|---|\n";
    for target in targets {
        let (value, verdict) = match target.value {
            Some(value) if target.most.is_infinite() => (format!("{value:.2}{}", target.unit), ""),
            Some(value) => (
                format!("{value:.2}{}", target.unit),
                if value <= target.most { "met" } else { "**missed**" },
            ),
            None => ("-".to_owned(), "not measured here"),
        };
        let most = if target.most.is_infinite() {
            "-".to_owned()
        } else {
            format!("≤ {}{}", target.most, target.unit)
        };
        text += &format!("| {} | {value} | {most} | {verdict} |\n", target.about);
    }
    text
}
