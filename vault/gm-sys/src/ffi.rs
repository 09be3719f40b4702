//! Declarations from Tongsuo's headers (`openssl/evp.h`, `rand.h`, `hmac.h`, `err.h`, `core.h`). For this crate alone.
use std::ffi::{c_char, c_int, c_uchar, c_uint, c_void};

macro_rules! opaque {
    ($($name:ident),*) => { $(#[repr(C)] pub struct $name { _private: [u8; 0] })* };
}
opaque!(EvpMd, EvpMdCtx, HmacCtx, EvpCipher, EvpCipherCtx, EvpPkey, EvpPkeyCtx, Engine, LibCtx);

/// `OSSL_PARAM` of `openssl/core.h`.
#[repr(C)]
pub struct OsslParam {
    pub key: *const c_char,
    pub data_type: c_uint,
    pub data: *mut c_void,
    pub data_size: usize,
    pub return_size: usize,
}

impl OsslParam {
    pub fn end() -> Self {
        Self { key: std::ptr::null(), data_type: 0, data: std::ptr::null_mut(), data_size: 0, return_size: 0 }
    }
}

pub const PARAM_UNSIGNED: c_uint = 2;
pub const PARAM_UTF8: c_uint = 4;
pub const PARAM_OCTETS: c_uint = 5;

/// `EVP_PKEY_PUBLIC_KEY` and `EVP_PKEY_KEYPAIR`: domain and other parameters, public key, private key.
pub const PUBLIC_KEY: c_int = 0x84 | 0x02;
pub const KEYPAIR: c_int = 0x84 | 0x02 | 0x01;

/// `EVP_CTRL_AEAD_*`.
pub const SET_IVLEN: c_int = 0x9;
pub const GET_TAG: c_int = 0x10;
pub const SET_TAG: c_int = 0x11;

unsafe extern "C" {
    pub fn ERR_clear_error();
    pub fn OPENSSL_cleanse(data: *mut c_void, length: usize);
    pub fn RAND_bytes(out: *mut c_uchar, length: c_int) -> c_int;

    pub fn EVP_sm3() -> *const EvpMd;
    pub fn EVP_MD_CTX_new() -> *mut EvpMdCtx;
    pub fn EVP_MD_CTX_free(context: *mut EvpMdCtx);
    pub fn EVP_DigestInit_ex(context: *mut EvpMdCtx, kind: *const EvpMd, engine: *mut Engine) -> c_int;
    pub fn EVP_DigestUpdate(context: *mut EvpMdCtx, data: *const c_void, length: usize) -> c_int;
    pub fn EVP_DigestFinal_ex(context: *mut EvpMdCtx, out: *mut c_uchar, length: *mut c_uint) -> c_int;

    pub fn HMAC_CTX_new() -> *mut HmacCtx;
    pub fn HMAC_CTX_free(context: *mut HmacCtx);
    pub fn HMAC_Init_ex(
        context: *mut HmacCtx,
        key: *const c_void,
        length: c_int,
        kind: *const EvpMd,
        engine: *mut Engine,
    ) -> c_int;
    pub fn HMAC_Update(context: *mut HmacCtx, data: *const c_uchar, length: usize) -> c_int;
    pub fn HMAC_Final(context: *mut HmacCtx, out: *mut c_uchar, length: *mut c_uint) -> c_int;

    pub fn EVP_CIPHER_fetch(
        library: *mut LibCtx,
        name: *const c_char,
        properties: *const c_char,
    ) -> *mut EvpCipher;
    pub fn EVP_CIPHER_free(cipher: *mut EvpCipher);
    pub fn EVP_CIPHER_CTX_new() -> *mut EvpCipherCtx;
    pub fn EVP_CIPHER_CTX_free(context: *mut EvpCipherCtx);
    pub fn EVP_CIPHER_CTX_ctrl(
        context: *mut EvpCipherCtx,
        command: c_int,
        number: c_int,
        data: *mut c_void,
    ) -> c_int;
    pub fn EVP_CIPHER_CTX_set_padding(context: *mut EvpCipherCtx, pad: c_int) -> c_int;
    pub fn EVP_CipherInit_ex(
        context: *mut EvpCipherCtx,
        cipher: *const EvpCipher,
        engine: *mut Engine,
        key: *const c_uchar,
        iv: *const c_uchar,
        encrypt: c_int,
    ) -> c_int;
    pub fn EVP_CipherUpdate(
        context: *mut EvpCipherCtx,
        out: *mut c_uchar,
        written: *mut c_int,
        data: *const c_uchar,
        length: c_int,
    ) -> c_int;
    pub fn EVP_CipherFinal_ex(context: *mut EvpCipherCtx, out: *mut c_uchar, written: *mut c_int) -> c_int;

    pub fn EVP_PKEY_free(key: *mut EvpPkey);
    pub fn EVP_PKEY_CTX_new(key: *mut EvpPkey, engine: *mut Engine) -> *mut EvpPkeyCtx;
    pub fn EVP_PKEY_CTX_new_from_name(
        library: *mut LibCtx,
        name: *const c_char,
        properties: *const c_char,
    ) -> *mut EvpPkeyCtx;
    pub fn EVP_PKEY_CTX_free(context: *mut EvpPkeyCtx);
    pub fn EVP_PKEY_fromdata_init(context: *mut EvpPkeyCtx) -> c_int;
    pub fn EVP_PKEY_fromdata(
        context: *mut EvpPkeyCtx,
        key: *mut *mut EvpPkey,
        selection: c_int,
        params: *mut OsslParam,
    ) -> c_int;
    pub fn EVP_PKEY_public_check(context: *mut EvpPkeyCtx) -> c_int;
    pub fn EVP_PKEY_sign_init(context: *mut EvpPkeyCtx) -> c_int;
    pub fn EVP_PKEY_sign(
        context: *mut EvpPkeyCtx,
        out: *mut c_uchar,
        length: *mut usize,
        data: *const c_uchar,
        data_length: usize,
    ) -> c_int;
    pub fn EVP_PKEY_verify_init(context: *mut EvpPkeyCtx) -> c_int;
    pub fn EVP_PKEY_verify(
        context: *mut EvpPkeyCtx,
        signature: *const c_uchar,
        signature_length: usize,
        data: *const c_uchar,
        data_length: usize,
    ) -> c_int;
    pub fn EVP_PKEY_encrypt_init(context: *mut EvpPkeyCtx) -> c_int;
    pub fn EVP_PKEY_encrypt(
        context: *mut EvpPkeyCtx,
        out: *mut c_uchar,
        length: *mut usize,
        data: *const c_uchar,
        data_length: usize,
    ) -> c_int;
    pub fn EVP_PKEY_decrypt_init(context: *mut EvpPkeyCtx) -> c_int;
    pub fn EVP_PKEY_decrypt(
        context: *mut EvpPkeyCtx,
        out: *mut c_uchar,
        length: *mut usize,
        data: *const c_uchar,
        data_length: usize,
    ) -> c_int;
}
