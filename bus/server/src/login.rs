//! Operators at the admin API: a challenge signed with their own SM2 key, as from a UKey, opens a short session (GB/T 39786 level 3:
//! identity of those who log in; GB/T 22239: failed tries limited, sessions ended).
use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use qiao_vault::{KeyRef, SignatureFormat, Vault, VaultError, challenge::Challenges};

use crate::needed_keys::{LOGIN_SEAL, own_key};

/// Seconds a session lives without a request.
pub const IDLE: i64 = 15 * 60;
/// Seconds a session lives at most.
pub const ABSOLUTE: i64 = 8 * 3600;
/// Failed tries before an account is locked, and for how many seconds.
pub const TRIES: u32 = 5;
pub const LOCKED: i64 = 15 * 60;

/// Bounds of what is remembered.
const MOST_SESSIONS: usize = 256;
const MOST_NONCES: usize = 4096;
const MOST_ACCOUNTS: usize = 1024;
/// Tries of everybody together in one second.
const MOST_PER_SECOND: u32 = 20;

/// Why nobody is let in. Only [`Refused::Busy`] and [`Refused::Unavailable`] tell a stranger anything.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the operator, the challenge or the signature is not valid, or the account is locked")]
    No,
    #[error("too many tries: wait a moment")]
    Busy,
    #[error("the vault is sealed, or lacks vault:login/seal")]
    Unavailable,
}

/// Operators' sessions on this node.
pub struct Logins {
    vault: Vault,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By the SM3 of the token: a copy of this memory opens nothing.
    sessions: HashMap<[u8; 32], Session>,
    /// Used challenges with the time they end by themselves.
    used: HashMap<String, i64>,
    failures: HashMap<String, Failures>,
    second: (i64, u32),
}

struct Session {
    operator: Arc<str>,
    begun: i64,
    seen: i64,
}

#[derive(Default)]
struct Failures {
    count: u32,
    last: i64,
}

impl Logins {
    pub fn new(vault: &Vault) -> Self {
        Self { vault: vault.clone(), state: Mutex::default() }
    }

    fn challenges(&self) -> Result<Challenges, Refused> {
        let seal = self.vault.key(&own_key(LOGIN_SEAL));
        Challenges::new(&self.vault, seal, "admin").map_err(|_| Refused::Unavailable)
    }

    /// A challenge for an operator, who need not exist: a stranger learns nothing. `now` in Unix seconds.
    pub fn challenge(&self, operator: &str, now: i64) -> Result<String, Refused> {
        self.state.lock().count(now)?;
        self.challenges()?.issue(operator, now).map_err(|_| Refused::Unavailable)
    }

    /// A session's token for a signed challenge (r ‖ s in hex). Each challenge opens one session at most.
    pub fn login(
        &self,
        operator: &str,
        challenge: &str,
        signature: &str,
        now: i64,
    ) -> Result<String, Refused> {
        let challenges = self.challenges()?;
        let mut state = self.state.lock();
        state.count(now)?;
        if state.is_locked(operator, now) {
            return Err(Refused::No);
        }
        let held = self.verify(&challenges, operator, challenge, signature, now);
        let fresh = held.and_then(|answered| state.use_up(answered.nonce, answered.expires, now));
        if let Err(refused) = fresh {
            if refused == Refused::No {
                state.failed(operator, now);
            }
            return Err(refused);
        }
        state.failures.remove(operator);
        let mut token = [0; 32];
        self.vault.provider().random(&mut token).map_err(|_| Refused::Unavailable)?;
        let token = hex::encode(token);
        state.open(self.hash(token.as_bytes()), operator, now);
        Ok(token)
    }

