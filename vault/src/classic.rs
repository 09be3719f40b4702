//! The international algorithms old partners still ask for: AES, SHA-256, RSA and ECDSA signatures. Beside the national ones.
//!
//! RSA and ECDSA signatures are ring's, RSA encryption and key generation AWS-LC's; both are constant-time.
use crate::{
    error::VaultError,
    format,
    key::{KeyKind, Purpose},
    provider::{CryptoError, Sm4Mode, pure::modes},
};
use aes::{Aes128, Aes192, Aes256};
use ring::{
    digest, hmac,
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{self, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sm2::pkcs8::spki::SubjectPublicKeyInfoRef;
use zeroize::Zeroizing;

pub(crate) mod rsa;
pub use rsa::RsaEncryption;

/// AES in one of the block modes; the key's 16, 24 or 32 bytes choose AES-128, -192 or -256. SP 800-38A, C and D.
pub fn aes_encrypt(key: &[u8], mode: &Sm4Mode<'_>, plain: &[u8]) -> Result<Vec<u8>, CryptoError> {
    match key.len() {
        16 => modes::encrypt::<Aes128>(key, mode, plain),
        24 => modes::encrypt::<Aes192>(key, mode, plain),
        32 => modes::encrypt::<Aes256>(key, mode, plain),
        _ => Err(AES_KEY),
    }
}

/// The reverse of [`aes_encrypt`].
pub fn aes_decrypt(key: &[u8], mode: &Sm4Mode<'_>, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    match key.len() {
        16 => modes::decrypt::<Aes128>(key, mode, cipher),
        24 => modes::decrypt::<Aes192>(key, mode, cipher),
        32 => modes::decrypt::<Aes256>(key, mode, cipher),
        _ => Err(AES_KEY),
    }
}

const AES_KEY: CryptoError = CryptoError::Invalid("an AES key has 16, 24 or 32 bytes");

/// SHA-256 (FIPS 180-4).
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    out
}

/// HMAC-SHA256 (RFC 2104); any key length.
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref());
    out
}

/// HMAC-SHA512 (RFC 2104); any key length.
pub fn hmac_sha512(key: &[u8], data: &[u8]) -> [u8; 64] {
    let mut out = [0; 64];
    out.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, key), data).as_ref());
    out
}

/// A signature algorithm over SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ClassicSignature {
    /// RSASSA-PKCS1-v1_5, RFC 8017 §8.2.
    RsaPkcs1,
    /// RSASSA-PSS with a salt of 32 bytes, RFC 8017 §8.1.
    RsaPss,
    /// ECDSA on P-256, DER.
    EcdsaDer,
    /// ECDSA on P-256, r ‖ s.
    EcdsaRaw,
}

impl ClassicSignature {
    /// The kind of key it needs.
    pub(crate) fn key_kind(self) -> KeyKind {
        match self {
            Self::RsaPkcs1 | Self::RsaPss => KeyKind::Rsa,
            Self::EcdsaDer | Self::EcdsaRaw => KeyKind::P256,
        }
    }
}

/// An RSA key of 2048 to 8192 bits, or a P-256 key; the public half at least. No `Debug`, no `Clone`.
pub(crate) enum ClassicKey {
    Rsa { public: Vec<u8>, secret: Option<Box<RsaKeyPair>> },
    RsaCipher { public: Vec<u8>, cipher: Box<rsa::RsaCipher> },
    P256 { public: Vec<u8>, secret: Option<Box<[EcdsaKeyPair; 2]>> },
}

impl ClassicKey {
    /// From PKCS#8.
    pub(crate) fn from_secret(kind: KeyKind, purpose: Purpose, pkcs8: &[u8]) -> Result<Self, VaultError> {
        match kind {
            KeyKind::Rsa if purpose == Purpose::Encrypt => Self::rsa(pkcs8)?.into_cipher(Some(pkcs8)),
            KeyKind::Rsa => Self::rsa(pkcs8),
            KeyKind::P256 => Self::p256(pkcs8),
            _ => Err(no_pair()),
        }
    }

    /// From SubjectPublicKeyInfo or what is inside it: PKCS#1 RSAPublicKey, or 04 ‖ x ‖ y.
    pub(crate) fn from_public(kind: KeyKind, purpose: Purpose, public: &[u8]) -> Result<Self, VaultError> {
        if (kind, purpose) == (KeyKind::Rsa, Purpose::Encrypt) {
            return Self::from_public(kind, Purpose::Sign, public)?.into_cipher(None);
        }
        let info = SubjectPublicKeyInfoRef::try_from(public).ok();
        let inner = info.as_ref().map_or(public, |info| info.subject_public_key.raw_bytes());
        match kind {
            KeyKind::Rsa if is_rsa_public(inner) => Ok(Self::Rsa { public: inner.to_vec(), secret: None }),
            KeyKind::Rsa => Err(VaultError::invalid("an RSA public key is DER of 2048 to 8192 bits")),
            KeyKind::P256 if inner.len() == 65 && inner[0] == 4 => {
                Ok(Self::P256 { public: inner.to_vec(), secret: None })
            }
            KeyKind::P256 => Err(VaultError::invalid("a P-256 public key is DER or 65 bytes 04 ‖ x ‖ y")),
            _ => Err(no_pair()),
        }
    }

