//! What a failed attempt is called: one place decides the fault code and whether a repeat is safe.
use std::{error::Error, fmt::Write as _, sync::Arc};

use qiao_core::{Fault, FaultCode, Repeat, fault_codes as codes};

use super::{dial::DialError, headers::Suspicious};

/// The attempt a fault is told about.
pub(super) struct Scene<'a> {
    pub(super) system: &'a str,
    /// `None` until one was picked.
    pub(super) endpoint: Option<Arc<str>>,
    pub(super) changing: bool,
}

impl Scene<'_> {
    fn fault(&self, code: &'static FaultCode, repeat: Repeat, detail: &str) -> Fault {
        let system = self.system;
        match &self.endpoint {
            Some(endpoint) => Fault::new(code, format!("system `{system}`, {endpoint}: {detail}"))
                .with_endpoint(endpoint.clone()),
            None => Fault::new(code, format!("system `{system}`: {detail}")),
        }
        .with_repeat(repeat)
    }

    /// What may be said of a repeat once bytes may have left.
    fn after_sending(&self) -> Repeat {
        if self.changing { Repeat::Unknown } else { Repeat::Safe }
    }

    /// The definition or the flow asks for what HTTP cannot carry.
    pub(super) fn unsendable(&self, what: &str) -> Fault {
        self.fault(&codes::FLOW_FAULT, Repeat::Unsafe, what)
    }

    pub(super) fn no_slot(&self, max_connections: usize) -> Fault {
        let detail =
            format!("no free connection before the deadline (pool.maxConnections = {max_connections})");
        self.fault(&codes::PARTNER_BUSY, Repeat::Safe, &detail)
    }

    pub(super) fn not_connected(&self, error: &DialError) -> Fault {
        self.fault(&codes::PARTNER_DOWN, Repeat::Safe, &with_causes(error))
    }

    /// The deadline passed before anything was sent.
    pub(super) fn late_unsent(&self, doing: &str) -> Fault {
        self.fault(
            &codes::PARTNER_TIMEOUT,
            Repeat::Safe,
            &format!("deadline passed while {doing}; nothing was sent"),
        )
    }

    /// The deadline passed after the request was handed to the connection.
    pub(super) fn late(&self, sent: bool, doing: &str) -> Fault {
        if sent {
            let detail = format!("deadline passed while {doing}");
            self.fault(&codes::PARTNER_TIMEOUT, self.after_sending(), &detail)
        } else {
            self.late_unsent(doing)
        }
    }

    /// Sending the request or reading the answer's head failed.
    pub(super) fn send_failed(&self, error: &hyper::Error, sent: bool, header_bytes: usize) -> Fault {
        let detail = with_causes(error);
        if error.is_user() {
            let repeat = if sent { self.after_sending() } else { Repeat::Safe };
            let detail = format!("the request's own body broke off: {detail}");
            return self.fault(&codes::BAD_REQUEST, repeat, &detail);
        }
        if !sent {
            let detail = format!("connection lost before any byte was sent: {detail}");
            return self.fault(&codes::PARTNER_DOWN, Repeat::Safe, &detail);
        }
        let detail = if error.is_parse_too_large() {
            format!("answer head over limits.headerBytes = {header_bytes} or over 100 lines")
        } else if error.is_parse() {
            format!("answer is not HTTP: {detail}")
        } else {
            format!("connection lost before the answer: {detail}")
        };
        self.fault(&codes::PARTNER_PROTOCOL, self.after_sending(), &detail)
    }

    pub(super) fn suspicious(&self, why: Suspicious) -> Fault {
        self.fault(&codes::PARTNER_PROTOCOL, self.after_sending(), &why.to_string())
    }

    pub(super) fn body_broken(&self, error: &hyper::Error) -> Fault {
        let detail = format!("answer broke off: {}", with_causes(error));
        self.fault(&codes::PARTNER_PROTOCOL, self.after_sending(), &detail)
    }

    /// The same answer would come again, so a repeat does not help even where it is harmless.
    pub(super) fn answer_too_long(&self, setting: &str, bound: u64) -> Fault {
        let repeat = if self.changing { Repeat::Unknown } else { Repeat::Unsafe };
        self.fault(&codes::PARTNER_PROTOCOL, repeat, &format!("answer is over {setting} = {bound} bytes"))
    }
}

/// The error and what caused it: hyper's outer message alone does not say.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let told = inner.to_string();
        if !text.contains(&told) {
            // Writing to a String cannot fail.
            write!(text, ": {told}").unwrap_or_default();
        }
        cause = inner.source();
    }
    text
}
