//! The one face of every cryptographic implementation: software, library or device. For the vault alone.
use std::sync::Arc;
use zeroize::Zeroizing;

pub mod agreement;
pub mod pure;
#[cfg(feature = "tongsuo")]
pub mod tongsuo;

/// The distinguishing identifier GB/T 35276 prescribes where the partners agreed on no other.
pub const DEFAULT_SM2_ID: &[u8] = b"1234567812345678";

/// Why a cryptographic operation gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// Signature, tag, padding or ciphertext did not hold; deliberately no more precise.
    #[error("refused")]
    Refused,
    /// The caller's arguments cannot be used: a wrong key or IV length, an empty plaintext.
    #[error("{0}")]
    Invalid(&'static str),
    /// Nothing was done; a repeat may succeed: every session taken, a service that asks to try later.
    #[error("{0}")]
    Busy(&'static str),
    /// The implementation itself failed: no randomness, device gone.
    #[error("{0}")]
    Failed(&'static str),
}

/// How a block mode fills its last block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    Pkcs7,
    /// Zero bytes up to a full block, nothing if already full; reading strips all trailing zero bytes.
    Zero,
    /// The data must be whole blocks.
    None,
}

/// An SM4 mode of operation (GB/T 17964) with everything it needs but the key.
#[derive(Debug, Clone, Copy)]
pub enum Sm4Mode<'a> {
    Ecb {
        padding: Padding,
    },
    /// `iv`: 16 bytes.
    Cbc {
        iv: &'a [u8],
        padding: Padding,
    },
    /// `iv`: the 16-byte initial counter block, incremented as one big-endian number.
    Ctr {
        iv: &'a [u8],
    },
    /// `nonce`: 12 or 16 bytes. The 16-byte tag follows the ciphertext. RFC 8998 §2.1.
    Gcm {
        nonce: &'a [u8],
        aad: &'a [u8],
    },
    /// `nonce`: 12 bytes. The 16-byte tag follows the ciphertext. RFC 8998 §2.2.
    Ccm {
        nonce: &'a [u8],
        aad: &'a [u8],
    },
}

/// An SM2 secret key inside its implementation.
pub trait Sm2Secret: Send + Sync {
    /// The public half, x ‖ y.
    fn point(&self) -> [u8; 64];

    /// GB/T 32918.2 §6 from step A3 on: signs the digest e, returns r ‖ s.
    fn sign_digest(&self, digest: &[u8; 32]) -> Result<[u8; 64], CryptoError>;

    /// GB/T 32918.4 §7. `cipher` is x1 ‖ y1 ‖ C3 ‖ C2.
    fn decrypt(&self, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError>;

    /// The shared point U (or V), x ‖ y, of GB/T 32918.3 §6.1 from this key, a fresh secret scalar and the other side's
    /// long-term and fresh points. Not every implementation has it.
    fn agree(
        &self,
        ephemeral: &[u8; 32],
        peer: &[u8; 64],
        peer_ephemeral: &[u8; 64],
    ) -> Result<Zeroizing<[u8; 64]>, CryptoError> {
        let _unused = (ephemeral, peer, peer_ephemeral);
        Err(CryptoError::Failed("this provider has no SM2 key exchange"))
    }
}

/// An SM2 public key, checked to be on the curve.
pub trait Sm2Public: Send + Sync {
    /// x ‖ y.
    fn point(&self) -> [u8; 64];

    /// GB/T 32918.2 §7 for the digest e and r ‖ s.
    fn verify_digest(&self, digest: &[u8; 32], signature: &[u8; 64]) -> Result<(), CryptoError>;

    /// GB/T 32918.4 §6. Returns x1 ‖ y1 ‖ C3 ‖ C2. An empty plaintext is invalid: the standard has no ciphertext for it.
    fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>, CryptoError>;
}

/// A cryptographic implementation. All operations are synchronous and CPU-bound, or bounded by the device's own time-out.
pub trait Provider: Send + Sync {
    /// For logs and the self-test report.
    fn name(&self) -> &'static str;

    /// Fills `out` with random bytes fit for keys.
    fn random(&self, out: &mut [u8]) -> Result<(), CryptoError>;