    fn verify(
        &self,
        challenges: &Challenges,
        operator: &str,
        challenge: &str,
        signature: &str,
        now: i64,
    ) -> Result<qiao_vault::challenge::Answered, Refused> {
        let name = KeyRef::from_name(&format!("operator/{operator}")).map_err(|_| Refused::No)?;
        let public = self.vault.key(&name).public().map_err(|_| Refused::No)?;
        let public: [u8; 64] = public[1..].try_into().map_err(|_| Refused::No)?;
        let signature = hex::decode(signature).map_err(|_| Refused::No)?;
        let verified = challenges.verify(challenge, operator, &public, &signature, SignatureFormat::Raw, now);
        verified.map_err(|error| match error {
            VaultError::Sealed | VaultError::UnknownKey { .. } => Refused::Unavailable,
            _ => Refused::No,
        })
    }

    /// Whose session this token is; a request keeps it alive.
    pub fn session(&self, token: &[u8], now: i64) -> Option<Arc<str>> {
        let hash = self.hash(token);
        let mut state = self.state.lock();
        let session = state.sessions.get_mut(&hash)?;
        if !session.is_alive(now) {
            state.sessions.remove(&hash);
            return None;
        }
        session.seen = now;
        Some(Arc::clone(&session.operator))
    }

    /// Ends a session.
    pub fn logout(&self, token: &[u8]) {
        let hash = self.hash(token);
        self.state.lock().sessions.remove(&hash);
    }

    fn hash(&self, token: &[u8]) -> [u8; 32] {
        self.vault.provider().sm3(&[token])
    }
}

impl Session {
    fn is_alive(&self, now: i64) -> bool {
        now >= self.seen && now < self.seen + IDLE && now < self.begun + ABSOLUTE
    }
}

impl State {
    fn count(&mut self, now: i64) -> Result<(), Refused> {
        if self.second.0 != now {
            self.second = (now, 0);
        }
        self.second.1 += 1;
        if self.second.1 > MOST_PER_SECOND { Err(Refused::Busy) } else { Ok(()) }
    }

    fn is_locked(&self, operator: &str, now: i64) -> bool {
        self.failures.get(operator).is_some_and(|failed| failed.count >= TRIES && now < failed.last + LOCKED)
    }

    fn failed(&mut self, operator: &str, now: i64) {
        self.failures.retain(|_, failed| now < failed.last + LOCKED);
        if self.failures.len() < MOST_ACCOUNTS || self.failures.contains_key(operator) {
            let failed = self.failures.entry(operator.to_owned()).or_default();
            failed.count += 1;
            failed.last = now;
        }
    }

    /// A second use of a challenge is refused; where too many are remembered, every login is for a while.
    fn use_up(&mut self, nonce: String, expires: i64, now: i64) -> Result<(), Refused> {
        self.used.retain(|_, expires| now < *expires);
        if self.used.len() >= MOST_NONCES {
            return Err(Refused::Busy);
        }
        if self.used.insert(nonce, expires).is_some() { Err(Refused::No) } else { Ok(()) }
    }

    /// One session per operator: a new one ends the one before. Where there is no room, the one idle longest goes.
    fn open(&mut self, hash: [u8; 32], operator: &str, now: i64) {
        self.sessions.retain(|_, session| session.is_alive(now) && &*session.operator != operator);
        if self.sessions.len() >= MOST_SESSIONS
            && let Some(oldest) =
                self.sessions.iter().min_by_key(|(_, session)| session.seen).map(|(hash, _)| *hash)
        {
            self.sessions.remove(&oldest);
        }
        self.sessions.insert(hash, Session { operator: operator.into(), begun: now, seen: now });
    }
}

#[cfg(test)]
mod tests {
    use qiao_vault::{DEFAULT_SM2_ID, KeyHandle, KeyKind, Operator, Purpose};

    use super::*;

