//! Session keys, which stay in the device, and what is computed with them; SM3. The second half of a session.
use crate::{
    code::{SdfError, codes},
    convert::CipherBuffer,
    raw::{Handle, algorithm},
    session::{Session, SessionKey, check, copied, function},
};
use std::ptr::null_mut;
use zeroize::Zeroizing;

const BLOCK: usize = 16;

impl Session {
    /// Makes an SM4 session key, wrapped under the encryption pair of an index: x1 ‖ y1 ‖ C3 ‖ C2.
    pub fn generate_with_pair(&mut self, index: u32) -> Result<(Vec<u8>, SessionKey), SdfError> {
        const NAME: &str = "SDF_GenerateKeyWithIPK_ECC";
        let call = function!(self, generate_with_pair, "SDF_GenerateKeyWithIPK_ECC");
        let mut wrapped = CipherBuffer::with_room(BLOCK);
        let mut key = null_mut();
        // SAFETY: the ciphertext has room for the key, and the handle is written to a place of ours.
        check(NAME, unsafe { call(self.handle, index, 128, wrapped.as_mut_ptr(), &raw mut key) })?;
        let key = self.keep(key);
        let wrapped = wrapped.raw().ok_or(SdfError { function: NAME, code: codes::ENCRYPTED_DATA })?;
        Ok((wrapped, key))
    }

    /// Brings back what [`Session::generate_with_pair`] wrapped; needs the right of the index.
    pub fn import_with_pair(&mut self, index: u32, wrapped: &[u8]) -> Result<SessionKey, SdfError> {
        const NAME: &str = "SDF_ImportKeyWithISK_ECC";
        let call = function!(self, import_with_pair, "SDF_ImportKeyWithISK_ECC");
        let bad = SdfError { function: NAME, code: codes::ENCRYPTED_DATA };
        let mut wrapped = CipherBuffer::from_raw(wrapped).ok_or(bad)?;
        let mut key = null_mut();
        // SAFETY: the ciphertext is complete, and the handle is written to a place of ours.
        check(NAME, unsafe { call(self.handle, index, wrapped.as_mut_ptr(), &raw mut key) })?;
        Ok(self.keep(key))
    }

    /// Makes an SM4 session key, wrapped under the SM4 key-encryption key of an index.
    pub fn generate_with_kek(&mut self, index: u32) -> Result<(Vec<u8>, SessionKey), SdfError> {
        const NAME: &str = "SDF_GenerateKeyWithKEK";
        let call = function!(self, generate_with_kek, "SDF_GenerateKeyWithKEK");
        let mut wrapped = vec![0; 256];
        let (mut length, mut key) = (256, null_mut());
        let (out, length_at, key_at) = (wrapped.as_mut_ptr(), &raw mut length, &raw mut key);
        // SAFETY: the place holds far more than a wrapped block, and the handle is written to a place of ours.
        let code = unsafe { call(self.handle, 128, algorithm::SM4_ECB, index, out, length_at, key_at) };
        check(NAME, code)?;
        let key = self.keep(key);
        if length == 0 || length as usize > wrapped.len() {
            return Err(SdfError { function: NAME, code: codes::ENCRYPTED_DATA });
        }
        wrapped.truncate(length as usize);
        Ok((wrapped, key))
    }

    /// Brings back what [`Session::generate_with_kek`] wrapped.
    pub fn import_with_kek(&mut self, index: u32, wrapped: &[u8]) -> Result<SessionKey, SdfError> {
        let call = function!(self, import_with_kek, "SDF_ImportKeyWithKEK");
        let (mut wrapped, length) = copied(wrapped);
        let mut key = null_mut();
        let (data, key_at) = (wrapped.as_mut_ptr(), &raw mut key);
        // SAFETY: the wrapped key is a copy of this length, and the handle is written to a place of ours.
        let code = unsafe { call(self.handle, algorithm::SM4_ECB, index, data, length, key_at) };
        check("SDF_ImportKeyWithKEK", code)?;
        Ok(self.keep(key))
    }

    fn keep(&mut self, key: Handle) -> SessionKey {
        self.keys.push(Some(key));
        SessionKey(self.keys.len() - 1)
    }

    fn key(&self, key: &SessionKey) -> Result<Handle, SdfError> {
        let known = self.keys.get(key.0).copied().flatten();
        known.ok_or(SdfError { function: "a session key", code: codes::KEY })
    }