    /// SM3 (GB/T 32905) over the concatenation of the parts.
    fn sm3(&self, parts: &[&[u8]]) -> [u8; 32];

    /// HMAC-SM3 over the concatenation of the parts; any key length.
    fn hmac_sm3(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32];

    fn sm4_encrypt(&self, key: &[u8; 16], mode: &Sm4Mode<'_>, plain: &[u8]) -> Result<Vec<u8>, CryptoError>;

    fn sm4_decrypt(
        &self,
        key: &[u8; 16],
        mode: &Sm4Mode<'_>,
        cipher: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError>;

    /// A new SM2 secret scalar, big-endian, in [1, n-2].
    fn sm2_generate(&self) -> Result<Zeroizing<[u8; 32]>, CryptoError>;

    fn sm2_secret(&self, scalar: &[u8; 32]) -> Result<Arc<dyn Sm2Secret>, CryptoError>;

    /// `point` is x ‖ y; refused when not on the curve.
    fn sm2_public(&self, point: &[u8; 64]) -> Result<Arc<dyn Sm2Public>, CryptoError>;

    /// The key derivation function of GB/T 32918.4 §5.4.3 with SM3.
    fn sm3_kdf(&self, secret: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        for (index, block) in out.chunks_mut(32).enumerate() {
            let counter =
                u32::try_from(index + 1).map_err(|_| CryptoError::Invalid("the derived key is too long"))?;
            let counter = counter.to_be_bytes();
            let mut parts = Vec::with_capacity(secret.len() + 1);
            parts.extend_from_slice(secret);
            parts.push(&counter);
            let digest = Zeroizing::new(self.sm3(&parts));
            block.copy_from_slice(&digest[..block.len()]);
        }
        Ok(())
    }
}

/// The providers of this build, by the names that settings use: `pure`, and with the feature `tongsuo` also `tongsuo`.
pub fn by_name(name: &str) -> Option<Arc<dyn Provider>> {
    match name {
        "pure" => Some(Arc::new(pure::PureProvider)),
        #[cfg(feature = "tongsuo")]
        "tongsuo" => Some(Arc::new(tongsuo::TongsuoProvider)),
        _ => None,
    }
}

/// The SM2 curve parameters a, b, xG, yG that enter Z. GB/T 32918.5 §2.
const CURVE: [u8; 128] = [
    0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc, 0x28, 0xe9,
    0xfa, 0x9e, 0x9d, 0x9f, 0x5e, 0x34, 0x4d, 0x5a, 0x9e, 0x4b, 0xcf, 0x65, 0x09, 0xa7, 0xf3, 0x97, 0x89,
    0xf5, 0x15, 0xab, 0x8f, 0x92, 0xdd, 0xbc, 0xbd, 0x41, 0x4d, 0x94, 0x0e, 0x93, 0x32, 0xc4, 0xae, 0x2c,
    0x1f, 0x19, 0x81, 0x19, 0x5f, 0x99, 0x04, 0x46, 0x6a, 0x39, 0xc9, 0x94, 0x8f, 0xe3, 0x0b, 0xbf, 0xf2,
    0x66, 0x0b, 0xe1, 0x71, 0x5a, 0x45, 0x89, 0x33, 0x4c, 0x74, 0xc7, 0xbc, 0x37, 0x36, 0xa2, 0xf4, 0xf6,
    0x77, 0x9c, 0x59, 0xbd, 0xce, 0xe3, 0x6b, 0x69, 0x21, 0x53, 0xd0, 0xa9, 0x87, 0x7c, 0xc6, 0x2a, 0x47,
    0x40, 0x02, 0xdf, 0x32, 0xe5, 0x21, 0x39, 0xf0, 0xa0,
];

/// Z of GB/T 32918.2 §5.5 for the key x ‖ y and the distinguishing identifier (at most 8191 bytes).
pub fn sm2_z(provider: &dyn Provider, point: &[u8; 64], id: &[u8]) -> Result<[u8; 32], CryptoError> {
    let bits = u16::try_from(id.len() * 8)
        .map_err(|_| CryptoError::Invalid("an SM2 identifier has at most 8191 bytes"))?;
    Ok(provider.sm3(&[&bits.to_be_bytes(), id, &CURVE, point]))
}
