//! The power-on self-test: published vectors and one round trip per algorithm, before any key is used. For the vault and
//! `qiao keys self-test`.
use crate::{
    error::VaultError,
    provider::{CryptoError, DEFAULT_SM2_ID, Padding, Provider, Sm4Mode, sm2_z},
};

/// One algorithm's result.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SelfTest {
    /// What was checked and by which published example.
    pub name: &'static str,
    pub passed: bool,
}

type Check = fn(&dyn Provider) -> Result<bool, CryptoError>;

const CHECKS: &[(&str, Check)] = &[
    ("random: two draws differ", random),
    ("SM3: GB/T 32905 example 1", sm3),
    ("HMAC-SM3: agreed by two libraries", hmac_sm3),
    ("SM4: GB/T 32907 example 1", sm4),
    ("SM4-GCM: RFC 8998 A.1", sm4_gcm),
    ("SM2 signature: GB/T 32918.5 annex A", sm2_signature),
    ("SM2 encryption: GB/T 32918.5 annex C", sm2_encryption),
    ("SM2 fresh key: round trips", sm2_fresh),
];

/// Runs every check; some milliseconds.
pub fn self_test(provider: &dyn Provider) -> Vec<SelfTest> {
    CHECKS.iter().map(|(name, check)| SelfTest { name, passed: check(provider).unwrap_or(false) }).collect()
}

/// As [`self_test`], failing on the first check that does not hold.
pub fn require_self_test(provider: &dyn Provider) -> Result<(), VaultError> {
    match self_test(provider).into_iter().find(|test| !test.passed) {
        None => Ok(()),
        Some(failed) => Err(VaultError::SelfTest { provider: provider.name(), check: failed.name }),
    }
}

fn bytes<const N: usize>(hex_text: &str) -> [u8; N] {
    let mut out = [0; N];
    hex::decode_to_slice(hex_text, &mut out).expect("the constants are hexadecimal of that length");
    out
}

const SM4_KEY: &str = "0123456789abcdeffedcba9876543210";
const SM2_SECRET: &str = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8";
const SM2_SIGNATURE: &str = "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3\
                             b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa";
const SM2_CIPHER: &str = "04ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73\
                          e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0\
                          59983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766\
                          21886ca989ca9c7d58087307ca93092d651efa";

fn random(provider: &dyn Provider) -> Result<bool, CryptoError> {
    let (mut one, mut two) = ([0; 32], [0; 32]);
    provider.random(&mut one)?;
    provider.random(&mut two)?;
    Ok(one != two && one != [0; 32])
}

