//! Between the standard's structures and the vault's plain forms: x ‖ y, r ‖ s, x1 ‖ y1 ‖ C3 ‖ C2.
use crate::raw::{COORDINATE, EccCipher, EccPublicKey, EccSignature};
use std::ffi::c_uint;

/// A number of 32 bytes at the end of its 64.
fn wide(number: &[u8]) -> [u8; COORDINATE] {
    let mut out = [0; COORDINATE];
    out[COORDINATE - 32..].copy_from_slice(number);
    out
}

/// `None` where the number does not fit 256 bits.
fn narrow(wide: &[u8]) -> Option<&[u8]> {
    let (zeros, number) = wide.split_at(COORDINATE - 32);
    zeros.iter().all(|byte| *byte == 0).then_some(number)
}

fn pair(first: &[u8], second: &[u8]) -> Option<[u8; 64]> {
    let mut out = [0; 64];
    out[..32].copy_from_slice(narrow(first)?);
    out[32..].copy_from_slice(narrow(second)?);
    Some(out)
}

impl EccPublicKey {
    pub const EMPTY: Self = Self { bits: 0, x: [0; COORDINATE], y: [0; COORDINATE] };

    /// From x ‖ y.
    pub fn from_point(point: &[u8; 64]) -> Self {
        Self { bits: 256, x: wide(&point[..32]), y: wide(&point[32..]) }
    }

    /// x ‖ y; `None` for another curve's size.
    pub fn point(&self) -> Option<[u8; 64]> {
        if self.bits == 256 { pair(&self.x, &self.y) } else { None }
    }
}

impl EccSignature {
    pub const EMPTY: Self = Self { r: [0; COORDINATE], s: [0; COORDINATE] };

    /// From r ‖ s.
    pub fn from_raw(signature: &[u8; 64]) -> Self {
        Self { r: wide(&signature[..32]), s: wide(&signature[32..]) }
    }

    /// r ‖ s.
    pub fn raw(&self) -> Option<[u8; 64]> {
        pair(&self.r, &self.s)
    }
}

/// An `ECCCipher` with the room its ciphertext needs, aligned as C wants it.
pub struct CipherBuffer {
    words: Vec<u64>,
}

const LENGTH_AT: usize = std::mem::offset_of!(EccCipher, length);
const C_AT: usize = std::mem::offset_of!(EccCipher, c);
/// Vendors declare `C` with a fixed size of up to 136 bytes and copy the whole structure.
const SLACK: usize = 256;

impl CipherBuffer {
    /// Room for a ciphertext of a plaintext of this many bytes.
    pub fn with_room(plain: usize) -> Self {
        Self { words: vec![0; (C_AT + plain + SLACK).div_ceil(8)] }
    }

    /// From x1 ‖ y1 ‖ C3 ‖ C2; `None` where C2 is empty.
    pub fn from_raw(cipher: &[u8]) -> Option<Self> {
        let (head, c2) = cipher.split_at_checked(96)?;
        if c2.is_empty() {
            return None;
        }
        let length = c_uint::try_from(c2.len()).ok()?;
        let mut buffer = Self::with_room(c2.len());
        let bytes = buffer.bytes_mut();
        bytes[..64].copy_from_slice(&wide(&head[..32]));
        bytes[64..128].copy_from_slice(&wide(&head[32..64]));
        bytes[128..LENGTH_AT].copy_from_slice(&head[64..96]);
        bytes[LENGTH_AT..C_AT].copy_from_slice(&length.to_ne_bytes());
        bytes[C_AT..C_AT + c2.len()].copy_from_slice(c2);
        Some(buffer)
    }

    /// x1 ‖ y1 ‖ C3 ‖ C2; `None` where the device wrote what cannot be.
    pub fn raw(&self) -> Option<Vec<u8>> {
        let bytes = self.bytes();
        let length = c_uint::from_ne_bytes(bytes.get(LENGTH_AT..C_AT)?.try_into().ok()?);
        let c2 = bytes.get(C_AT..C_AT.checked_add(length as usize)?)?;
        if c2.is_empty() {
            return None;
        }
        let point = pair(&bytes[..64], &bytes[64..128])?;
        Some([&point[..], &bytes[128..LENGTH_AT], c2].concat())
    }

    /// For the C function, which may write up to the room given.
    pub fn as_mut_ptr(&mut self) -> *mut EccCipher {
        self.words.as_mut_ptr().cast()
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: any initialised u64 is eight initialised bytes, and the length is that of the words.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.words.len() * 8) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; any eight bytes are a u64.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.words.len() * 8) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn array(bytes: Vec<u8>) -> [u8; 64] {
        bytes.try_into().unwrap()
    }

    proptest! {
        #[test]
        fn points_come_back_as_they_went(point in prop::collection::vec(any::<u8>(), 64)) {
            let point = array(point);
            let key = EccPublicKey::from_point(&point);
            prop_assert_eq!(key.bits, 256);
            prop_assert_eq!(&key.x[32..], &point[..32]);
            prop_assert!(key.x[..32].iter().chain(&key.y[..32]).all(|byte| *byte == 0));
            prop_assert_eq!(key.point(), Some(point));
        }

        #[test]
        fn signatures_come_back_as_they_went(signature in prop::collection::vec(any::<u8>(), 64)) {
            let signature = array(signature);
            prop_assert_eq!(EccSignature::from_raw(&signature).raw(), Some(signature));
        }

        #[test]
        fn ciphertexts_come_back_as_they_went(cipher in prop::collection::vec(any::<u8>(), 97..2000)) {
            let mut buffer = CipherBuffer::from_raw(&cipher).unwrap();
            prop_assert!(buffer.as_mut_ptr().is_aligned());
            prop_assert_eq!(buffer.raw(), Some(cipher));
        }

        #[test]
        fn ciphertexts_without_content_are_refused(cipher in prop::collection::vec(any::<u8>(), 0..97)) {
            prop_assert!(CipherBuffer::from_raw(&cipher).is_none());
        }

        #[test]
        fn a_length_beyond_the_room_is_refused(plain in 1usize..200, beyond in 8u32..u32::MAX / 2) {
            let mut buffer = CipherBuffer::with_room(plain);
            let length = (plain + SLACK) as u32 + beyond;
            buffer.bytes_mut()[LENGTH_AT..C_AT].copy_from_slice(&length.to_ne_bytes());
            prop_assert_eq!(buffer.raw(), None);
        }
    }

    #[test]
    fn numbers_of_more_than_256_bits_are_refused() {
        let mut key = EccPublicKey::from_point(&[7; 64]);
        key.x[31] = 1;
        assert_eq!(key.point(), None);
        let mut signature = EccSignature::from_raw(&[7; 64]);
        signature.s[0] = 1;
        assert_eq!(signature.raw(), None);
        assert_eq!(EccPublicKey { bits: 384, ..EccPublicKey::from_point(&[7; 64]) }.point(), None);
    }
}
