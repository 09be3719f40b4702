//! Standard output of commands. A reader that goes away (`| head`) ends the output, not the command; a full disk fails it.
use std::{
    fmt::Arguments,
    io::{ErrorKind, Write},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

static FAILED: AtomicBool = AtomicBool::new(false);

/// Prints one line.
pub fn line(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_fmt(text).and_then(|()| out.write_all(b"\n")) {
        failed(&error);
    }
}

/// Whether everything printed so far could be written, or nobody wanted it.
pub fn is_written() -> bool {
    if let Err(error) = std::io::stdout().lock().flush() {
        failed(&error);
    }
    !FAILED.load(Relaxed)
}

fn failed(error: &std::io::Error) {
    if error.kind() != ErrorKind::BrokenPipe {
        FAILED.store(true, Relaxed);
    }
}

/// As `println!`, which panics where the reader has gone.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::out::line(format_args!($($text)*)) };
}
pub(crate) use say;
