//! Unsealing a vault step by step: custodians' shares one at a time, failed tries counted and slowed. For a node's admin API.
use super::{RootSecret, Vault, VaultState, join_shares, shares::index_in};
use crate::{
    error::VaultError,
    storage::{CustodianSet, LockKind},
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Failed tries that cost no waiting.
const FREE: u32 = 3;
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// How long given shares are kept for the others to come.
const SHARES_KEPT: Duration = Duration::from_secs(3600);

/// What was collected, and how often it was tried in vain. One per vault.
#[derive(Default)]
pub struct Unsealing(Mutex<State>);

#[derive(Default)]
struct State {
    shares: Vec<(u8, Zeroizing<String>)>,
    /// When the last share came.
    touched: Option<Instant>,
    /// In a row.
    failures: u32,
    failures_ever: u64,
    not_before: Option<Instant>,
}

/// How far the unsealing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    pub unsealed: bool,
    /// Shares given, where custodians unseal.
    pub given: u8,
    /// Shares needed, 0 where no custodians unseal.
    pub needed: u8,
    /// Tries in vain since this process began.
    pub failed_tries: u64,
}

/// Why a try did not unseal.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// Too many tries in vain.
    #[error("too many failed tries: try again in {} s", wait.as_secs().max(1))]
    TooSoon { wait: Duration },
    /// Mistyped, of another set or given already: which of these is not told.
    #[error("this share was not accepted")]
    ShareRefused,
    /// Every share had the right form; which one is false is not known.
    #[error("these shares do not open the vault; all of them were dropped, begin again")]
    SharesWrong,
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Unsealing {
    /// Unseals with a passphrase or a key file. One try at a time.
    pub fn secret(&self, vault: &Vault, secret: &RootSecret, now: Instant) -> Result<Progress, UnsealError> {
        let mut state = self.0.lock();
        state.check(now)?;
        match vault.unseal(secret) {
            Ok(()) => state.succeeded(),
            Err(error) => {
                // A secret that cannot be one (too short) is a try as well.
                if matches!(error, VaultError::WrongRoot | VaultError::Invalid { .. }) {
                    state.failed(now);
                }
                return Err(error.into());
            }
        }
        state.progress(vault)
    }

    /// Takes one custodian's share, and unseals with the last one needed.
    pub fn share(&self, vault: &Vault, text: &str, now: Instant) -> Result<Progress, UnsealError> {
        let mut state = self.0.lock();
        state.check(now)?;
        state.forget_old(now);
        let set = custodians(vault)?.ok_or_else(|| {
            VaultError::invalid("no custodians unseal this vault; give the passphrase or key file")
        })?;
        let index = index_in(&set, text).filter(|index| state.shares.iter().all(|(known, _)| known != index));
        let Some(index) = index else {
            state.failed(now);
            return Err(UnsealError::ShareRefused);
        };
        state.shares.push((index, Zeroizing::new(text.trim().to_owned())));
        state.touched = Some(now);
        if state.shares.len() >= usize::from(set.needed) {
            let texts: Vec<&str> = state.shares.iter().map(|(_, text)| text.as_str()).collect();
            let result = join_shares(&texts).and_then(|root| vault.unseal(&root));
            state.shares.clear();
            match result {
                Ok(()) => state.succeeded(),
                Err(VaultError::WrongRoot) => {
                    state.failed(now);
                    return Err(UnsealError::SharesWrong);
                }
                Err(error) => return Err(error.into()),
            }
        }
        state.progress(vault)
    }

    /// Drops the shares given so far.
    pub fn forget(&self) {
        self.0.lock().shares.clear();
    }

    /// Drops shares whose time is over; to be called now and then.
    pub fn forget_old(&self, now: Instant) {
        self.0.lock().forget_old(now);
    }

    pub fn progress(&self, vault: &Vault) -> Result<Progress, UnsealError> {
        self.0.lock().progress(vault)
    }
}

impl State {
    fn check(&self, now: Instant) -> Result<(), UnsealError> {
        match self.not_before.and_then(|until| until.checked_duration_since(now)) {
            Some(wait) if !wait.is_zero() => Err(UnsealError::TooSoon { wait }),
            _ => Ok(()),
        }
    }

    fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.failures_ever += 1;
        if self.failures >= FREE {
            let doubled = 1u64 << (self.failures - FREE).min(16);
            self.not_before = Some(now + Duration::from_secs(doubled).min(LONGEST_WAIT));
        }
    }

    fn succeeded(&mut self) {
        (self.failures, self.not_before) = (0, None);
        self.shares.clear();
    }

    fn forget_old(&mut self, now: Instant) {
        if self.touched.is_some_and(|touched| now.saturating_duration_since(touched) >= SHARES_KEPT) {
            self.shares.clear();
            self.touched = None;
        }
    }

    fn progress(&self, vault: &Vault) -> Result<Progress, UnsealError> {
        let needed = custodians(vault)?.map_or(0, |set| set.needed);
        Ok(Progress {
            unsealed: vault.state()? == VaultState::Unsealed,
            given: self.shares.len() as u8,
            needed,
            failed_tries: self.failures_ever,
        })
    }
}

