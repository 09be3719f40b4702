//! The demo's live line per call on standard output.
use std::io::Write;

use qiao_core::CallRecord;

use crate::observe::Observer;

/// Prints one line per call: time, outcome, status, took, interface, caller, call id.
pub struct LiveLines;

impl Observer for LiveLines {
    fn recorded(&self, record: &CallRecord) {
        let seconds = record.started_us.div_euclid(1_000_000);
        // Asia/Shanghai, as everywhere people read times.
        let local = (seconds + 8 * 3600).rem_euclid(86_400);
        let time = format!("{:02}:{:02}:{:02}", local / 3600, local / 60 % 60, local % 60);
        let fault = record.fault.map(|number| format!(" QIAO-{number:04}")).unwrap_or_default();
        let line = format!(
            "{time}  {:9} {} {:7.1} ms  {:30} {:14} {}{fault}\n",
            record.outcome.as_str(),
            record.status,
            f64::from(u32::try_from(record.duration_us).unwrap_or(u32::MAX)) / 1000.0,
            record.interface,
            record.caller,
            record.id,
        );
        // Nobody reads where the terminal is gone.
        drop(std::io::stdout().lock().write_all(line.as_bytes()));
    }
}
