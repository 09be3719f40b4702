//! The keys that certificates carry and the signatures made with them: SM2, ECDSA on P-256, RSA. For everything X.509.
use crate::{
    classic::{self, ClassicSignature},
    error::VaultError,
    format::{SignatureFormat, der, oid},
    key::KeyKind,
    key_text::read_sm2_public_der,
    provider::{CryptoError, Provider, sm2_z},
    vault::KeyHandle,
};
use ring::signature::{self, UnparsedPublicKey};

/// A public key as a certificate carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// x ‖ y.
    Sm2([u8; 64]),
    /// 04 ‖ x ‖ y.
    P256([u8; 65]),
    /// PKCS#1 RSAPublicKey in DER.
    Rsa(Vec<u8>),
}

/// A digest algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digest {
    Sm3,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

/// How a signature was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Sm2,
    Rsa(Digest),
    Ecdsa(Digest),
}

const NULL: &[u8] = &[der::NULL, 0];

impl PublicKey {
    /// The public half of a pair in the vault.
    pub fn of(key: &KeyHandle) -> Result<Self, VaultError> {
        let info = key.info()?;
        let bytes = info.public.as_deref().and_then(|text| hex::decode(text).ok()).unwrap_or_default();
        let found = match info.kind {
            KeyKind::Sm2 => bytes.get(1..).and_then(|point| point.try_into().ok()).map(Self::Sm2),
            KeyKind::P256 => bytes.try_into().ok().map(Self::P256),
            KeyKind::Rsa => Some(Self::Rsa(bytes)),
            _ => None,
        };
        found.ok_or_else(|| VaultError::invalid(format!("key {} has no public half", key.key())))
    }

    /// x ‖ y of an SM2 key.
    pub fn sm2(&self) -> Option<[u8; 64]> {
        match self {
            Self::Sm2(point) => Some(*point),
            _ => None,
        }
    }

    /// SubjectPublicKeyInfo.
    pub(crate) fn write(&self) -> Vec<u8> {
        let curve = |name| der::algorithm(oid::EC_PUBLIC, &der::wrap(der::OID, &[name]));
        let (algorithm, bits) = match self {
            Self::Sm2(point) => (curve(oid::SM2), [&[4], &point[..]].concat()),
            Self::P256(point) => (curve(oid::P256), point.to_vec()),
            Self::Rsa(der) => (der::algorithm(oid::RSA, NULL), der.clone()),
        };
        der::sequence(&[algorithm, der::wrap(der::BIT_STRING, &[&[0], &bits])].concat())
    }

    /// `id` is the signer's distinguishing identifier, which only SM2 has.
    pub(crate) fn verify(
        &self,
        provider: &dyn Provider,
        algorithm: Algorithm,
        message: &[u8],
        made: &[u8],
        id: &[u8],
    ) -> Result<(), CryptoError> {
        let ring = |scheme: &'static dyn signature::VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(scheme, key).verify(message, made).map_err(|_| CryptoError::Refused)
        };
        match (self, algorithm) {
            (Self::Sm2(point), Algorithm::Sm2) => {
                let made = SignatureFormat::Der.read(made).ok_or(CryptoError::Refused)?;
                let digest = provider.sm3(&[&sm2_z(provider, point, id)?, message]);
                provider.sm2_public(point)?.verify_digest(&digest, &made)
            }
            (Self::P256(point), Algorithm::Ecdsa(Digest::Sha256)) => {
                ring(&signature::ECDSA_P256_SHA256_ASN1, point)
            }
            (Self::P256(point), Algorithm::Ecdsa(Digest::Sha384)) => {
                ring(&signature::ECDSA_P256_SHA384_ASN1, point)
            }
            (Self::Rsa(key), Algorithm::Rsa(Digest::Sha256)) => {
                ring(&signature::RSA_PKCS1_2048_8192_SHA256, key)
            }
            (Self::Rsa(key), Algorithm::Rsa(Digest::Sha384)) => {
                ring(&signature::RSA_PKCS1_2048_8192_SHA384, key)
            }
            (Self::Rsa(key), Algorithm::Rsa(Digest::Sha512)) => {
                ring(&signature::RSA_PKCS1_2048_8192_SHA512, key)
            }
            _ => Err(CryptoError::Refused),
        }
    }
}

/// A SubjectPublicKeyInfo: the key, and what its BIT STRING holds.
pub(super) fn read(info: &[u8]) -> Option<(PublicKey, &[u8])> {
    let mut body = der::read_sequence(info)?;
    let (algorithm, parameters) = der::take_algorithm(&mut body)?;
    let bits = der::take_bits(&mut body)?;
    let curve = |name: &[u8]| algorithm == oid::EC_PUBLIC && parameters == der::wrap(der::OID, &[name]);
    let key = match () {
        () if curve(oid::SM2) => PublicKey::Sm2(read_sm2_public_der(info)?),
        () if curve(oid::P256) => {
            PublicKey::P256(bits.try_into().ok().filter(|point: &[u8; 65]| point[0] == 4)?)
        }
        () if algorithm == oid::RSA && parameters == NULL && classic::is_rsa_public(bits) => {
            PublicKey::Rsa(bits.to_vec())
        }
        () => return None,
    };
    body.is_empty().then_some((key, bits))
}

