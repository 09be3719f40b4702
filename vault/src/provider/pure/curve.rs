//! SM2 signing and encryption composed from RustCrypto's curve arithmetic. For the pure provider.
//!
//! The crate `sm2` has both, but keeps secrets it does not wipe, inverts 1+d for every signature and multiplies each
//! point once more by the cofactor 1; its own `dsa` and `pke` modules check this file in the tests.
use super::table::KeyTable;
use crate::provider::{CryptoError, Sm2Public, Sm2Secret};
use sm2::{
    AffinePoint, FieldBytes, NonZeroScalar, ProjectivePoint, PublicKey, Scalar, Sec1Point,
    elliptic_curve::{
        Generate, Group, PrimeField,
        common::getrandom::SysRng,
        ops::{MulByGeneratorVartime, Reduce},
        point::AffineCoordinates,
        sec1::{FromSec1Point, ToSec1Point},
        subtle::ConstantTimeEq,
    },
};
use sm3::{Digest, Sm3};
use std::sync::OnceLock;
use zeroize::{Zeroize, Zeroizing};

const NO_RANDOMNESS: CryptoError = CryptoError::Failed("the operating system gave no randomness");
const BAD_SECRET: CryptoError =
    CryptoError::Invalid("an SM2 secret key is a number from 1 to n-2 in 32 bytes");
const BAD_POINT: CryptoError = CryptoError::Invalid("this is no point of the SM2 curve");

pub(super) fn generate() -> Result<Zeroizing<[u8; 32]>, CryptoError> {
    loop {
        let mut scalar = random_scalar()?;
        let mut plus_one = scalar + Scalar::ONE;
        let usable = !bool::from(plus_one.is_zero());
        let bytes = Zeroizing::new(scalar.to_repr().into());
        scalar.zeroize();
        plus_one.zeroize();
        if usable {
            return Ok(bytes);
        }
    }
}

fn random_scalar() -> Result<Scalar, CryptoError> {
    NonZeroScalar::try_generate_from_rng(&mut SysRng).map(|k| *k).map_err(|_| NO_RANDOMNESS)
}

pub(super) struct Secret {
    scalar: Scalar,
    /// (1 + d)^-1, the costly half of step A6, the same for every signature.
    inverse: Scalar,
    point: [u8; 64],
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.scalar.zeroize();
        self.inverse.zeroize();
    }
}

impl Secret {
    pub(super) fn new(bytes: &[u8; 32]) -> Result<Self, CryptoError> {
        let scalar = Scalar::from_repr(FieldBytes::from(*bytes)).into_option().ok_or(BAD_SECRET)?;
        if bool::from(scalar.is_zero()) {
            return Err(BAD_SECRET);
        }
        let inverse = (scalar + Scalar::ONE).invert().into_option().ok_or(BAD_SECRET)?;
        let point = coordinates(&ProjectivePoint::mul_by_generator(&scalar).to_affine());
        Ok(Self { scalar, inverse, point })
    }

    /// GB/T 32918.2 §6.1 A4–A6 with the given k; `None` asks for another k. s = (1+d)^-1·(k + r) − r.
    fn sign_with(&self, digest: &Scalar, k: &Scalar) -> Option<[u8; 64]> {
        let x = ProjectivePoint::mul_by_generator(k).to_affine().x();
        let r = *digest + <Scalar as Reduce<FieldBytes>>::reduce(&x);
        let sum = r + *k;
        let s = self.inverse * sum - r;
        if bool::from(r.is_zero() | sum.is_zero() | s.is_zero()) {
            return None;
        }
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r.to_repr());
        signature[32..].copy_from_slice(&s.to_repr());
        Some(signature)
    }
}

impl Sm2Secret for Secret {
    fn point(&self) -> [u8; 64] {
        self.point
    }

    fn sign_digest(&self, digest: &[u8; 32]) -> Result<[u8; 64], CryptoError> {
        let digest = <Scalar as Reduce<FieldBytes>>::reduce(&FieldBytes::from(*digest));
        loop {
            let mut k = random_scalar()?;
            let signature = self.sign_with(&digest, &k);
            k.zeroize();
            if let Some(signature) = signature {
                return Ok(signature);
            }
        }
    }

    fn decrypt(&self, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let (c1, rest) = cipher.split_first_chunk::<64>().ok_or(CryptoError::Refused)?;
        let (c3, c2) = rest.split_first_chunk::<32>().ok_or(CryptoError::Refused)?;
        if c2.is_empty() {
            return Err(CryptoError::Refused);
        }
        let c1 = read_point(c1).ok_or(CryptoError::Refused)?;
        let shared = Zeroizing::new(coordinates(&(ProjectivePoint::from(c1) * self.scalar).to_affine()));
        let mut plain = Zeroizing::new(c2.to_vec());
        let key_is_zero = xor_kdf(&shared, &mut plain);
        let check = content_hash(&shared, &plain);
        if key_is_zero || !bool::from(check.as_slice().ct_eq(c3)) {
            return Err(CryptoError::Refused);
        }
        Ok(plain)
    }

