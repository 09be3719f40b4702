//! The `qiao` binary: see `cli` for its commands.
use std::process::ExitCode;

fn main() -> ExitCode {
    qiao::cli::run()
}
