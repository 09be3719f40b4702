//! What the device computes, on RustCrypto's own SM2, SM3 and SM4: other code than the vault's, so that each checks the other.
use cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use sm2::{
    PublicKey, SecretKey,
    dsa::{
        Signature, SigningKey, VerifyingKey,
        signature::hazmat::{PrehashSigner, PrehashVerifier},
    },
    elliptic_curve::{common::getrandom::SysRng, rand_core::TryRng, sec1::ToSec1Point},
    pke::{DecryptingKey, EncryptingKey},
};
use sm4::Sm4;

/// The default identifier; with a digest given it takes no part.
const ID: &str = "1234567812345678";

pub(crate) fn random(out: &mut [u8]) -> Option<()> {
    SysRng.try_fill_bytes(out).ok()
}

/// x ‖ y of a secret scalar.
pub(crate) fn public(scalar: &[u8; 32]) -> Option<[u8; 64]> {
    let point = SecretKey::from_slice(scalar).ok()?.public_key().to_sec1_point(false);
    point.as_bytes()[1..].try_into().ok()
}

/// Whether x ‖ y is on the curve.
fn on_curve(point: &[u8; 64]) -> Option<PublicKey> {
    PublicKey::from_sec1_bytes(&[&[4], &point[..]].concat()).ok()
}

pub(crate) fn sign(scalar: &[u8; 32], digest: &[u8; 32]) -> Option<[u8; 64]> {
    let key = SigningKey::from_slice(ID, scalar).ok()?;
    let signature: Signature = key.sign_prehash(digest).ok()?;
    Some(signature.to_bytes().into())
}

pub(crate) fn verify(point: &[u8; 64], digest: &[u8; 32], signature: &[u8; 64]) -> bool {
    let key = on_curve(point).and_then(|key| VerifyingKey::new(ID, key).ok());
    let signature = Signature::from_slice(signature).ok();
    key.zip(signature).is_some_and(|(key, signature)| key.verify_prehash(digest, &signature).is_ok())
}

/// x1 ‖ y1 ‖ C3 ‖ C2.
pub(crate) fn encrypt(point: &[u8; 64], plain: &[u8]) -> Option<Vec<u8>> {
    let cipher = EncryptingKey::new(on_curve(point)?).encrypt(&mut SysRng, plain).ok()?;
    cipher.strip_prefix(&[4]).map(<[u8]>::to_vec)
}

pub(crate) fn decrypt(scalar: &[u8; 32], cipher: &[u8]) -> Option<Vec<u8>> {
    on_curve(cipher.first_chunk()?)?;
    let key = DecryptingKey::new(SecretKey::from_slice(scalar).ok()?);
    key.decrypt(&[&[4], cipher].concat()).ok()
}

/// SM4 over whole blocks, CBC with an IV and ECB without.
pub(crate) fn blocks(key: &[u8; 16], encrypt: bool, iv: Option<[u8; 16]>, data: &[u8]) -> Option<Vec<u8>> {
    if !data.len().is_multiple_of(16) {
        return None;
    }
    let sm4 = Sm4::new(key.into());
    let (mut chain, mut out) = (iv.unwrap_or_default(), Vec::with_capacity(data.len()));
    for chunk in data.chunks_exact(16) {
        let mut block: [u8; 16] = chunk.try_into().ok()?;
        let chained = |block: &mut [u8; 16], chain: &[u8; 16]| {
            if iv.is_some() {
                block.iter_mut().zip(chain).for_each(|(byte, mask)| *byte ^= mask);
            }
        };
        if encrypt {
            chained(&mut block, &chain);
            sm4.encrypt_block((&mut block).into());
            chain = block;
        } else {
            sm4.decrypt_block((&mut block).into());
            chained(&mut block, &chain);
            chain = chunk.try_into().ok()?;
        }
        out.extend_from_slice(&block);
    }
    Some(out)
}
