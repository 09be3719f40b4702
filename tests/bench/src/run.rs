//! The benchmark: every proxy in turn, round after round, so that the machine's moods meet all of them alike.
use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    Result,
    measure::{self, Load, Window, median},
    process::Process,
    report::{self, Row},
    setup::Stage,
};

/// A proxy with the load it gets.
struct Contender {
    name: &'static str,
    process: Process,
    load: Load,
    windows: Vec<Window>,
    crowd: Vec<Window>,
}

/// Runs everything and writes `OUTPUT.json` and `OUTPUT.md`.
pub fn run(qiao: &str, output: &str, seconds: &str, rounds: &str) -> Result<()> {
    let (seconds, rounds): (u32, usize) = (seconds.parse()?, rounds.parse()?);
    let stage = Stage::new(qiao)?;
    let mut contenders = contenders(&stage)?;
    for round in 0..=rounds {
        for contender in &mut contenders {
            let window =
                measure::window(&contender.process, &contender.load, 100, seconds, stage.folder.path())?;
            eprintln!(
                "round {round} {:22} {:6.1} µs  {:8.0}/s",
                contender.name,
                window.cpu_us(),
                window.per_second
            );
            // The first round warms caches and pools and does not count.
            if round > 0 {
                contender.windows.push(window);
            }
        }
    }
    for _ in 0..rounds {
        for contender in contenders.iter_mut().filter(|contender| ["nginx", "qiao"].contains(&contender.name))
        {
            contender.crowd.push(measure::window(
                &contender.process,
                &contender.load,
                1000,
                seconds,
                stage.folder.path(),
            )?);
        }
    }
    let rows: Vec<Row> = contenders.iter().map(row).collect();
    drop(contenders);
    let idle = idle_memory(&stage)?;
    let calls = calls_per_request(&stage)?;
    report::write(output, &rows, idle, calls, seconds, rounds)
}

fn contenders(stage: &Stage) -> Result<Vec<Contender>> {
    let contender =
        |name, process, load| Contender { name, process, load, windows: Vec::new(), crowd: Vec::new() };
    let (nginx, plain, lua) = stage.nginx()?;
    let (bare, bare_load) = stage.peer_proxy()?;
    let (recorded, forward, _) = stage.bus("recorded", true)?;
    let (unrecorded, unrecorded_forward, _) = stage.bus("unrecorded", false)?;
    let (transforming, _, transform) = stage.bus("transforming", true)?;
    let (peer, peer_load) = stage.peer_transform()?;
    let mut all = vec![
        contender("nginx", nginx, plain),
        contender("bare hyper", bare, bare_load),
        contender("qiao", recorded, forward),
        contender("qiao, not recorded", unrecorded, unrecorded_forward),
        contender("qiao transform", transforming, transform),
        contender("hyper + SQLite row", peer, peer_load),
    ];
    if lua.is_some()
        && let (process, _, Some(load)) = stage.nginx()?
    {
        all.push(contender("nginx with Lua", process, load));
    }
    Ok(all)
}

fn row(contender: &Contender) -> Row {
    let of = |value: fn(&Window) -> f64| median(contender.windows.iter().map(value).collect());
    Row {
        name: contender.name,
        cpu_us: of(Window::cpu_us),
        user_us: of(|window| window.user_us),
        system_us: of(|window| window.system_us),
        per_second: of(|window| window.per_second),
        p99_ms: of(|window| window.p99_ms),
        crowd_p99_ms: (!contender.crowd.is_empty())
            .then(|| median(contender.crowd.iter().map(|window| window.p99_ms).collect())),
        requests: contender.windows.iter().map(|window| window.requests).sum(),
    }
}

/// Resident memory with 1000 connections that each had one answer and now are idle.
fn idle_memory(stage: &Stage) -> Result<u64> {
    use std::io::{Read, Write};
    let (process, load, _) = stage.bus("idle", true)?;
    let (address, path) = load.url.trim_start_matches("http://").split_once('/').ok_or("an address")?;
    let headers: String = load.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!(
        "POST /{path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {}\r\n\r\n{}",
        load.body.len(),
        load.body
    );
    let mut connections = Vec::with_capacity(1000);
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(request.as_bytes())?;
        let mut answer = [0; 4096];
        let read = stream.read(&mut answer)?;
        if !answer[..read].starts_with(b"HTTP/1.1 200") {
            return Err(format!(
                "an idle connection's first answer: {}",
                String::from_utf8_lossy(&answer[..read])
            )
            .into());
        }
        connections.push(stream);
    }
    process.memory()
}

/// System calls of the whole bus process per request, counted by strace over a window of load.
fn calls_per_request(stage: &Stage) -> Result<f64> {
    let (process, load, _) = stage.bus("counted", true)?;
    let folder = stage.folder.path();
    measure::wrk(&load, 100, 1, folder)?;
    let file = folder.join("strace");
    let mut strace = Command::new("strace")
        .args(["-f", "-c", "-o", &file.display().to_string(), "-p", &process.counted.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let counted = measure::wrk(&load, 100, 5, folder)?;
    Command::new("kill").args(["-INT", &strace.id().to_string()]).status()?;
    strace.wait()?;
    Ok(total_calls(&file)? as f64 / counted.requests as f64)
}

fn total_calls(file: &Path) -> Result<u64> {
    let text = fs::read_to_string(file)?;
    let line =
        text.lines().rev().find(|line| line.trim_end().ends_with("total")).ok_or("strace wrote no total")?;
    let fields: Vec<&str> = line.split_whitespace().collect();
    // `100.00 seconds usecs/call calls [errors] total`
    Ok(fields.get(3).ok_or("strace wrote no calls")?.parse()?)
}

/// The count alone, for a gate: fails above five per request.
pub fn system_calls(qiao: &str) -> Result<()> {
    let calls = calls_per_request(&Stage::new(qiao)?)?;
    println!(
        "{calls:.2} system calls per forwarded, governed and recorded request (at most {:.0})",
        report::MOST_CALLS
    );
    if calls > report::MOST_CALLS {
        return Err(format!("{calls:.2} system calls per request").into());
    }
    Ok(())
}
