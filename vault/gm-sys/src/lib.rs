//! The few EVP calls of Tongsuo the vault uses, behind a safe face. All `unsafe` of the project is in this crate.
use std::{
    ffi::{CStr, c_int},
    ptr::{null, null_mut},
};

mod ffi;
mod key;

pub use key::Key;

/// Tongsuo refused or failed; it is not asked why, for the answer could serve as an oracle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

/// Turns a result of 1 into success, and clears the thread's error queue otherwise.
fn check(result: c_int) -> Result<(), Failed> {
    if result == 1 {
        return Ok(());
    }
    // SAFETY: clears this thread's own error queue.
    unsafe { ffi::ERR_clear_error() };
    Err(Failed)
}

/// Something to point to where there is no data but a null pointer would mean something else.
static NOTHING: [u8; 1] = [0];

/// A pointer that Tongsuo gave, freed when dropped.
struct Owned<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Owned<T> {
    fn new(pointer: *mut T, free: unsafe extern "C" fn(*mut T)) -> Result<Self, Failed> {
        check(c_int::from(!pointer.is_null()))?;
        Ok(Self(pointer, free))
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from Tongsuo, is freed by its own function, once.
        unsafe { (self.1)(self.0) }
    }
}

/// Random bytes from Tongsuo's generator, seeded by the operating system.
pub fn random(out: &mut [u8]) -> Result<(), Failed> {
    let length = c_int::try_from(out.len()).map_err(|_| Failed)?;
    // SAFETY: writes exactly `length` bytes to `out`.
    check(unsafe { ffi::RAND_bytes(out.as_mut_ptr(), length) })
}

/// SM3 over the parts.
pub fn sm3(parts: &[&[u8]]) -> Result<[u8; 32], Failed> {
    let mut digest = [0; 32];
    // SAFETY: the context lives through the calls; each update reads one part; the digest of SM3 has 32 bytes.
    unsafe {
        let context = Owned::new(ffi::EVP_MD_CTX_new(), ffi::EVP_MD_CTX_free)?;
        check(ffi::EVP_DigestInit_ex(context.0, ffi::EVP_sm3(), null_mut()))?;
        for part in parts {
            check(ffi::EVP_DigestUpdate(context.0, part.as_ptr().cast(), part.len()))?;
        }
        check(ffi::EVP_DigestFinal_ex(context.0, digest.as_mut_ptr(), null_mut()))?;
    }
    Ok(digest)
}

/// HMAC-SM3 over the parts; any key length.
pub fn hmac_sm3(key: &[u8], parts: &[&[u8]]) -> Result<[u8; 32], Failed> {
    let mut mac = [0; 32];
    // A null key would mean "keep the last one".
    let key_pointer = if key.is_empty() { NOTHING.as_ptr() } else { key.as_ptr() };
    let key_length = c_int::try_from(key.len()).map_err(|_| Failed)?;
    // SAFETY: the context lives through the calls; the key and each part are read for their own length; SM3 gives 32 bytes.
    unsafe {
        let context = Owned::new(ffi::HMAC_CTX_new(), ffi::HMAC_CTX_free)?;
        check(ffi::HMAC_Init_ex(context.0, key_pointer.cast(), key_length, ffi::EVP_sm3(), null_mut()))?;
        for part in parts {
            check(ffi::HMAC_Update(context.0, part.as_ptr(), part.len()))?;
        }
        check(ffi::HMAC_Final(context.0, mac.as_mut_ptr(), null_mut()))?;
    }
    Ok(mac)
}

/// An SM4 mode with its IV or nonce.
#[derive(Clone, Copy)]
pub enum Mode<'a> {
    Ecb,
    /// 16 bytes.
    Cbc(&'a [u8]),
    /// 16 bytes.
    Ctr(&'a [u8]),
    Gcm {
        nonce: &'a [u8],
        aad: &'a [u8],
    },
    /// 12 bytes.
    Ccm {
        nonce: &'a [u8],
        aad: &'a [u8],
    },
}

impl Mode<'_> {
    fn name(&self) -> &'static CStr {
        match self {
            Mode::Ecb => c"SM4-ECB",
            Mode::Cbc(_) => c"SM4-CBC",
            Mode::Ctr(_) => c"SM4-CTR",
            Mode::Gcm { .. } => c"SM4-GCM",
            Mode::Ccm { .. } => c"SM4-CCM",
        }
    }
}

