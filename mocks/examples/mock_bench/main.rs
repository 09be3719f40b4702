//! What mock partners cost: CPU time per request of the serving threads beside a bare hyper service, and beside WireMock where its
//! jar is given, and their memory over many requests. Prints Markdown; `make bench` puts it into docs/benchmarks.md.
//!
//! `cargo run --release -p qiao-mocks --example mock_bench -- [--wiremock JAR] [--requests N]`; `--only STUBS` for profiles. Clients and servers share this
//! process, but the times are those of the serving threads' own schedulers, so that clients and other work do not count.
mod load;
mod memory;
mod peers;
mod stubs;

use std::{collections::HashMap, error::Error, net::SocketAddr, time::Instant};

use qiao_mocks::{MockConfig, MockServer};
use qiao_vault::Vault;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Requests of one measurement.
const REQUESTS: usize = 32_000;
const ROUNDS: usize = 11;
/// How many stubs stand behind the one path, 0 for a single one without criteria, with the most that an answer may cost beside
/// bare hyper: for the static stub 80 % of its throughput.
const SIZES: [(usize, f64); 4] = [(0, 1.25), (500, 1.6), (5_000, 2.5), (50_000, 4.0)];
/// Seconds in which the largest of them must load.
const MOST_LOAD: f64 = 3.0;

struct Measured {
    stubs: usize,
    most: f64,
    server: MockServer,
    load_seconds: f64,
    times: Vec<f64>,
    /// Beside bare hyper, measured right before.
    ratios: Vec<f64>,
    /// The partners' folder, removed with it.
    _folder: tempfile::TempDir,
}

fn main() -> Result<()> {
    let (mut wiremock, mut only) = (None, None);
    let mut requests = 10_000_000;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--wiremock" => wiremock = Some(value),
            "--requests" => requests = value.parse()?,
            "--only" => only = Some(value.parse()?),
            other => {
                return Err(format!("{other}: there are --wiremock JAR, --requests N, --only STUBS").into());
            }
        }
    }
    let memory = memory::measure(requests)?;
    let bare = peers::bare_hyper()?;
    let mut rows = start_all(only)?;
    let mut floor = Vec::new();
    for _ in 0..ROUNDS {
        for row in &mut rows {
            // Beside each of ours, at the same moment: the machine is not always as fast.
            let least = load::cost(bare, 1, REQUESTS, "bare")?;
            let time = load::cost(row.server.addr(), row.stubs, REQUESTS, "qiao-mock")?;
            row.times.push(time);
            row.ratios.push(time / least);
            floor.push(least);
        }
    }
    let beside = wiremock.map(|jar| peers::wiremock(&jar)).transpose()?.unwrap_or_default();
    print_cost(&floor, &rows, &beside);
    if let Some(row) = rows.iter().find(|row| row.stubs == 5_000) {
        let explained = load::explanation(row.server.admin_addr().ok_or("no admin API")?)?;
        println!(
            "\nA miss among 5000 stubs is explained within {:.1} ms, asked over the admin API: the wanted 5 ms are {}.",
            explained * 1e3,
            if explained <= 5e-3 { "met" } else { "**missed**" }
        );
    }
    println!("\n{memory}");
    Ok(())
}

/// All sizes at once, so that the rounds can go from one to the next.
fn start_all(only: Option<usize>) -> Result<Vec<Measured>> {
    SIZES
        .into_iter()
        .filter(|(stubs, _)| only.is_none_or(|only| only == *stubs))
        .map(|(stubs, most)| {
            let folder = stubs::ours(stubs)?;
            let mut config = MockConfig::new(folder.path());
            config.threads = 1;
            config.admin = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
            let begun = Instant::now();
            let server = MockServer::start(config, Vault::in_memory()?)?;
            let load_seconds = begun.elapsed().as_secs_f64();
            Ok(Measured {
                stubs,
                most,
                server,
                load_seconds,
                times: Vec::new(),
                ratios: Vec::new(),
                _folder: folder,
            })
        })
        .collect()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn print_cost(floor: &[f64], rows: &[Measured], wiremock: &HashMap<usize, f64>) {
    println!(
        "| stubs behind one path | CPU µs/request | beside bare hyper | target | | loads in s | WireMock, CPU µs | beside Qiao |"
    );
    println!("|---|--:|--:|--:|---|--:|--:|--:|");
    println!("| bare hyper | {:.1} | 1.00× | | | | | |", median(floor.to_vec()));
    for row in rows {
        let time = median(row.times.clone());
        let name = if row.stubs == 0 { "one, static".to_owned() } else { row.stubs.to_string() };
        let loads = match row.load_seconds {
            slow if slow > MOST_LOAD => format!("**{slow:.2}, missed**"),
            seconds => format!("{seconds:.2}"),
        };
        let (other, beside) = match wiremock.get(&row.stubs) {
            Some(other) => (format!("{other:.0}"), format!("{:.0}×", other / time)),
            None => ("–".to_owned(), "–".to_owned()),
        };
        let ratio = median(row.ratios.clone());
        let verdict = if ratio <= row.most { "met" } else { "**missed**" };
        println!(
            "| {name} | {time:.1} | {ratio:.2}× | ≤ {}× | {verdict} | {loads} | {other} | {beside} |",
            row.most
        );
    }
}
