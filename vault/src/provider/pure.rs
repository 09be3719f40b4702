//! The pure-Rust provider on RustCrypto. The default where no C library may be linked, and the oracle in tests.
use super::{CryptoError, Padding, Provider, Sm2Public, Sm2Secret, Sm4Mode};
use aes_gcm::{
    AesGcm,
    aead::{Aead, Payload, consts},
};
use ccm::Ccm;
use cipher::{
    Array, BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit, StreamCipher,
    block_padding::{NoPadding, Pkcs7, ZeroPadding},
};
use hmac::{Hmac, Mac};
use sm2::elliptic_curve::{common::getrandom::SysRng, rand_core::TryRng};
use sm3::{Digest, Sm3};
use sm4::Sm4;
use std::sync::Arc;
use zeroize::Zeroizing;

mod curve;
mod table;

/// RustCrypto's SM2 arithmetic, SM3, SM4 and modes; randomness from the operating system.
pub struct PureProvider;

impl Provider for PureProvider {
    fn name(&self) -> &'static str {
        "pure"
    }

    fn random(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        SysRng.try_fill_bytes(out).map_err(|_| CryptoError::Failed("the operating system gave no randomness"))
    }

    fn sm3(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = Sm3::new();
        parts.iter().for_each(|part| hash.update(part));
        hash.finalize().into()
    }

    fn hmac_sm3(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = <Hmac<Sm3> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    fn sm4_encrypt(&self, key: &[u8; 16], mode: &Sm4Mode<'_>, plain: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let key = key.into();
        match *mode {
            Sm4Mode::Ecb { padding } => encrypt_blocks(ecb::Encryptor::<Sm4>::new(key), padding, plain),
            Sm4Mode::Cbc { iv, padding } => {
                encrypt_blocks(cbc::Encryptor::<Sm4>::new(key, block(iv)?), padding, plain)
            }
            Sm4Mode::Ctr { iv } => Ok(counter(key, iv, plain.to_vec())?),
            Sm4Mode::Gcm { nonce, aad } if nonce.len() == 16 => sealed(
                AesGcm::<Sm4, consts::U16>::new(key).encrypt(block(nonce)?, Payload { msg: plain, aad }),
            ),
            Sm4Mode::Gcm { nonce, aad } => sealed(
                AesGcm::<Sm4, consts::U12>::new(key).encrypt(twelve(nonce)?, Payload { msg: plain, aad }),
            ),
            Sm4Mode::Ccm { nonce, aad } => {
                sealed(Sm4Ccm::new(key).encrypt(twelve(nonce)?, Payload { msg: plain, aad }))
            }
        }
    }

    fn sm4_decrypt(
        &self,
        key: &[u8; 16],
        mode: &Sm4Mode<'_>,
        cipher: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let key = key.into();
        let plain = match *mode {
            Sm4Mode::Ecb { padding } => decrypt_blocks(ecb::Decryptor::<Sm4>::new(key), padding, cipher),
            Sm4Mode::Cbc { iv, padding } => {
                decrypt_blocks(cbc::Decryptor::<Sm4>::new(key, block(iv)?), padding, cipher)
            }
            Sm4Mode::Ctr { iv } => counter(key, iv, cipher.to_vec()),
            Sm4Mode::Gcm { nonce, aad } if nonce.len() == 16 => opened(
                AesGcm::<Sm4, consts::U16>::new(key).decrypt(block(nonce)?, Payload { msg: cipher, aad }),
            ),
            Sm4Mode::Gcm { nonce, aad } => opened(
                AesGcm::<Sm4, consts::U12>::new(key).decrypt(twelve(nonce)?, Payload { msg: cipher, aad }),
            ),
            Sm4Mode::Ccm { nonce, aad } => {
                opened(Sm4Ccm::new(key).decrypt(twelve(nonce)?, Payload { msg: cipher, aad }))
            }
        };
        plain.map(Zeroizing::new)
    }

    fn sm2_generate(&self) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        curve::generate()
    }

    fn sm2_secret(&self, scalar: &[u8; 32]) -> Result<Arc<dyn Sm2Secret>, CryptoError> {
        Ok(Arc::new(curve::Secret::new(scalar)?))
    }

    fn sm2_public(&self, point: &[u8; 64]) -> Result<Arc<dyn Sm2Public>, CryptoError> {
        Ok(Arc::new(curve::Public::new(point)?))
    }
}

type Sm4Ccm = Ccm<Sm4, consts::U16, consts::U12>;
type Sm4Key = Array<u8, consts::U16>;

fn block(iv: &[u8]) -> Result<&Array<u8, consts::U16>, CryptoError> {
    iv.try_into().map_err(|_| CryptoError::Invalid("this SM4 mode takes an IV of 16 bytes"))
}

fn twelve(nonce: &[u8]) -> Result<&Array<u8, consts::U12>, CryptoError> {
    nonce
        .try_into()
        .map_err(|_| CryptoError::Invalid("SM4-GCM takes a nonce of 12 or 16 bytes, SM4-CCM of 12"))
}

fn sealed(result: Result<Vec<u8>, aes_gcm::Error>) -> Result<Vec<u8>, CryptoError> {
    result.map_err(|_| CryptoError::Invalid("the message is too long for this mode"))
}

fn opened(result: Result<Vec<u8>, aes_gcm::Error>) -> Result<Vec<u8>, CryptoError> {
    result.map_err(|_| CryptoError::Refused)
}

fn counter(key: &Sm4Key, iv: &[u8], mut data: Vec<u8>) -> Result<Vec<u8>, CryptoError> {
    ctr::Ctr128BE::<Sm4>::new(key, block(iv)?).apply_keystream(&mut data);
    Ok(data)
}

fn encrypt_blocks(
    mode: impl BlockModeEncrypt<BlockSize = consts::U16>,
    padding: Padding,
    plain: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    match padding {
        Padding::Pkcs7 => Ok(mode.encrypt_padded_vec::<Pkcs7>(plain)),
        Padding::Zero => Ok(mode.encrypt_padded_vec::<ZeroPadding>(plain)),
        Padding::None if plain.len().is_multiple_of(16) => Ok(mode.encrypt_padded_vec::<NoPadding>(plain)),
        Padding::None => {
            Err(CryptoError::Invalid("without padding the data must be whole blocks of 16 bytes"))
        }
    }
}

fn decrypt_blocks(
    mode: impl BlockModeDecrypt<BlockSize = consts::U16>,
    padding: Padding,
    cipher: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    match padding {
        Padding::Pkcs7 => mode.decrypt_padded_vec::<Pkcs7>(cipher),
        Padding::Zero => mode.decrypt_padded_vec::<ZeroPadding>(cipher),
        Padding::None => mode.decrypt_padded_vec::<NoPadding>(cipher),
    }
    .map_err(|_| CryptoError::Refused)
}

#[cfg(test)]
mod tests;