    /// A vault with an operator `zhang`, and Zhang's own key elsewhere.
    fn logins() -> (Logins, KeyHandle) {
        let (vault, ukey) = (Vault::in_memory().expect("a vault"), Vault::in_memory().expect("a UKey"));
        vault.generate(&own_key(LOGIN_SEAL), KeyKind::Hmac, Purpose::Mac).expect("a key");
        let own: KeyRef = "vault:own".parse().expect("a reference");
        ukey.generate(&own, KeyKind::Sm2, Purpose::Sign).expect("a key");
        let public = ukey.export_public(&own).expect("public");
        let zhang = Operator { name: "zhang".into(), public: public.to_vec() };
        vault.register_operator(&zhang, None).expect("registered");
        (Logins::new(&vault), ukey.key(&own))
    }

    fn sign(key: &KeyHandle, challenge: &str) -> String {
        hex::encode(key.sign(challenge.as_bytes(), DEFAULT_SM2_ID, SignatureFormat::Raw).expect("signed"))
    }

    fn enter(logins: &Logins, key: &KeyHandle, now: i64) -> Result<String, Refused> {
        let challenge = logins.challenge("zhang", now).expect("a challenge");
        logins.login("zhang", &challenge, &sign(key, &challenge), now)
    }

    #[test]
    fn a_session_ends_idle_at_its_end_or_by_logout_and_a_new_one_ends_the_old() {
        let (logins, key) = logins();
        let token = enter(&logins, &key, 1000).expect("in");
        assert_eq!(logins.session(token.as_bytes(), 1000 + IDLE - 1).as_deref(), Some("zhang"));
        assert_eq!(logins.session(token.as_bytes(), 1000 + 3 * IDLE), None, "idle too long");
        let token = enter(&logins, &key, 20_000).expect("in");
        let mut now = 20_000;
        while now + IDLE - 1 < 20_000 + ABSOLUTE {
            now += IDLE - 1;
            assert!(logins.session(token.as_bytes(), now).is_some());
        }
        assert_eq!(logins.session(token.as_bytes(), 20_000 + ABSOLUTE), None, "its end");
        let first = enter(&logins, &key, 90_000).expect("in");
        let second = enter(&logins, &key, 90_001).expect("in");
        assert_eq!(logins.session(first.as_bytes(), 90_002), None);
        logins.logout(second.as_bytes());
        assert_eq!(logins.session(second.as_bytes(), 90_002), None);
    }

    #[test]
    fn a_used_a_foreign_and_a_late_challenge_are_refused_alike() {
        let (logins, key) = logins();
        let challenge = logins.challenge("zhang", 1000).expect("a challenge");
        let signature = sign(&key, &challenge);
        logins.login("zhang", &challenge, &signature, 1001).expect("in");
        assert_eq!(logins.login("zhang", &challenge, &signature, 1002), Err(Refused::No), "used");
        let other = logins.challenge("li", 1003).expect("a stranger gets one too");
        assert_eq!(logins.login("li", &other, &sign(&key, &other), 1003), Err(Refused::No));
        assert_eq!(logins.login("zhang", &other, &sign(&key, &other), 1003), Err(Refused::No));
        let late = logins.challenge("zhang", 1004).expect("a challenge");
        assert_eq!(logins.login("zhang", &late, &sign(&key, &late), 1300), Err(Refused::No));
    }

    #[test]
    fn five_failed_tries_lock_the_account_for_a_quarter_of_an_hour() {
        let (logins, key) = logins();
        for second in 0..i64::from(TRIES) {
            let challenge = logins.challenge("zhang", 1000 + second).expect("a challenge");
            assert_eq!(logins.login("zhang", &challenge, &"00".repeat(64), 1000 + second), Err(Refused::No));
        }
        assert_eq!(enter(&logins, &key, 1010), Err(Refused::No), "locked although the signature is right");
        enter(&logins, &key, 1010 + LOCKED).expect("in again");
    }

    #[test]
    fn tries_of_everybody_together_are_limited_in_a_second() {
        let (logins, _) = logins();
        let asked = (0..100).filter(|_| logins.challenge("zhang", 1000).is_ok()).count();
        assert_eq!(asked, MOST_PER_SECOND as usize);
        assert!(logins.challenge("zhang", 1001).is_ok());
    }
}