const TAG: usize = 16;

/// SM4. `pad` (PKCS#7) is for ECB and CBC, whose data is whole blocks otherwise. GCM and CCM append or take the 16-byte tag
/// at the end. IV lengths are the caller's to check: ECB none, CBC and CTR 16, GCM 12 or 16, CCM 12.
pub fn sm4(encrypt: bool, mode: Mode<'_>, key: &[u8; 16], pad: bool, data: &[u8]) -> Result<Vec<u8>, Failed> {
    let aead = matches!(mode, Mode::Gcm { .. } | Mode::Ccm { .. });
    let (data, tag) = match aead && !encrypt {
        true => data.split_at(data.len().checked_sub(TAG).ok_or(Failed)?),
        false => (data, &[][..]),
    };
    let length = c_int::try_from(data.len()).map_err(|_| Failed)?;
    let (iv, aad): (&[u8], &[u8]) = match mode {
        Mode::Ecb => (&[], &[]),
        Mode::Cbc(iv) | Mode::Ctr(iv) => (iv, &[]),
        Mode::Gcm { nonce, aad } | Mode::Ccm { nonce, aad } => (nonce, aad),
    };
    if matches!(mode, Mode::Cbc(_) | Mode::Ctr(_)) && iv.len() != 16 {
        return Err(Failed);
    }
    let mut out = vec![0; data.len() + 32];
    let mut written = 0;
    // SAFETY: the context and cipher live through the calls. `out` has room for the data and two more blocks, which is
    // the most an update and a final write. Lengths given are those of the slices; `ctrl` gets what its command wants.
    unsafe {
        let cipher = Owned::new(
            ffi::EVP_CIPHER_fetch(null_mut(), mode.name().as_ptr(), null()),
            ffi::EVP_CIPHER_free,
        )?;
        let context = Owned::new(ffi::EVP_CIPHER_CTX_new(), ffi::EVP_CIPHER_CTX_free)?;
        let c = context.0;
        let way = c_int::from(encrypt);
        check(ffi::EVP_CipherInit_ex(c, cipher.0, null_mut(), null(), null(), way))?;
        if aead {
            check(ffi::EVP_CIPHER_CTX_ctrl(c, ffi::SET_IVLEN, iv.len() as c_int, null_mut()))?;
            let ccm = matches!(mode, Mode::Ccm { .. });
            if ccm || !encrypt {
                let expected = if encrypt { null_mut() } else { tag.as_ptr().cast_mut().cast() };
                check(ffi::EVP_CIPHER_CTX_ctrl(c, ffi::SET_TAG, TAG as c_int, expected))?;
            }
        }
        let iv = if iv.is_empty() { null() } else { iv.as_ptr() };
        check(ffi::EVP_CipherInit_ex(c, null(), null_mut(), key.as_ptr(), iv, way))?;
        check(ffi::EVP_CIPHER_CTX_set_padding(c, c_int::from(pad)))?;
        let mut part: c_int = 0;
        if matches!(mode, Mode::Ccm { .. }) {
            check(ffi::EVP_CipherUpdate(c, null_mut(), &mut part, null(), length))?;
        }
        if !aad.is_empty() {
            let aad_length = c_int::try_from(aad.len()).map_err(|_| Failed)?;
            check(ffi::EVP_CipherUpdate(c, null_mut(), &mut part, aad.as_ptr(), aad_length))?;
        }
        // CCM authenticates in this call, so it is made for empty data too.
        if !data.is_empty() || matches!(mode, Mode::Ccm { .. }) {
            let input = if data.is_empty() { NOTHING.as_ptr() } else { data.as_ptr() };
            check(ffi::EVP_CipherUpdate(c, out.as_mut_ptr(), &mut part, input, length))?;
            written += part as usize;
        }
        if !matches!(mode, Mode::Ccm { .. }) || encrypt {
            check(ffi::EVP_CipherFinal_ex(c, out.as_mut_ptr().add(written), &mut part))?;
            written += part as usize;
        }
        out.truncate(written);
        if aead && encrypt {
            let mut tag = [0u8; TAG];
            check(ffi::EVP_CIPHER_CTX_ctrl(c, ffi::GET_TAG, TAG as c_int, tag.as_mut_ptr().cast()))?;
            out.extend_from_slice(&tag);
        }
    }
    Ok(out)
}
