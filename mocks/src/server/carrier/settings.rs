//! A gateway's settings, compiled.
use std::{sync::Arc, time::Duration};

use qiao_vault::KeyHandle;

use super::Dialect;
use crate::spec::carrier::Overrun;

/// A gateway.
pub struct Settings {
    pub dialect: &'static dyn Dialect,
    pub gateway: u32,
    /// The versions spoken, as agreed on the wire; the highest last.
    pub versions: Vec<u8>,
    pub accounts: Vec<Arc<Account>>,
    /// C.
    pub idle: Duration,
    /// T.
    pub answer: Duration,
    /// N.
    pub tries: u32,
    pub clock_skew: Option<Duration>,
    pub overrun: Overrun,
    pub kept: usize,
    pub reports: Reports,
}

/// A service provider.
pub struct Account {
    pub id: Arc<str>,
    pub secret: KeyHandle,
    pub numbers: Vec<String>,
    pub window: u32,
    pub connections: usize,
    pub session: Box<str>,
    pub callback: Option<Callback>,
}

/// The service provider's own listener.
pub struct Callback {
    pub address: String,
    pub name: String,
    pub secret: KeyHandle,
}

/// What becomes of accepted messages.
#[derive(Clone, Debug)]
pub struct Reports {
    pub after: (Duration, Duration),
    pub mix: Vec<(String, u32)>,
    pub duplicate: f64,
    pub early: f64,
    pub never: f64,
}

impl Settings {
    pub fn account(&self, id: &str) -> Option<&Arc<Account>> {
        self.accounts.iter().find(|account| *account.id == *id)
    }
}

impl Account {
    /// Whether messages may be sent under this number.
    pub fn may_send_as(&self, number: &str) -> bool {
        self.numbers.is_empty() || self.numbers.iter().any(|prefix| number.starts_with(prefix.as_str()))
    }
}
