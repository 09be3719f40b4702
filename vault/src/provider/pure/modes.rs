//! The modes of operation over any block cipher of 16-byte blocks: SM4 here, AES for old partners. For the pure provider.
use crate::provider::{CryptoError, Padding, Sm4Mode};
use aes_gcm::{
    AesGcm,
    aead::{Aead, Payload, consts},
};
use ccm::Ccm;
use cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser, Key,
    KeyInit, KeyIvInit, StreamCipher,
    block_padding::{NoPadding, Pkcs7, ZeroPadding},
};
use zeroize::Zeroizing;

/// A cipher these modes can run on.
pub(crate) trait Block16:
    BlockCipherEncrypt + BlockCipherDecrypt + KeyInit + BlockSizeUser<BlockSize = consts::U16>
{
}
impl<C> Block16 for C where
    C: BlockCipherEncrypt + BlockCipherDecrypt + KeyInit + BlockSizeUser<BlockSize = consts::U16>
{
}

type Gcm<C, N> = AesGcm<C, N>;
type Ccm12<C> = Ccm<C, consts::U16, consts::U12>;

pub(crate) fn encrypt<C: Block16>(
    key: &[u8],
    mode: &Sm4Mode<'_>,
    plain: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let key = key_of::<C>(key)?;
    match *mode {
        Sm4Mode::Ecb { padding } => encrypt_blocks(ecb::Encryptor::<C>::new(key), padding, plain),
        Sm4Mode::Cbc { iv, padding } => {
            encrypt_blocks(cbc::Encryptor::<C>::new(key, block(iv)?), padding, plain)
        }
        Sm4Mode::Ctr { iv } => counter::<C>(key, iv, plain.to_vec()),
        Sm4Mode::Gcm { nonce, aad } if nonce.len() == 16 => {
            sealed(Gcm::<C, consts::U16>::new(key).encrypt(block(nonce)?, Payload { msg: plain, aad }))
        }
        Sm4Mode::Gcm { nonce, aad } => {
            sealed(Gcm::<C, consts::U12>::new(key).encrypt(twelve(nonce)?, Payload { msg: plain, aad }))
        }
        Sm4Mode::Ccm { nonce, aad } => {
            sealed(Ccm12::<C>::new(key).encrypt(twelve(nonce)?, Payload { msg: plain, aad }))
        }
    }
}

pub(crate) fn decrypt<C: Block16>(
    key: &[u8],
    mode: &Sm4Mode<'_>,
    cipher: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let key = key_of::<C>(key)?;
    let plain = match *mode {
        Sm4Mode::Ecb { padding } => decrypt_blocks(ecb::Decryptor::<C>::new(key), padding, cipher),
        Sm4Mode::Cbc { iv, padding } => {
            decrypt_blocks(cbc::Decryptor::<C>::new(key, block(iv)?), padding, cipher)
        }
        Sm4Mode::Ctr { iv } => counter::<C>(key, iv, cipher.to_vec()),
        Sm4Mode::Gcm { nonce, aad } if nonce.len() == 16 => {
            opened(Gcm::<C, consts::U16>::new(key).decrypt(block(nonce)?, Payload { msg: cipher, aad }))
        }
        Sm4Mode::Gcm { nonce, aad } => {
            opened(Gcm::<C, consts::U12>::new(key).decrypt(twelve(nonce)?, Payload { msg: cipher, aad }))
        }
        Sm4Mode::Ccm { nonce, aad } => {
            opened(Ccm12::<C>::new(key).decrypt(twelve(nonce)?, Payload { msg: cipher, aad }))
        }
    };
    plain.map(Zeroizing::new)
}

fn key_of<C: Block16>(key: &[u8]) -> Result<&Key<C>, CryptoError> {
    key.try_into().map_err(|_| CryptoError::Invalid("this cipher takes a key of another length"))
}

fn counter<C: Block16>(key: &Key<C>, iv: &[u8], mut data: Vec<u8>) -> Result<Vec<u8>, CryptoError> {
    ctr::Ctr128BE::<C>::new(key, block(iv)?).apply_keystream(&mut data);
    Ok(data)
}

fn block(iv: &[u8]) -> Result<&Array<u8, consts::U16>, CryptoError> {
    iv.try_into().map_err(|_| CryptoError::Invalid("this mode takes an IV of 16 bytes"))
}

fn twelve(nonce: &[u8]) -> Result<&Array<u8, consts::U12>, CryptoError> {
    nonce.try_into().map_err(|_| CryptoError::Invalid("GCM takes a nonce of 12 or 16 bytes, CCM of 12"))
}

fn sealed(result: Result<Vec<u8>, aes_gcm::Error>) -> Result<Vec<u8>, CryptoError> {
    result.map_err(|_| CryptoError::Invalid("the message is too long for this mode"))
}

fn opened(result: Result<Vec<u8>, aes_gcm::Error>) -> Result<Vec<u8>, CryptoError> {
    result.map_err(|_| CryptoError::Refused)
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
