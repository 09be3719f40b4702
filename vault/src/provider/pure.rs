//! The pure-Rust provider on RustCrypto. The default where no C library may be linked, and the oracle in tests.
use super::{CryptoError, Provider, Sm2Public, Sm2Secret, Sm4Mode};
use hmac::{Hmac, KeyInit, Mac};
use sm2::elliptic_curve::{common::getrandom::SysRng, rand_core::TryRng};
use sm3::{Digest, Sm3};
use sm4::Sm4;
use std::sync::Arc;
use zeroize::Zeroizing;

mod curve;
pub(crate) mod modes;
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
        modes::encrypt::<Sm4>(key, mode, plain)
    }

    fn sm4_decrypt(
        &self,
        key: &[u8; 16],
        mode: &Sm4Mode<'_>,
        cipher: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        modes::decrypt::<Sm4>(key, mode, cipher)
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

#[cfg(test)]
mod tests;
