//! The demo's live line per call on standard output.
use std::{
    io::Write,
    sync::mpsc::{SyncSender, sync_channel},
};

use qiao_core::CallRecord;

use crate::observe::Observer;

/// Lines that wait for the terminal; more are left out, for a call must not wait for a terminal.
const WAITING: usize = 1024;

/// Prints one line per call: time, outcome, status, took, interface, caller, call id.
pub struct LiveLines {
    lines: SyncSender<String>,
}

impl Default for LiveLines {
    fn default() -> Self {
        let (lines, waiting) = sync_channel::<String>(WAITING);
        std::thread::spawn(move || {
            for line in waiting {
                if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
                    // Nobody reads any more.
                    return;
                }
            }
        });
        Self { lines }
    }
}

impl Observer for LiveLines {
    fn recorded(&self, record: &CallRecord) {
        // Full or closed: the line is left out.
        self.lines.try_send(line(record)).unwrap_or_default();
    }
}

fn line(record: &CallRecord) -> String {
    let seconds = record.started_us.div_euclid(1_000_000);
    // Asia/Shanghai, as everywhere people read times.
    let local = (seconds + 8 * 3600).rem_euclid(86_400);
    let time = format!("{:02}:{:02}:{:02}", local / 3600, local / 60 % 60, local % 60);
    let fault = record.fault.map(|number| format!(" QIAO-{number:04}")).unwrap_or_default();
    format!(
        "{time}  {:9} {:3} {:7.1} ms  {:30} {:14} {}{fault}\n",
        record.outcome.as_str(),
        record.status,
        f64::from(u32::try_from(record.duration_us).unwrap_or(u32::MAX)) / 1000.0,
        record.interface,
        record.caller,
        record.id,
    )
}