    /// Wipes a session key.
    pub fn destroy(&mut self, key: SessionKey) -> Result<(), SdfError> {
        let call = function!(self, destroy_key, "SDF_DestroyKey");
        let handle = self.key(&key)?;
        self.keys[key.0] = None;
        while self.keys.last().is_some_and(Option::is_none) {
            self.keys.pop();
        }
        // SAFETY: a key of this session, forgotten above.
        check("SDF_DestroyKey", unsafe { call(self.handle, handle) })
    }

    /// SM4 over whole blocks, ECB without an IV and CBC with one; no padding.
    pub fn cipher(
        &mut self,
        key: &SessionKey,
        encrypt: bool,
        iv: Option<&[u8; BLOCK]>,
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SdfError> {
        let handle = self.key(key)?;
        let (function, call) = match encrypt {
            true => ("SDF_Encrypt", function!(self, encrypt, "SDF_Encrypt")),
            false => ("SDF_Decrypt", function!(self, symmetric_decrypt, "SDF_Decrypt")),
        };
        let algorithm = if iv.is_some() { algorithm::SM4_CBC } else { algorithm::SM4_ECB };
        let mut iv = iv.copied().unwrap_or_default();
        let (mut input, length) = copied(data);
        let mut output = Zeroizing::new(vec![0; data.len() + 2 * BLOCK]);
        let mut written = output.len() as u32;
        let (iv, from, to) = (iv.as_mut_ptr(), input.as_mut_ptr(), output.as_mut_ptr());
        // SAFETY: IV and input are copies, and the place holds two blocks more than the input.
        let code = unsafe { call(self.handle, handle, algorithm, iv, from, length, to, &raw mut written) };
        check(function, code)?;
        if written as usize != data.len() {
            return Err(SdfError { function, code: codes::SYMMETRIC });
        }
        output.truncate(data.len());
        Ok(output)
    }

    /// The SM4 CBC-MAC over whole blocks.
    pub fn mac(&mut self, key: &SessionKey, iv: &[u8; BLOCK], data: &[u8]) -> Result<[u8; BLOCK], SdfError> {
        let call = function!(self, mac, "SDF_CalculateMAC");
        let (handle, mut iv, (mut input, length)) = (self.key(key)?, *iv, copied(data));
        let (mut out, mut written) = ([0; 64], 64);
        let (iv, from, to) = (iv.as_mut_ptr(), input.as_mut_ptr(), out.as_mut_ptr());
        // SAFETY: IV and input are copies, and the place holds four blocks.
        let code =
            unsafe { call(self.handle, handle, algorithm::SM4_MAC, iv, from, length, to, &raw mut written) };
        check("SDF_CalculateMAC", code)?;
        let mac = out.first_chunk().filter(|_| written as usize == BLOCK);
        mac.copied().ok_or(SdfError { function: "SDF_CalculateMAC", code: codes::MAC })
    }

    /// SM3 over the concatenation of the parts.
    pub fn sm3(&mut self, parts: &[&[u8]]) -> Result<[u8; 32], SdfError> {
        let init = function!(self, hash_init, "SDF_HashInit");
        let update = function!(self, hash_update, "SDF_HashUpdate");
        let finish = function!(self, hash_final, "SDF_HashFinal");
        // SAFETY: without a public key and an identifier the device hashes the data alone.
        let code = unsafe { init(self.handle, algorithm::SM3, null_mut(), null_mut(), 0) };
        check("SDF_HashInit", code)?;
        for part in parts.iter().filter(|part| !part.is_empty()) {
            let (mut part, length) = copied(part);
            // SAFETY: the part is a copy of this length.
            check("SDF_HashUpdate", unsafe { update(self.handle, part.as_mut_ptr(), length) })?;
        }
        let (mut digest, mut length) = ([0; 64], 64);
        // SAFETY: the place holds two digests.
        let code = unsafe { finish(self.handle, digest.as_mut_ptr(), &raw mut length) };
        check("SDF_HashFinal", code)?;
        let digest = digest.first_chunk().filter(|_| length == 32);
        digest.copied().ok_or(SdfError { function: "SDF_HashFinal", code: codes::OUT_ARGUMENT })
    }
}