    fn agree(
        &self,
        ephemeral: &[u8; 32],
        peer: &[u8; 64],
        peer_ephemeral: &[u8; 64],
    ) -> Result<Zeroizing<[u8; 64]>, CryptoError> {
        let fresh = Secret::new(ephemeral)?;
        let read = |point| read_point(point).map(ProjectivePoint::from).ok_or(CryptoError::Refused);
        let (peer_point, peer_fresh) = (read(peer)?, read(peer_ephemeral)?);
        let mut t = self.scalar + half(&fresh.point) * fresh.scalar;
        let shared = (peer_point + peer_fresh * half(peer_ephemeral)) * t;
        t.zeroize();
        if bool::from(shared.is_identity()) {
            return Err(CryptoError::Refused);
        }
        Ok(Zeroizing::new(coordinates(&shared.to_affine())))
    }
}

/// x̄ = 2^127 + (x mod 2^127) of GB/T 32918.3 §6.1.
fn half(point: &[u8; 64]) -> Scalar {
    let mut bytes = [0; 32];
    bytes[16..].copy_from_slice(&point[16..32]);
    bytes[16] |= 0x80;
    <Scalar as Reduce<FieldBytes>>::reduce(&FieldBytes::from(bytes))
}

pub(super) struct Public {
    affine: AffinePoint,
    point: [u8; 64],
    /// Made at first use: a partner's key serves every message, and the table doubles the speed.
    table: OnceLock<KeyTable>,
}

impl Public {
    pub(super) fn new(point: &[u8; 64]) -> Result<Self, CryptoError> {
        let affine = read_point(point).ok_or(BAD_POINT)?;
        Ok(Self { affine, point: *point, table: OnceLock::new() })
    }

    fn table(&self) -> &KeyTable {
        self.table.get_or_init(|| KeyTable::new(&self.affine.into()))
    }

    /// One attempt at GB/T 32918.4 §6.1 with the given k; `None` asks for another k.
    fn encrypt_with(&self, plain: &[u8], k: &Scalar) -> Option<Vec<u8>> {
        let c1 = coordinates(&ProjectivePoint::mul_by_generator(k).to_affine());
        let shared = Zeroizing::new(coordinates(&self.table().mul(k).to_affine()));
        let mut out = Vec::with_capacity(96 + plain.len());
        out.extend_from_slice(&c1);
        out.extend_from_slice(&content_hash(&shared, plain));
        out.extend_from_slice(plain);
        (!xor_kdf(&shared, &mut out[96..])).then_some(out)
    }
}

impl Sm2Public for Public {
    fn point(&self) -> [u8; 64] {
        self.point
    }

    fn verify_digest(&self, digest: &[u8; 32], signature: &[u8; 64]) -> Result<(), CryptoError> {
        let (r, s) = signature.split_at(32);
        let scalar = |bytes: &[u8]| {
            NonZeroScalar::try_from(bytes).map(|value| *value).map_err(|_| CryptoError::Refused)
        };
        let (r, s) = (scalar(r)?, scalar(s)?);
        let t = r + s;
        // Everything here is public, so the faster variable-time multiplication leaks nothing.
        let point = ProjectivePoint::mul_by_generator_vartime(&s) + self.table().mul_vartime(&t);
        let x = point.to_affine().x();
        let digest = <Scalar as Reduce<FieldBytes>>::reduce(&FieldBytes::from(*digest));
        let expected = digest + <Scalar as Reduce<FieldBytes>>::reduce(&x);
        let holds = !bool::from(t.is_zero() | point.is_identity()) && expected == r;
        if holds { Ok(()) } else { Err(CryptoError::Refused) }
    }

    fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>, CryptoError> {
        if plain.is_empty() {
            return Err(CryptoError::Invalid("SM2 cannot encrypt an empty message"));
        }
        loop {
            let mut k = random_scalar()?;
            let cipher = self.encrypt_with(plain, &k);
            k.zeroize();
            if let Some(cipher) = cipher {
                return Ok(cipher);
            }
        }
    }
}

fn read_point(point: &[u8; 64]) -> Option<AffinePoint> {
    let mut sec1 = [4; 65];
    sec1[1..].copy_from_slice(point);
    let encoded = Sec1Point::from_bytes(sec1).ok()?;
    // `PublicKey` also refuses the point at infinity.
    PublicKey::from_sec1_point(&encoded).into_option().map(|key| *key.as_affine())
}

fn coordinates(point: &AffinePoint) -> [u8; 64] {
    let mut out = [0; 64];
    // The callers multiply points of prime order by non-zero scalars, so this is never the point at infinity.
    out.copy_from_slice(&point.to_sec1_point(false).as_bytes()[1..]);
    out
}

/// C3 of GB/T 32918.4: SM3(x2 ‖ M ‖ y2).
fn content_hash(shared: &[u8; 64], plain: &[u8]) -> [u8; 32] {
    Sm3::new().chain_update(&shared[..32]).chain_update(plain).chain_update(&shared[32..]).finalize().into()
}

/// XORs KDF(x2 ‖ y2) into the data; says whether that key stream was all zero, which the standard refuses.
fn xor_kdf(shared: &[u8; 64], data: &mut [u8]) -> bool {
    let prefix = Sm3::new_with_prefix(shared);
    let mut seen = 0;
    for (counter, block) in (1u32..).zip(data.chunks_mut(32)) {
        let stream = prefix.clone().chain_update(counter.to_be_bytes()).finalize();
        for (byte, key) in block.iter_mut().zip(stream) {
            *byte ^= key;
            seen |= key;
        }
    }
    seen == 0
}

#[cfg(test)]
mod tests;
