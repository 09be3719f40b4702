//! Keys as people exchange them: hexadecimal and PEM. For importing partners' keys and showing our public ones.
use crate::error::VaultError;
use sm2::{
    PublicKey, SecretKey,
    elliptic_curve::sec1::ToSec1Point,
    pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePublicKey, LineEnding, der::pem},
};
use zeroize::Zeroizing;

const NO_SECRET: &str = "an SM2 secret key is 64 hexadecimal digits, or PEM of PKCS#8 (BEGIN PRIVATE KEY) or SEC1 \
                         (BEGIN EC PRIVATE KEY), not encrypted";
const NO_PUBLIC: &str = "an SM2 public key is 128 hexadecimal digits (130 with a leading 04, 66 compressed) or PEM \
                         (BEGIN PUBLIC KEY)";

/// An SM2 secret scalar from hexadecimal, PKCS#8 PEM or SEC1 PEM.
pub fn read_sm2_secret(text: &str) -> Result<Zeroizing<[u8; 32]>, VaultError> {
    let text = text.trim();
    let key = if text.contains("BEGIN PRIVATE KEY") {
        SecretKey::from_pkcs8_pem(text).ok()
    } else if let Some(start) = text.find("-----BEGIN EC PRIVATE KEY") {
        // OpenSSL writes a BEGIN EC PARAMETERS block before it.
        SecretKey::from_sec1_pem(&text[start..]).ok()
    } else {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text, &mut *bytes).ok().and_then(|()| SecretKey::from_slice(&*bytes).ok())
    };
    let key = key.ok_or_else(|| VaultError::invalid(NO_SECRET))?;
    let mut scalar = Zeroizing::new([0; 32]);
    let mut bytes = key.to_bytes();
    scalar.copy_from_slice(&bytes);
    zeroize::Zeroize::zeroize(&mut bytes[..]);
    Ok(scalar)
}

/// An SM2 public key, x ‖ y, from hexadecimal or SubjectPublicKeyInfo PEM.
pub fn read_sm2_public(text: &str) -> Result<[u8; 64], VaultError> {
    let text = text.trim();
    let key = if text.contains("BEGIN PUBLIC KEY") {
        PublicKey::from_public_key_pem(text).ok()
    } else {
        let bytes = hex::decode(text).unwrap_or_default();
        let bytes = if bytes.len() == 64 { [&[4], &bytes[..]].concat() } else { bytes };
        PublicKey::from_sec1_bytes(&bytes).ok()
    };
    let key = key.ok_or_else(|| VaultError::invalid(NO_PUBLIC))?;
    let mut point = [0; 64];
    point.copy_from_slice(&key.to_sec1_point(false).as_bytes()[1..]);
    Ok(point)
}

/// The DER inside `BEGIN PRIVATE KEY` PEM (PKCS#8, not encrypted), as [`crate::Vault::import`] takes RSA and P-256 keys.
pub fn read_pem_secret(text: &str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    read_pem(text, "PRIVATE KEY").map(Zeroizing::new)
}

/// The DER inside `BEGIN PUBLIC KEY` PEM (SubjectPublicKeyInfo).
pub fn read_pem_public(text: &str) -> Result<Vec<u8>, VaultError> {
    read_pem(text, "PUBLIC KEY")
}

pub(crate) fn read_pem(text: &str, label: &str) -> Result<Vec<u8>, VaultError> {
    match pem::decode_vec(text.trim().as_bytes()) {
        Ok((found, der)) if found == label => Ok(der),
        _ => Err(VaultError::invalid(format!("this is no PEM of the form BEGIN {label}"))),
    }
}

/// x ‖ y out of a SubjectPublicKeyInfo.
pub(crate) fn read_sm2_public_der(der: &[u8]) -> Option<[u8; 64]> {
    let key = PublicKey::from_public_key_der(der).ok()?;
    key.to_sec1_point(false).as_bytes()[1..].try_into().ok()
}

/// SubjectPublicKeyInfo PEM of a public key given as 04 ‖ x ‖ y.
pub fn write_sm2_public_pem(public: &[u8; 65]) -> Result<String, VaultError> {
    PublicKey::from_sec1_bytes(public)
        .ok()
        .and_then(|key| key.to_public_key_pem(LineEnding::LF).ok())
        .ok_or_else(|| VaultError::invalid(NO_PUBLIC))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Provider, pure::PureProvider};
    use proptest::prelude::*;
    use sm2::pkcs8::EncodePrivateKey;

    #[test]
    fn reads_every_form_of_one_key() {
        let scalar = PureProvider.sm2_generate().unwrap();
        let key = SecretKey::from_slice(&*scalar).unwrap();
        let point = PureProvider.sm2_secret(&scalar).unwrap().point();
        let sec1 = key.to_sec1_pem(LineEnding::LF).unwrap();
        let with_parameters = format!(
            "-----BEGIN EC PARAMETERS-----\nBggqgRzPVQGCLQ==\n-----END EC PARAMETERS-----\n{}",
            *sec1
        );
        for text in
            [&*key.to_pkcs8_pem(LineEnding::LF).unwrap(), &sec1, &with_parameters, &hex::encode(*scalar)]
        {
            assert_eq!(*read_sm2_secret(text).unwrap(), *scalar);
        }
        let mut prefixed = [4; 65];
        prefixed[1..].copy_from_slice(&point);
        let pem = write_sm2_public_pem(&prefixed).unwrap();
        let compressed = hex::encode(key.public_key().to_sec1_point(true).as_bytes());
        for text in [hex::encode(point), hex::encode_upper(prefixed), compressed, pem] {
            assert_eq!(read_sm2_public(&text).unwrap(), point, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_any_text_never_panics(text in "(-----BEGIN (EC )?(PRIVATE|PUBLIC) KEY-----)?[0-9a-zA-Z=\n -]{0,140}") {
            if let Ok(point) = read_sm2_public(&text) {
                prop_assert!(PureProvider.sm2_public(&point).is_ok());
            }
            prop_assert!(read_sm2_secret(&text).is_err() || text.trim().len() == 64);
        }
    }

    #[test]
    fn says_what_a_key_looks_like_when_it_reads_none() {
        assert!(read_sm2_secret("not a key").unwrap_err().to_string().contains("PKCS#8"));
        assert!(
            read_sm2_public(&"00".repeat(64)).unwrap_err().to_string().contains("128 hexadecimal digits")
        );
    }
}
