//! RSA encryption for old partners (RFC 8017 §7) and RSA key generation, by AWS-LC in constant time (docs/adr/0005). For `classic`.
use super::{ClassicKey, CryptoError, VaultError, no_pair};
use crate::{certificate::PublicKey, key::KeyKind};
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{
        KeyPair, KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm,
        OaepPrivateDecryptingKey, OaepPublicEncryptingKey, Pkcs1PrivateDecryptingKey,
        Pkcs1PublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sm2::elliptic_curve::subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

/// How RSA encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RsaEncryption {
    /// RSAES-OAEP with SHA-256 in both places and no label, RFC 8017 §7.1.
    OaepSha256,
    /// RSAES-OAEP with SHA-1 in both places and no label.
    OaepSha1,
    /// RSAES-PKCS1-v1_5, RFC 8017 §7.2: only for partners that can do no other, and only for keys of a known length.
    Pkcs1,
}

/// An RSA pair for encryption, its public half at least. No `Debug`, no `Clone`.
pub(crate) struct RsaCipher {
    oaep: OaepPublicEncryptingKey,
    pkcs1: Pkcs1PublicEncryptingKey,
    secret: Option<(OaepPrivateDecryptingKey, Pkcs1PrivateDecryptingKey)>,
}

fn oaep(scheme: RsaEncryption) -> Option<&'static OaepAlgorithm> {
    match scheme {
        RsaEncryption::OaepSha256 => Some(&OAEP_SHA256_MGF1SHA256),
        RsaEncryption::OaepSha1 => Some(&OAEP_SHA1_MGF1SHA1),
        RsaEncryption::Pkcs1 => None,
    }
}

impl RsaCipher {
    /// From the PKCS#1 RSAPublicKey and, where it is here, PKCS#8.
    pub(crate) fn new(public: &[u8], pkcs8: Option<&[u8]>) -> Result<Self, VaultError> {
        let unfit = || VaultError::invalid("an RSA key for encryption has 2048 to 4096 bits");
        let info = PublicKey::Rsa(public.to_vec()).write();
        let public = || PublicEncryptingKey::from_der(&info).map_err(|_| unfit());
        let secret = match pkcs8 {
            Some(pkcs8) => {
                let read = || PrivateDecryptingKey::from_pkcs8(pkcs8).map_err(|_| unfit());
                let oaep = OaepPrivateDecryptingKey::new(read()?).map_err(|_| unfit())?;
                Some((oaep, Pkcs1PrivateDecryptingKey::new(read()?).map_err(|_| unfit())?))
            }
            None => None,
        };
        Ok(Self {
            oaep: OaepPublicEncryptingKey::new(public()?).map_err(|_| unfit())?,
            pkcs1: Pkcs1PublicEncryptingKey::new(public()?).map_err(|_| unfit())?,
            secret,
        })
    }

    pub(crate) fn encrypt(&self, scheme: RsaEncryption, plain: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut out = vec![0; self.oaep.ciphertext_size()];
        let (most, length) = match oaep(scheme) {
            Some(algorithm) => (
                self.oaep.max_plaintext_size(algorithm),
                self.oaep.encrypt(algorithm, plain, &mut out, None).map(|made| made.len()),
            ),
            None => {
                (self.pkcs1.max_plaintext_size(), self.pkcs1.encrypt(plain, &mut out).map(|made| made.len()))
            }
        };
        if plain.len() > most {
            return Err(CryptoError::Invalid("the plaintext is too long for this RSA key and padding"));
        }
        out.truncate(length.map_err(|_| CryptoError::Failed("RSA encryption failed"))?);
        Ok(out)
    }

    /// `None` where only the public half is here. `fallback` is random, as long as the plaintext must be, and is what PKCS#1 v1.5
    /// gives instead of a refusal: whoever alters ciphertexts learns nothing (RFC 3218 §2.3.2). OAEP does not look at it.
    pub(crate) fn decrypt(
        &self,
        scheme: RsaEncryption,
        cipher: &[u8],
        fallback: &[u8],
    ) -> Option<Result<Zeroizing<Vec<u8>>, CryptoError>> {
        let (by_oaep, by_pkcs1) = self.secret.as_ref()?;
        if cipher.len() != by_oaep.key_size_bytes() {
            return Some(Err(CryptoError::Refused));
        }
        let mut out = Zeroizing::new(vec![0; by_oaep.key_size_bytes()]);
        let Some(algorithm) = oaep(scheme) else {
            let length = by_pkcs1.decrypt(cipher, &mut out).map_or(0, |plain| plain.len());
            let good = (length as u64).ct_eq(&(fallback.len() as u64));
            let chosen = fallback.iter().zip(out.iter());
            let chosen = chosen.map(|(random, plain)| u8::conditional_select(random, plain, good)).collect();
            return Some(Ok(Zeroizing::new(chosen)));
        };
        let length = by_oaep.decrypt(algorithm, cipher, &mut out, None).map(|plain| plain.len());
        Some(length.map_err(|_| CryptoError::Refused).map(|length| {
            out.truncate(length);
            out
        }))
    }
}

/// PKCS#8 of a new RSA pair of 2048, 3072 or 4096 bits. Takes a tenth of a second to some seconds.
pub(crate) fn generate(bits: u32) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let size = match bits {
        2048 => KeySize::Rsa2048,
        3072 => KeySize::Rsa3072,
        4096 => KeySize::Rsa4096,
        _ => return Err(VaultError::invalid("a new RSA key has 2048, 3072 or 4096 bits")),
    };
    let failed = |_| VaultError::Provider("no RSA key could be made");
    let document: Pkcs8V1Der<'_> = KeyPair::generate(size).map_err(failed)?.as_der().map_err(failed)?;
    Ok(Zeroizing::new(document.as_ref().to_vec()))
}

impl ClassicKey {
    /// The modulus' length of an RSA key given as PKCS#1 RSAPublicKey, in bits.
    pub(crate) fn rsa_bits(public: &[u8]) -> Option<u32> {
        let mut body = crate::format::der::read_sequence(public)?;
        let modulus = crate::format::der::take(&mut body, crate::format::der::INTEGER)?;
        u32::try_from(modulus.strip_prefix(&[0]).unwrap_or(modulus).len() * 8).ok()
    }

    /// An RSA key that encrypts, from the key that would sign.
    pub(super) fn into_cipher(self, pkcs8: Option<&[u8]>) -> Result<Self, VaultError> {
        match self {
            Self::Rsa { public, .. } => {
                Ok(Self::RsaCipher { cipher: Box::new(RsaCipher::new(&public, pkcs8)?), public })
            }
            _ => Err(no_pair()),
        }
    }

    pub(crate) fn cipher(&self) -> Result<&RsaCipher, VaultError> {
        match self {
            Self::RsaCipher { cipher, .. } => Ok(cipher),
            _ => Err(VaultError::invalid(format!("only keys of kind {:?} encrypt this way", KeyKind::Rsa))),
        }
    }
}

#[cfg(test)]
mod tests;
