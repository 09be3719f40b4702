//! The provider on Tongsuo, a C library with a certified branch. For sites that prefer it, and as the second opinion in tests.
use super::{CryptoError, Padding, Provider, Sm2Public, Sm2Secret, Sm4Mode, pure::PureProvider};
use crate::format::{CipherFormat, SignatureFormat};
use qiao_gm_sys as gm;
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// Tongsuo 8.5 through EVP. Its fixed digests cannot fail but for lack of memory; where they do, the pure ones answer.
pub struct TongsuoProvider;

const BAD_IV: CryptoError =
    CryptoError::Invalid("SM4-CBC and -CTR take an IV of 16 bytes, -GCM 12 or 16, -CCM 12");

impl Provider for TongsuoProvider {
    fn name(&self) -> &'static str {
        "tongsuo"
    }

    fn random(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        gm::random(out).map_err(|_| CryptoError::Failed("Tongsuo gave no randomness"))
    }

    fn sm3(&self, parts: &[&[u8]]) -> [u8; 32] {
        gm::sm3(parts).unwrap_or_else(|_| PureProvider.sm3(parts))
    }

    fn hmac_sm3(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        gm::hmac_sm3(key, parts).unwrap_or_else(|_| PureProvider.hmac_sm3(key, parts))
    }

    fn sm4_encrypt(&self, key: &[u8; 16], mode: &Sm4Mode<'_>, plain: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let (mode, padding) = translate(mode)?;
        let mut padded = Zeroizing::default();
        let data = match padding {
            Padding::Zero if !plain.len().is_multiple_of(16) => {
                padded = Zeroizing::new(plain.to_vec());
                padded.resize(plain.len().next_multiple_of(16), 0);
                &padded
            }
            Padding::None if !plain.len().is_multiple_of(16) => {
                return Err(CryptoError::Invalid(
                    "without padding the data must be whole blocks of 16 bytes",
                ));
            }
            _ => plain,
        };
        let sealed = gm::sm4(true, mode, key, padding == Padding::Pkcs7, data);
        drop(padded);
        sealed.map_err(|_| CryptoError::Invalid("Tongsuo cannot encrypt this"))
    }

    fn sm4_decrypt(
        &self,
        key: &[u8; 16],
        mode: &Sm4Mode<'_>,
        cipher: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let (mode, padding) = translate(mode)?;
        let mut plain = gm::sm4(false, mode, key, padding == Padding::Pkcs7, cipher)
            .map(Zeroizing::new)
            .map_err(|_| CryptoError::Refused)?;
        if padding == Padding::Zero {
            let kept = plain.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
            plain.truncate(kept);
        }
        Ok(plain)
    }

    fn sm2_generate(&self) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        loop {
            let mut scalar = Zeroizing::new([0; 32]);
            self.random(&mut *scalar)?;
            // Out of range about once in four thousand million times.
            if PureProvider.sm2_secret(&scalar).is_ok() {
                return Ok(scalar);
            }
        }
    }

    fn sm2_secret(&self, scalar: &[u8; 32]) -> Result<Arc<dyn Sm2Secret>, CryptoError> {
        // EVP cannot compute the public half of a given scalar; the pure arithmetic does, once per key.
        let pure = PureProvider.sm2_secret(scalar)?;
        let point = pure.point();
        let key =
            gm::Key::pair(scalar, &point).map_err(|_| CryptoError::Failed("Tongsuo took no such key"))?;
        Ok(Arc::new(Pair { key, point, pure: Some(pure) }))
    }

    fn sm2_public(&self, point: &[u8; 64]) -> Result<Arc<dyn Sm2Public>, CryptoError> {
        let key =
            gm::Key::public(point).map_err(|_| CryptoError::Invalid("this is no point of the SM2 curve"))?;
        Ok(Arc::new(Pair { key, point: *point, pure: None }))
    }
}

fn translate<'a>(mode: &Sm4Mode<'a>) -> Result<(gm::Mode<'a>, Padding), CryptoError> {
    let (translated, padding, iv, lengths): (_, _, &[u8], &[usize]) = match *mode {
        Sm4Mode::Ecb { padding } => return Ok((gm::Mode::Ecb, padding)),
        Sm4Mode::Cbc { iv, padding } => (gm::Mode::Cbc(iv), padding, iv, &[16]),
        // Streams and authenticated modes have no padding; `Pkcs7` here only means: do not look at block lengths.
        Sm4Mode::Ctr { iv } => (gm::Mode::Ctr(iv), Padding::Pkcs7, iv, &[16]),
        Sm4Mode::Gcm { nonce, aad } => (gm::Mode::Gcm { nonce, aad }, Padding::Pkcs7, nonce, &[12, 16]),
        Sm4Mode::Ccm { nonce, aad } => (gm::Mode::Ccm { nonce, aad }, Padding::Pkcs7, nonce, &[12]),
    };
    if lengths.contains(&iv.len()) { Ok((translated, padding)) } else { Err(BAD_IV) }
}

struct Pair {
    key: gm::Key,
    point: [u8; 64],
    /// Of a secret: EVP has no key exchange in the standard's form, so that is computed without Tongsuo.
    pure: Option<Arc<dyn Sm2Secret>>,
}

impl Sm2Secret for Pair {
    fn point(&self) -> [u8; 64] {
        self.point
    }

    fn sign_digest(&self, digest: &[u8; 32]) -> Result<[u8; 64], CryptoError> {
        let der = self.key.sign_digest(digest).map_err(|_| CryptoError::Failed("Tongsuo did not sign"))?;
        SignatureFormat::Der.read(&der).ok_or(CryptoError::Failed("Tongsuo wrote no DER"))
    }

    fn decrypt(&self, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        if cipher.len() <= 96 {
            return Err(CryptoError::Refused);
        }
        let der = CipherFormat::Der.write(cipher);
        let mut plain = self.key.decrypt(&der).map_err(|_| CryptoError::Refused)?;
        if plain.len() != cipher.len() - 96 {
            plain.zeroize();
            return Err(CryptoError::Refused);
        }
        Ok(Zeroizing::new(plain))
    }

    fn agree(
        &self,
        ephemeral: &[u8; 32],
        peer: &[u8; 64],
        peer_ephemeral: &[u8; 64],
    ) -> Result<Zeroizing<[u8; 64]>, CryptoError> {
        let pure =
            self.pure.as_ref().ok_or(CryptoError::Invalid("of this key only the public half is here"))?;
        pure.agree(ephemeral, peer, peer_ephemeral)
    }
}

impl Sm2Public for Pair {
    fn point(&self) -> [u8; 64] {
        self.point
    }

    fn verify_digest(&self, digest: &[u8; 32], signature: &[u8; 64]) -> Result<(), CryptoError> {
        let der = SignatureFormat::Der.write(signature);
        self.key.verify_digest(digest, &der).map_err(|_| CryptoError::Refused)
    }

    fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>, CryptoError> {
        if plain.is_empty() {
            return Err(CryptoError::Invalid("SM2 cannot encrypt an empty message"));
        }
        let der = self.key.encrypt(plain).map_err(|_| CryptoError::Failed("Tongsuo did not encrypt"))?;
        CipherFormat::Der.read(&der).ok_or(CryptoError::Failed("Tongsuo wrote no DER"))
    }
}
