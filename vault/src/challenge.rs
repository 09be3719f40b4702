//! Login by signature, as with a UKey: a challenge the browser's key signs. For the console (GB/T 39786 level 3: identity of
//! those who log in; GB/T 22239: one factor cryptographic).
//!
//! Challenges are not stored: each carries its own time and seal. What must be remembered is only which were used.
use crate::{
    error::VaultError,
    format::SignatureFormat,
    provider::{CryptoError, DEFAULT_SM2_ID, sm2_z},
    vault::{KeyHandle, Vault},
};

/// How long a challenge can be answered, in seconds.
pub const CHALLENGE_LIFE: i64 = 120;

const MARK: &str = "qiao-login-1";

/// Makes and checks challenges for one purpose, such as `console`.
pub struct Challenges {
    vault: Vault,
    seal: KeyHandle,
    audience: String,
}

/// A signature that held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// To be remembered until `expires`; a second use is a replay and must be refused by the caller.
    pub nonce: String,
    /// Unix seconds.
    pub expires: i64,
}

impl Challenges {
    /// `seal` is a key of kind `hmac`; the audience is letters, digits, `.`, `_` and `-`.
    pub fn new(vault: &Vault, seal: KeyHandle, audience: &str) -> Result<Self, VaultError> {
        let fine = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if audience.is_empty() || audience.len() > 64 || !audience.bytes().all(fine) {
            return Err(VaultError::invalid("an audience is 1 to 64 letters, digits, `.`, `_` and `-`"));
        }
        Ok(Self { vault: vault.clone(), seal, audience: audience.to_owned() })
    }

    /// A fresh challenge for an account; `now` in Unix seconds. One line of text to be signed as it stands.
    pub fn issue(&self, account: &str, now: i64) -> Result<String, VaultError> {
        let mut nonce = [0; 16];
        self.vault.provider().random(&mut nonce)?;
        let body = format!("{MARK}:{}:{now}:{}", self.audience, hex::encode(nonce));
        let seal = self.seal.hmac(&[body.as_bytes(), &[0], account.as_bytes()])?;
        Ok(format!("{body}:{}", hex::encode(seal)))
    }

    /// Whether the account's key x ‖ y signed this challenge, made here for this account less than [`CHALLENGE_LIFE`]
    /// seconds ago. Every failure is the same [`VaultError::Refused`].
    pub fn verify(
        &self,
        challenge: &str,
        account: &str,
        public: &[u8; 64],
        signature: &[u8],
        format: SignatureFormat,
        now: i64,
    ) -> Result<Answered, VaultError> {
        let refused = || VaultError::from(CryptoError::Refused);
        let (body, seal) = challenge.rsplit_once(':').ok_or_else(refused)?;
        let seal = hex::decode(seal).map_err(|_| refused())?;
        self.seal.hmac_verify(&[body.as_bytes(), &[0], account.as_bytes()], &seal)?;
        let parts: Vec<_> = body.split(':').collect();
        let [MARK, audience, issued, nonce] = parts[..] else { return Err(refused()) };
        let expires = issued.parse::<i64>().map_err(|_| refused())? + CHALLENGE_LIFE;
        if audience != self.audience || now >= expires || now < expires - CHALLENGE_LIFE {
            return Err(refused());
        }
        let provider = &**self.vault.provider();
        let signature = format.read(signature).ok_or_else(refused)?;
        let digest = provider.sm3(&[&sm2_z(provider, public, DEFAULT_SM2_ID)?, challenge.as_bytes()]);
        provider.sm2_public(public)?.verify_digest(&digest, &signature)?;
        Ok(Answered { nonce: nonce.to_owned(), expires })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeyKind, KeyRef, Purpose};

    struct Login {
        challenges: Challenges,
        ukey: KeyHandle,
        public: [u8; 64],
    }

    fn login(audience: &str) -> Login {
        let vault = Vault::in_memory().unwrap();
        let (seal, ukey): (KeyRef, KeyRef) = ("vault:login".parse().unwrap(), "vault:ukey".parse().unwrap());
        vault.import(&seal, KeyKind::Hmac, Purpose::Mac, &[7; 32]).unwrap();
        vault.import(&ukey, KeyKind::Sm2, Purpose::Sign, &[8; 32]).unwrap();
        let public = vault.export_public(&ukey).unwrap()[1..].try_into().unwrap();
        let challenges = Challenges::new(&vault, vault.key(&seal), audience).unwrap();
        Login { challenges, ukey: vault.key(&ukey), public }
    }

    impl Login {
        fn answer(
            &self,
            challenge: &str,
            account: &str,
            signed: &str,
            now: i64,
        ) -> Result<Answered, VaultError> {
            let signature = self.ukey.sign(signed.as_bytes(), DEFAULT_SM2_ID, SignatureFormat::Der).unwrap();
            self.challenges.verify(challenge, account, &self.public, &signature, SignatureFormat::Der, now)
        }
    }

    #[test]
    fn a_signed_challenge_logs_in_once_within_its_life() {
        let login = login("console");
        let challenge = login.challenges.issue("auditor", 1000).unwrap();
        let answered = login.answer(&challenge, "auditor", &challenge, 1119).unwrap();
        assert_eq!(answered.expires, 1120);
        assert_eq!(answered.nonce.len(), 32);
        let other = login.challenges.issue("auditor", 1000).unwrap();
        assert_ne!(login.answer(&other, "auditor", &other, 1000).unwrap().nonce, answered.nonce);
    }

    #[test]
    fn refuses_late_early_foreign_and_altered_challenges_alike() {
        let (login, elsewhere) = (login("console"), login("bank"));
        let good = login.challenges.issue("auditor", 1000).unwrap();
        let foreign = elsewhere.challenges.issue("auditor", 1000).unwrap();
        let later = good.replacen(":1000:", ":9000:", 1);
        let cases = [
            (&good, "auditor", &good, 1120),
            (&good, "auditor", &good, 999),
            (&good, "operator", &good, 1000),
            (&good, "auditor", &later, 1000),
            (&later, "auditor", &later, 9000),
            (&foreign, "auditor", &foreign, 1000),
        ];
        for (challenge, account, signed, now) in cases {
            let result = login.answer(challenge, account, signed, now);
            assert!(matches!(result, Err(VaultError::Refused { .. })), "{challenge} {account} {now}");
        }
        let other = login.challenges.verify(
            &good,
            "auditor",
            &elsewhere.public,
            &[1; 64],
            SignatureFormat::Raw,
            1000,
        );
        assert!(matches!(other, Err(VaultError::Refused { .. })));
    }
}