fn custodians(vault: &Vault) -> Result<Option<CustodianSet>, VaultError> {
    let header = vault.0.storage.header()?.ok_or(VaultError::Uninitialised)?;
    let mut locks = header.locks.into_iter().filter(|lock| lock.kind == LockKind::Custodians);
    Ok(locks.next().and_then(|lock| lock.custodians))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        provider::pure::PureProvider,
        storage::MemoryStorage,
        vault::{LockChange, split_shares},
    };
    use std::sync::Arc;

    fn sealed() -> (Vault, Vec<Zeroizing<String>>) {
        let vault = Vault::open(Arc::<MemoryStorage>::default());
        let (root, shares) = split_shares(&PureProvider, 2, 3).unwrap();
        vault.init(&root).unwrap();
        let file = RootSecret::KeyFile(vec![1; 32].into());
        vault.change_locks(&root, LockChange::Add(&file), None).unwrap();
        vault.seal();
        (vault, shares)
    }

    #[test]
    fn shares_come_one_by_one_and_the_last_one_unseals() {
        let (vault, shares) = sealed();
        let (unsealing, now) = (Unsealing::default(), Instant::now());
        let first = unsealing.share(&vault, &shares[2], now).unwrap();
        assert_eq!((first.given, first.needed, first.unsealed), (1, 2, false));
        assert!(unsealing.share(&vault, &format!(" {}\n", *shares[0]), now).unwrap().unsealed);
        assert_eq!(unsealing.progress(&vault).unwrap().given, 0);
    }

    #[test]
    fn a_share_that_is_foreign_mistyped_or_given_twice_is_refused_with_the_same_words() {
        let (vault, shares) = sealed();
        let (unsealing, now) = (Unsealing::default(), Instant::now());
        unsealing.share(&vault, &shares[0], now).unwrap();
        let foreign = split_shares(&PureProvider, 2, 3).unwrap().1;
        for (nth, wrong) in
            [shares[0].as_str(), "qiao-share-1-mistyped", foreign[1].as_str()].iter().enumerate()
        {
            assert!(matches!(unsealing.share(&vault, wrong, now), Err(UnsealError::ShareRefused)), "{nth}");
        }
        let progress = unsealing.progress(&vault).unwrap();
        assert_eq!((progress.given, progress.failed_tries), (1, 3));
    }

    #[test]
    fn a_false_share_of_the_right_form_drops_all_and_does_not_say_which_it_was() {
        let (vault, shares) = sealed();
        let (unsealing, now) = (Unsealing::default(), Instant::now());
        // The right set and check digits, another value.
        let body = shares[1].rsplit_once('-').unwrap().0.rsplit_once('-').unwrap().0;
        let body = format!("{body}-{}", "ab".repeat(32));
        let check = hex::encode(&crate::provider::Provider::sm3(&PureProvider, &[body.as_bytes()])[..4]);
        unsealing.share(&vault, &shares[0], now).unwrap();
        let result = unsealing.share(&vault, &format!("{body}-{check}"), now);
        assert!(matches!(result, Err(UnsealError::SharesWrong)));
        assert_eq!(unsealing.progress(&vault).unwrap().given, 0);
        assert_eq!(vault.state().unwrap(), VaultState::Sealed);
    }

    #[test]
    fn failed_tries_are_slowed_ever_more_and_a_success_forgives_them() {
        let (vault, _) = sealed();
        let (unsealing, mut now) = (Unsealing::default(), Instant::now());
        let (wrong, right) =
            (RootSecret::KeyFile(vec![2; 32].into()), RootSecret::KeyFile(vec![1; 32].into()));
        let mut waits = Vec::new();
        for _ in 0..15 {
            match unsealing.secret(&vault, &wrong, now).unwrap_err() {
                UnsealError::TooSoon { wait } => {
                    waits.push(wait.as_secs());
                    assert!(matches!(
                        unsealing.secret(&vault, &right, now),
                        Err(UnsealError::TooSoon { .. })
                    ));
                    now += wait;
                }
                error => assert!(matches!(error, UnsealError::Vault(VaultError::WrongRoot)), "{error}"),
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32]);
        let progress = unsealing.secret(&vault, &right, now + Duration::from_secs(300)).unwrap();
        assert_eq!((progress.unsealed, progress.failed_tries), (true, 9));
        vault.seal();
        for _ in 0..2 {
            let error = unsealing.secret(&vault, &wrong, now).unwrap_err();
            assert!(matches!(error, UnsealError::Vault(VaultError::WrongRoot)));
        }
    }

    #[test]
    fn shares_are_forgotten_after_an_hour() {
        let (vault, shares) = sealed();
        let (unsealing, now) = (Unsealing::default(), Instant::now());
        unsealing.share(&vault, &shares[0], now).unwrap();
        unsealing.forget_old(now + Duration::from_secs(3599));
        assert_eq!(unsealing.progress(&vault).unwrap().given, 1);
        unsealing.forget_old(now + Duration::from_secs(3600));
        assert_eq!(unsealing.progress(&vault).unwrap().given, 0);
    }
}