fn sm3(provider: &dyn Provider) -> Result<bool, CryptoError> {
    let expected = bytes("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
    Ok(provider.sm3(&[b"a", b"bc"]) == expected)
}

fn hmac_sm3(provider: &dyn Provider) -> Result<bool, CryptoError> {
    let expected = bytes("3c19cc1211d96a3fd78a8d249657492533f6027123fd94f98c1f6b16a680e800");
    Ok(provider.hmac_sm3(b"TESTKEY", &[b"abc"]) == expected)
}

fn sm4(provider: &dyn Provider) -> Result<bool, CryptoError> {
    let (key, mode) = (bytes(SM4_KEY), Sm4Mode::Ecb { padding: Padding::None });
    let cipher = provider.sm4_encrypt(&key, &mode, &key)?;
    let expected: [u8; 16] = bytes("681edf34d206965e86b3e94f536e4246");
    Ok(cipher == expected && *provider.sm4_decrypt(&key, &mode, &cipher)? == key)
}

fn sm4_gcm(provider: &dyn Provider) -> Result<bool, CryptoError> {
    let (key, nonce) = (bytes(SM4_KEY), bytes::<12>("00001234567800000000abcd"));
    let mode = Sm4Mode::Gcm { nonce: &nonce, aad: &bytes::<20>("feedfacedeadbeeffeedfacedeadbeefabaddad2") };
    let plain: [u8; 64] = bytes(
        "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd\
         eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa",
    );
    let expected: [u8; 80] = bytes(
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15\
         a56834cbcf98c397b4024a2691233b8d83de3541e4c2b58177e065a9bf7b62ec",
    );
    let mut cipher = provider.sm4_encrypt(&key, &mode, &plain)?;
    let right = cipher == expected && *provider.sm4_decrypt(&key, &mode, &cipher)? == plain;
    cipher[79] ^= 1;
    Ok(right && provider.sm4_decrypt(&key, &mode, &cipher) == Err(CryptoError::Refused))
}

fn sm2_signature(provider: &dyn Provider) -> Result<bool, CryptoError> {
    let secret = provider.sm2_secret(&bytes(SM2_SECRET))?;
    let public = provider.sm2_public(&secret.point())?;
    let z = sm2_z(provider, &secret.point(), DEFAULT_SM2_ID)?;
    let digest = provider.sm3(&[&z, b"message digest"]);
    let mut signature = bytes(SM2_SIGNATURE);
    let right = public.verify_digest(&digest, &signature) == Ok(());
    signature[63] ^= 1;
    Ok(right && public.verify_digest(&digest, &signature) == Err(CryptoError::Refused))
}

fn sm2_encryption(provider: &dyn Provider) -> Result<bool, CryptoError> {
    let secret = provider.sm2_secret(&bytes(SM2_SECRET))?;
    let mut cipher: [u8; 115] = bytes(SM2_CIPHER);
    let right = **secret.decrypt(&cipher)? == *b"encryption standard";
    cipher[114] ^= 1;
    Ok(right && secret.decrypt(&cipher) == Err(CryptoError::Refused))
}

fn sm2_fresh(provider: &dyn Provider) -> Result<bool, CryptoError> {
    let secret = provider.sm2_secret(&*provider.sm2_generate()?)?;
    let public = provider.sm2_public(&secret.point())?;
    public.verify_digest(&[7; 32], &secret.sign_digest(&[7; 32])?)?;
    Ok(**secret.decrypt(&public.encrypt(b"message")?)? == *b"message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        key::{KeyKind, Purpose},
        provider::{Sm2Public, Sm2Secret, pure::PureProvider},
        storage::MemoryStorage,
        vault::{RootSecret, Vault},
    };
    use std::sync::Arc;
    use zeroize::Zeroizing;

    /// The pure provider with one defect: its SM3 is wrong for short inputs.
    struct Defective;

    impl Provider for Defective {
        fn name(&self) -> &'static str {
            "defective"
        }
        fn random(&self, out: &mut [u8]) -> Result<(), CryptoError> {
            PureProvider.random(out)
        }
        fn sm3(&self, _: &[&[u8]]) -> [u8; 32] {
            [0; 32]
        }
        fn hmac_sm3(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
            PureProvider.hmac_sm3(key, parts)
        }
        fn sm4_encrypt(
            &self,
            key: &[u8; 16],
            mode: &Sm4Mode<'_>,
            plain: &[u8],
        ) -> Result<Vec<u8>, CryptoError> {
            PureProvider.sm4_encrypt(key, mode, plain)
        }
        fn sm4_decrypt(
            &self,
            key: &[u8; 16],
            mode: &Sm4Mode<'_>,
            cipher: &[u8],
        ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
            PureProvider.sm4_decrypt(key, mode, cipher)
        }
        fn sm2_generate(&self) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
            PureProvider.sm2_generate()
        }
        fn sm2_secret(&self, scalar: &[u8; 32]) -> Result<Arc<dyn Sm2Secret>, CryptoError> {
            PureProvider.sm2_secret(scalar)
        }
        fn sm2_public(&self, point: &[u8; 64]) -> Result<Arc<dyn Sm2Public>, CryptoError> {
            PureProvider.sm2_public(point)
        }
    }

    #[test]
    fn the_pure_provider_passes_every_check() {
        let results = self_test(&PureProvider);
        assert_eq!(results.len(), CHECKS.len());
        assert!(results.iter().all(|test| test.passed), "{results:?}");
    }

    #[test]
    fn a_defective_provider_is_named_and_no_vault_opens_on_it() {
        let failed: Vec<_> = self_test(&Defective).into_iter().filter(|test| !test.passed).collect();
        assert_eq!(failed.len(), 2, "SM3 itself and the signature over it: {failed:?}");
        let vault = Vault::open_with(Arc::new(MemoryStorage::default()), Arc::new(Defective));
        let error = vault.init(&RootSecret::KeyFile(vec![1; 32].into())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the self-test of the cryptographic provider defective failed: SM3: GB/T 32905 example 1"
        );
        let key = "vault:k".parse().unwrap();
        assert!(matches!(vault.generate(&key, KeyKind::Sm4, Purpose::Encrypt), Err(VaultError::Sealed)));
    }
}
