//! Benchmarks of the bus against peers, all in one run: CPU time per request, system calls, tail latency, memory. For `make bench`.
use std::process::ExitCode;

mod measure;
mod peer;
mod process;
mod report;
mod run;
mod setup;
mod upstream;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["upstream", port] => upstream::serve(port),
        ["peer-proxy", port, upstream] => peer::proxy(port, upstream),
        ["peer-transform", port, upstream, database] => peer::transform(port, upstream, database),
        ["run", qiao, output, seconds, rounds] => run::run(qiao, output, seconds, rounds),
        ["calls", qiao] => run::system_calls(qiao),
        _ => Err("usage: qiao-bench run QIAO OUTPUT SECONDS ROUNDS | calls QIAO".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("qiao-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Any error of a benchmark ends it with its text.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