impl Algorithm {
    /// Reads the algorithm identifier of a signed structure.
    pub(crate) fn take(input: &mut &[u8]) -> Option<Self> {
        let (oid, parameters) = der::take_algorithm(input)?;
        let plain = parameters.is_empty() || parameters == NULL;
        Self::from_oid(oid, None).filter(|_| plain)
    }

    /// `digest` is what the structure names beside an algorithm that leaves it open, as a SignerInfo does.
    pub(crate) fn from_oid(oid: &[u8], digest: Option<Digest>) -> Option<Self> {
        let found = match oid {
            oid::SM2_WITH_SM3 => {
                return digest.is_none_or(|digest| digest == Digest::Sm3).then_some(Self::Sm2);
            }
            oid::SM2 | oid::SM2_SIGN => return (digest == Some(Digest::Sm3)).then_some(Self::Sm2),
            oid::RSA => return Some(Self::Rsa(digest?)),
            oid::RSA_SHA256 => Self::Rsa(Digest::Sha256),
            oid::RSA_SHA384 => Self::Rsa(Digest::Sha384),
            oid::RSA_SHA512 => Self::Rsa(Digest::Sha512),
            oid::ECDSA_SHA256 => Self::Ecdsa(Digest::Sha256),
            oid::ECDSA_SHA384 => Self::Ecdsa(Digest::Sha384),
            _ => return None,
        };
        let (Self::Rsa(own) | Self::Ecdsa(own)) = found else { return None };
        digest.is_none_or(|digest| digest == own).then_some(found)
    }
}

impl Digest {
    pub(crate) fn from_oid(oid: &[u8]) -> Option<Self> {
        [Self::Sm3, Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|digest| digest.oid() == oid)
    }

    pub(crate) fn oid(self) -> &'static [u8] {
        match self {
            Self::Sm3 => oid::SM3,
            Self::Sha1 => oid::SHA1,
            Self::Sha256 => oid::SHA256,
            Self::Sha384 => oid::SHA384,
            Self::Sha512 => oid::SHA512,
        }
    }

    pub(crate) fn of(self, provider: &dyn Provider, data: &[u8]) -> Vec<u8> {
        use ring::digest;
        let algorithm = match self {
            Self::Sm3 => return provider.sm3(&[data]).to_vec(),
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, data).as_ref().to_vec()
    }
}

/// Signs with a pair of the vault as certificates are signed: the identifier (OID) of the algorithm, the digest it takes, and the
/// signature.
pub(crate) fn sign_with(
    key: &KeyHandle,
    message: &[u8],
    id: &[u8],
) -> Result<(&'static [u8], Digest, Vec<u8>), VaultError> {
    match key.info()?.kind {
        KeyKind::Rsa => {
            Ok((oid::RSA_SHA256, Digest::Sha256, key.sign_classic(message, ClassicSignature::RsaPkcs1)?))
        }
        KeyKind::P256 => {
            Ok((oid::ECDSA_SHA256, Digest::Sha256, key.sign_classic(message, ClassicSignature::EcdsaDer)?))
        }
        _ => Ok((oid::SM2_WITH_SM3, Digest::Sm3, key.sign(message, id, SignatureFormat::Der)?)),
    }
}

/// SEQUENCE { signed, algorithm, signature BIT STRING }, as certificates, requests and lists are built.
pub(crate) fn signed(key: &KeyHandle, body: &[u8], id: &[u8]) -> Result<Vec<u8>, VaultError> {
    let (algorithm, _, signature) = sign_with(key, body, id)?;
    let algorithm = algorithm_identifier(algorithm);
    let signature = der::wrap(der::BIT_STRING, &[&[0], &signature]);
    Ok(der::sequence(&[body, &algorithm, &signature].concat()))
}

/// The algorithm identifier of signatures made with this key, for inside the signed part.
pub(crate) fn own_algorithm(key: &KeyHandle) -> Result<Vec<u8>, VaultError> {
    Ok(algorithm_identifier(match key.info()?.kind {
        KeyKind::Rsa => oid::RSA_SHA256,
        KeyKind::P256 => oid::ECDSA_SHA256,
        _ => oid::SM2_WITH_SM3,
    }))
}

fn algorithm_identifier(oid: &[u8]) -> Vec<u8> {
    // RFC 4055 §5 wants the NULL.
    der::algorithm(oid, if oid == oid::RSA_SHA256 { NULL } else { &[] })
}
