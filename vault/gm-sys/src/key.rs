//! SM2 keys inside Tongsuo. For the vault's provider.
use crate::{Failed, Owned, check, ffi};
use std::{
    ffi::{CStr, c_char, c_int, c_void},
    ptr::null_mut,
};

/// An SM2 key: a public one, or a pair.
pub struct Key(Owned<ffi::EvpPkey>);

// SAFETY: an EVP_PKEY is reference-counted and locked inside; after construction it is only used to make contexts, each of
// which belongs to one call.
unsafe impl Send for Key {}
// SAFETY: as above.
unsafe impl Sync for Key {}

type Operate = unsafe extern "C" fn(*mut ffi::EvpPkeyCtx, *mut u8, *mut usize, *const u8, usize) -> c_int;

impl Key {
    /// From the point x ‖ y; refused where it is not on the curve.
    pub fn public(point: &[u8; 64]) -> Result<Self, Failed> {
        Self::from_data(point, None)
    }

    /// From the secret scalar, big-endian in [1, n-2], and its own point; that they belong together is the caller's to know.
    pub fn pair(scalar: &[u8; 32], point: &[u8; 64]) -> Result<Self, Failed> {
        Self::from_data(point, Some(scalar))
    }

    fn from_data(point: &[u8; 64], scalar: Option<&[u8; 32]>) -> Result<Self, Failed> {
        let mut group = *b"SM2\0";
        let mut public = [4; 65];
        public[1..].copy_from_slice(point);
        // An unsigned integer parameter is in the machine's own byte order.
        let mut secret = *scalar.unwrap_or(&[0; 32]);
        if cfg!(target_endian = "little") {
            secret.reverse();
        }
        let mut params = vec![
            param(c"group", ffi::PARAM_UTF8, &mut group[..3]),
            param(c"pub", ffi::PARAM_OCTETS, &mut public),
        ];
        let mut selection = ffi::PUBLIC_KEY;
        if scalar.is_some() {
            params.push(param(c"priv", ffi::PARAM_UNSIGNED, &mut secret));
            selection = ffi::KEYPAIR;
        }
        params.push(ffi::OsslParam::end());
        let mut key = null_mut();
        // SAFETY: the parameters point to buffers that outlive the call, with their own lengths, and end with the end mark;
        // the context lives through the calls and `key` receives a key of ours to free.
        let made = unsafe {
            let context = Owned::new(
                ffi::EVP_PKEY_CTX_new_from_name(null_mut(), c"SM2".as_ptr(), null_mut()),
                ffi::EVP_PKEY_CTX_free,
            )?;
            check(ffi::EVP_PKEY_fromdata_init(context.0)).and_then(|()| {
                check(ffi::EVP_PKEY_fromdata(context.0, &mut key, selection, params.as_mut_ptr()))
            })
        };
        // SAFETY: wipes a local array of that length in a way the compiler keeps.
        unsafe { ffi::OPENSSL_cleanse(secret.as_mut_ptr().cast(), secret.len()) };
        made?;
        let key = Self(Owned::new(key, ffi::EVP_PKEY_free)?);
        // SAFETY: the context is of this key and lives through the call.
        unsafe {
            let context = key.context()?;
            check(ffi::EVP_PKEY_public_check(context.0))?;
        }
        Ok(key)
    }

    fn context(&self) -> Result<Owned<ffi::EvpPkeyCtx>, Failed> {
        // SAFETY: the key lives as long as `self`; the context keeps its own reference.
        Owned::new(unsafe { ffi::EVP_PKEY_CTX_new(self.0.0, null_mut()) }, ffi::EVP_PKEY_CTX_free)
    }

    /// Signs the digest e = SM3(Z ‖ message); gives DER.
    pub fn sign_digest(&self, digest: &[u8; 32]) -> Result<Vec<u8>, Failed> {
        self.operate(ffi::EVP_PKEY_sign_init, ffi::EVP_PKEY_sign, digest)
    }

    /// Verifies a DER signature of the digest.
    pub fn verify_digest(&self, digest: &[u8; 32], signature: &[u8]) -> Result<(), Failed> {
        let context = self.context()?;
        // SAFETY: the context lives through the calls; both slices are read for their own length.
        unsafe {
            check(ffi::EVP_PKEY_verify_init(context.0))?;
            check(ffi::EVP_PKEY_verify(
                context.0,
                signature.as_ptr(),
                signature.len(),
                digest.as_ptr(),
                digest.len(),
            ))
        }
    }

    /// Encrypts to this key; gives DER.
    pub fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>, Failed> {
        self.operate(ffi::EVP_PKEY_encrypt_init, ffi::EVP_PKEY_encrypt, plain)
    }

    /// Decrypts DER.
    pub fn decrypt(&self, cipher: &[u8]) -> Result<Vec<u8>, Failed> {
        self.operate(ffi::EVP_PKEY_decrypt_init, ffi::EVP_PKEY_decrypt, cipher)
    }

    fn operate(
        &self,
        init: unsafe extern "C" fn(*mut ffi::EvpPkeyCtx) -> c_int,
        operate: Operate,
        input: &[u8],
    ) -> Result<Vec<u8>, Failed> {
        let context = self.context()?;
        let mut length = 0;
        // SAFETY: the first call only asks for the length needed; the second writes at most the length it is told, which
        // is that of `out`.
        unsafe {
            check(init(context.0))?;
            check(operate(context.0, null_mut(), &mut length, input.as_ptr(), input.len()))?;
            let mut out = vec![0; length];
            check(operate(context.0, out.as_mut_ptr(), &mut length, input.as_ptr(), input.len()))?;
            out.truncate(length);
            Ok(out)
        }
    }
}

fn param(name: &'static CStr, kind: u32, data: &mut [u8]) -> ffi::OsslParam {
    ffi::OsslParam {
        key: name.as_ptr().cast::<c_char>(),
        data_type: kind,
        data: data.as_mut_ptr().cast::<c_void>(),
        data_size: data.len(),
        return_size: usize::MAX,
    }
}