    fn rsa(pkcs8: &[u8]) -> Result<Self, VaultError> {
        let pair = RsaKeyPair::from_pkcs8(pkcs8)
            .map_err(|_| VaultError::invalid("an RSA secret key is PKCS#8 of 2048 to 4096 bits"))?;
        Ok(Self::Rsa { public: pair.public().as_ref().to_vec(), secret: Some(Box::new(pair)) })
    }

    fn p256(pkcs8: &[u8]) -> Result<Self, VaultError> {
        let random = SystemRandom::new();
        let read = |form| {
            EcdsaKeyPair::from_pkcs8(form, pkcs8, &random)
                .map_err(|_| VaultError::invalid("a P-256 secret key is PKCS#8 with its public key inside"))
        };
        let pairs = [
            read(&signature::ECDSA_P256_SHA256_ASN1_SIGNING)?,
            read(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)?,
        ];
        Ok(Self::P256 { public: pairs[0].public_key().as_ref().to_vec(), secret: Some(Box::new(pairs)) })
    }

    pub(crate) fn p256_generate() -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let made =
            EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        made.map(|document| Zeroizing::new(document.as_ref().to_vec()))
            .map_err(|_| VaultError::Provider("no P-256 key could be made"))
    }

    pub(crate) fn public(&self) -> &[u8] {
        match self {
            Self::Rsa { public, .. } | Self::P256 { public, .. } | Self::RsaCipher { public, .. } => public,
        }
    }

    /// `None` where only the public half is here.
    pub(crate) fn sign(
        &self,
        algorithm: ClassicSignature,
        message: &[u8],
    ) -> Option<Result<Vec<u8>, CryptoError>> {
        let failed = CryptoError::Failed("the signature could not be made");
        let random = SystemRandom::new();
        match (self, algorithm) {
            (Self::Rsa { secret, .. }, ClassicSignature::RsaPkcs1 | ClassicSignature::RsaPss) => {
                let pair = secret.as_ref()?;
                let scheme: &dyn signature::RsaEncoding = match algorithm {
                    ClassicSignature::RsaPss => &signature::RSA_PSS_SHA256,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut out = vec![0; pair.public().modulus_len()];
                Some(pair.sign(scheme, &random, message, &mut out).map(|()| out).map_err(|_| failed))
            }
            (Self::P256 { secret, .. }, ClassicSignature::EcdsaDer | ClassicSignature::EcdsaRaw) => {
                let pair = &secret.as_ref()?[usize::from(algorithm == ClassicSignature::EcdsaRaw)];
                Some(pair.sign(&random, message).map(|made| made.as_ref().to_vec()).map_err(|_| failed))
            }
            _ => Some(Err(WRONG_KEY)),
        }
    }

    pub(crate) fn verify(
        &self,
        algorithm: ClassicSignature,
        message: &[u8],
        made: &[u8],
    ) -> Result<(), CryptoError> {
        let scheme: &dyn signature::VerificationAlgorithm = match (self, algorithm) {
            (Self::Rsa { .. }, ClassicSignature::RsaPkcs1) => &signature::RSA_PKCS1_2048_8192_SHA256,
            (Self::Rsa { .. }, ClassicSignature::RsaPss) => &signature::RSA_PSS_2048_8192_SHA256,
            (Self::P256 { .. }, ClassicSignature::EcdsaDer) => &signature::ECDSA_P256_SHA256_ASN1,
            (Self::P256 { .. }, ClassicSignature::EcdsaRaw) => &signature::ECDSA_P256_SHA256_FIXED,
            _ => return Err(WRONG_KEY),
        };
        UnparsedPublicKey::new(scheme, self.public()).verify(message, made).map_err(|_| CryptoError::Refused)
    }
}

pub(crate) fn is_rsa_public(der: &[u8]) -> bool {
    let (mut modulus, mut exponent) = ([0; 1024], [0; 8]);
    let mut read = || {
        let mut body = format::der::read_sequence(der)?;
        format::der::take_integer(&mut body, &mut modulus)?;
        format::der::take_integer(&mut body, &mut exponent)?;
        body.is_empty().then_some(())
    };
    read().is_some() && modulus[..=768].iter().any(|b| *b != 0)
}

fn no_pair() -> VaultError {
    VaultError::invalid("only SM2, RSA and P-256 keys have a public half")
}

const WRONG_KEY: CryptoError = CryptoError::Invalid("the key is of another algorithm than the signature");

#[cfg(test)]
mod tests;
