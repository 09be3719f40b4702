//! A library, its device, and sessions in which keys are used: the safe face of the function table.
use crate::{
    code::{SdfError, codes},
    convert::CipherBuffer,
    raw::{DecryptForm, DeviceInfo, EccPublicKey, EccSignature, Handle, Interface, algorithm},
};
use std::{ffi::c_int, path::Path, ptr::null_mut, sync::Arc};
use zeroize::Zeroizing;

/// Why a library cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{0}")]
    Library(#[from] libloading::Error),
    #[error("it does not export {0}, so it is no library of GM/T 0018")]
    Missing(&'static str),
}

/// A vendor's library, loaded for the rest of the process: vendors' libraries rarely survive being unloaded.
pub struct Library {
    interface: Interface,
    decrypt: DecryptForm,
}

impl Library {
    /// Loads the library of an operator's settings; loading runs its start-up code.
    pub fn load(path: &Path, decrypt: DecryptForm) -> Result<Arc<Self>, LoadError> {
        // SAFETY: the operator names this library as a device's; its start-up code is trusted as the device is.
        let library = std::mem::ManuallyDrop::new(unsafe { libloading::Library::new(path) }?);
        // SAFETY: functions of these names have the signatures of GM/T 0018, which is what makes it an SDF library.
        let interface = unsafe { Interface::read(&library) };
        for (there, symbol) in [
            (interface.open_device.is_some(), "SDF_OpenDevice"),
            (interface.close_device.is_some(), "SDF_CloseDevice"),
            (interface.open_session.is_some(), "SDF_OpenSession"),
            (interface.close_session.is_some(), "SDF_CloseSession"),
        ] {
            if !there {
                return Err(LoadError::Missing(symbol));
            }
        }
        Ok(Arc::new(Self { interface, decrypt }))
    }
}

/// Turns a return code into a result.
pub(crate) fn check(function: &'static str, code: c_int) -> Result<(), SdfError> {
    match code {
        0 => Ok(()),
        code => Err(SdfError { function, code: code.cast_unsigned() }),
    }
}

/// A function of the table, or that the device does not have it.
macro_rules! function {
    ($session:expr, $name:ident, $symbol:literal) => {
        $session
            .interface()
            .$name
            .ok_or(SdfError { function: $symbol, code: crate::code::codes::NOT_SUPPORTED })?
    };
}
pub(crate) use function;

/// An open device; closed when the last of its sessions is gone.
pub struct Device {
    library: Arc<Library>,
    handle: Handle,
}

// SAFETY: GM/T 0018 §6.1 makes the device handle one per process, shared by the sessions of all its threads.
unsafe impl Send for Device {}
// SAFETY: as above; nothing is changed through it.
unsafe impl Sync for Device {}

impl Device {
    pub fn open(library: &Arc<Library>) -> Result<Arc<Self>, SdfError> {
        let mut handle = null_mut();
        let this = &library.interface;
        let open = this.open_device.expect("loading checked it");
        // SAFETY: the handle is written to a place of ours.
        check("SDF_OpenDevice", unsafe { open(&raw mut handle) })?;
        Ok(Arc::new(Self { library: library.clone(), handle }))
    }

    pub fn session(self: &Arc<Self>) -> Result<Session, SdfError> {
        let mut handle = null_mut();
        let open = self.library.interface.open_session.expect("loading checked it");
        // SAFETY: the device is open for as long as `self`, and the handle is written to a place of ours.
        check("SDF_OpenSession", unsafe { open(self.handle, &raw mut handle) })?;
        Ok(Session { device: self.clone(), handle, keys: Vec::new() })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let close = self.library.interface.close_device.expect("loading checked it");
        // SAFETY: opened by us, and no session is left. A device that is gone cannot be closed better, so what it says
        // does not matter.
        unsafe { close(self.handle) };
    }
}

/// What a device says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFacts {
    pub issuer: String,
    pub name: String,
    pub serial: String,
    pub version: u32,
    /// The edition of the interface.
    pub standard: u32,
    /// Most bytes one call takes; 0 where the device does not say.
    pub buffer: usize,
}

/// A session; used by one thread at a time.
pub struct Session {
    device: Arc<Device>,
    pub(crate) handle: Handle,
    /// The handles of session keys, closed with the session.
    pub(crate) keys: Vec<Option<Handle>>,
}

// SAFETY: a session may move between threads; `&mut self` keeps two from using it at once.
unsafe impl Send for Session {}

/// A session key inside the device, of one session.
#[derive(Debug, PartialEq, Eq)]
pub struct SessionKey(pub(crate) usize);

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(destroy) = self.interface().destroy_key {
            for key in self.keys.drain(..).flatten() {
                // SAFETY: a key of this open session. Closing goes on whatever the device says.
                unsafe { destroy(self.handle, key) };
            }
        }
        let close = self.interface().close_session.expect("loading checked it");
        // SAFETY: opened by us and used no more.
        unsafe { close(self.handle) };
    }
}

/// The inputs of the C interface are not `const`; what is copied cannot be changed under its owner.
pub(crate) fn copied(bytes: &[u8]) -> (Zeroizing<Vec<u8>>, u32) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    (Zeroizing::new(bytes.to_vec()), length)
}

impl Session {
    pub(crate) fn interface(&self) -> &Interface {
        &self.device.library.interface
    }

    pub fn facts(&mut self) -> Result<DeviceFacts, SdfError> {
        let call = function!(self, device_info, "SDF_GetDeviceInfo");
        let mut info = std::mem::MaybeUninit::<DeviceInfo>::zeroed();
        // SAFETY: the session is open and the structure has the standard's layout.
        check("SDF_GetDeviceInfo", unsafe { call(self.handle, info.as_mut_ptr()) })?;
        // SAFETY: all fields are numbers, for which zero is a value.
        let info = unsafe { info.assume_init() };
        let text = |bytes: &[u8]| {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
        };
        Ok(DeviceFacts {
            issuer: text(&info.issuer),
            name: text(&info.name),
            serial: text(&info.serial),
            version: info.device_version,
            standard: info.standard_version,
            buffer: info.buffer as usize,
        })
    }

    pub fn random(&mut self, out: &mut [u8]) -> Result<(), SdfError> {
        let call = function!(self, random, "SDF_GenerateRandom");
        for chunk in out.chunks_mut(1024) {
            // SAFETY: the place holds the bytes asked for.
            check("SDF_GenerateRandom", unsafe {
                call(self.handle, chunk.len() as u32, chunk.as_mut_ptr())
            })?;
        }
        Ok(())
    }

    /// Obtains the right to use the private keys of an index, for the life of the session.
    pub fn get_access(&mut self, index: u32, password: &[u8]) -> Result<(), SdfError> {
        let call = function!(self, get_access, "SDF_GetPrivateKeyAccessRight");
        let (mut password, length) = copied(password);
        // SAFETY: the password is a copy of this length.
        let code = unsafe { call(self.handle, index, password.as_mut_ptr(), length) };
        check("SDF_GetPrivateKeyAccessRight", code)
    }

    pub fn release_access(&mut self, index: u32) -> Result<(), SdfError> {
        let call = function!(self, release_access, "SDF_ReleasePrivateKeyAccessRight");
        // SAFETY: the session is open.
        check("SDF_ReleasePrivateKeyAccessRight", unsafe { call(self.handle, index) })
    }

    /// Obtains the right to use a key-encryption key; the 2012 edition has no such function and needs none.
    pub fn get_kek_access(&mut self, index: u32, password: &[u8]) -> Result<(), SdfError> {
        let Some(call) = self.interface().get_kek_access else { return Ok(()) };
        let (mut password, length) = copied(password);
        // SAFETY: the password is a copy of this length.
        let code = unsafe { call(self.handle, index, password.as_mut_ptr(), length) };
        check("SDF_GetKEKAccessRight", code)
    }

    /// The public half of the signing pair at an index, x ‖ y.
    pub fn sign_public(&mut self, index: u32) -> Result<[u8; 64], SdfError> {
        let call = function!(self, sign_public, "SDF_ExportSignPublicKey_ECC");
        let mut key = EccPublicKey::EMPTY;
        // SAFETY: the structure has the standard's layout.
        let code = unsafe { call(self.handle, index, &raw mut key) };
        check("SDF_ExportSignPublicKey_ECC", code)?;
        key.point().ok_or(SdfError { function: "SDF_ExportSignPublicKey_ECC", code: codes::KEY_TYPE })
    }

    /// The public half of the encryption pair at an index, x ‖ y.
    pub fn encrypt_public(&mut self, index: u32) -> Result<[u8; 64], SdfError> {
        let call = function!(self, encrypt_public, "SDF_ExportEncPublicKey_ECC");
        let mut key = EccPublicKey::EMPTY;
        // SAFETY: the structure has the standard's layout.
        let code = unsafe { call(self.handle, index, &raw mut key) };
        check("SDF_ExportEncPublicKey_ECC", code)?;
        key.point().ok_or(SdfError { function: "SDF_ExportEncPublicKey_ECC", code: codes::KEY_TYPE })
    }

    /// Signs the digest e with the signing pair of an index; needs its right. Gives r ‖ s.
    pub fn sign(&mut self, index: u32, digest: &[u8; 32]) -> Result<[u8; 64], SdfError> {
        let call = function!(self, sign, "SDF_InternalSign_ECC");
        let mut digest = *digest;
        let mut signature = EccSignature::EMPTY;
        // SAFETY: the digest is a copy of 32 bytes and the structure has the standard's layout.
        let code = unsafe { call(self.handle, index, digest.as_mut_ptr(), 32, &raw mut signature) };
        check("SDF_InternalSign_ECC", code)?;
        signature.raw().ok_or(SdfError { function: "SDF_InternalSign_ECC", code: codes::SIGN })
    }

    /// Verifies with the signing pair of an index.
    pub fn verify(&mut self, index: u32, digest: &[u8; 32], signature: &[u8; 64]) -> Result<(), SdfError> {
        let call = function!(self, internal_verify, "SDF_InternalVerify_ECC");
        let (mut digest, mut signature) = (*digest, EccSignature::from_raw(signature));
        // SAFETY: the digest is a copy of 32 bytes and the structure has the standard's layout.
        let code = unsafe { call(self.handle, index, digest.as_mut_ptr(), 32, &raw mut signature) };
        check("SDF_InternalVerify_ECC", code)
    }

    /// Verifies with a given public key, x ‖ y.
    pub fn external_verify(
        &mut self,
        point: &[u8; 64],
        digest: &[u8; 32],
        signature: &[u8; 64],
    ) -> Result<(), SdfError> {
        let call = function!(self, external_verify, "SDF_ExternalVerify_ECC");
        let (mut digest, mut signature) = (*digest, EccSignature::from_raw(signature));
        let mut key = EccPublicKey::from_point(point);
        let (key, data, signature) = (&raw mut key, digest.as_mut_ptr(), &raw mut signature);
        // SAFETY: the digest is a copy of 32 bytes and the structures have the standard's layout.
        let code = unsafe { call(self.handle, algorithm::SM2_SIGN, key, data, 32, signature) };
        check("SDF_ExternalVerify_ECC", code)
    }

    /// Encrypts to a given public key, x ‖ y. Gives x1 ‖ y1 ‖ C3 ‖ C2.
    pub fn external_encrypt(&mut self, point: &[u8; 64], plain: &[u8]) -> Result<Vec<u8>, SdfError> {
        let call = function!(self, external_encrypt, "SDF_ExternalEncrypt_ECC");
        let (mut plain, length) = copied(plain);
        let mut key = EccPublicKey::from_point(point);
        let mut cipher = CipherBuffer::with_room(plain.len());
        let (key, data, out) = (&raw mut key, plain.as_mut_ptr(), cipher.as_mut_ptr());
        // SAFETY: the plaintext is a copy of this length and the ciphertext has room for as much.
        let code = unsafe { call(self.handle, algorithm::SM2_ENCRYPT, key, data, length, out) };
        check("SDF_ExternalEncrypt_ECC", code)?;
        cipher.raw().ok_or(SdfError { function: "SDF_ExternalEncrypt_ECC", code: codes::ENCRYPTED_DATA })
    }

    /// Decrypts x1 ‖ y1 ‖ C3 ‖ C2 with the encryption pair of an index; needs its right.
    pub fn decrypt(&mut self, index: u32, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, SdfError> {
        const NAME: &str = "SDF_InternalDecrypt_ECC";
        let bad = SdfError { function: NAME, code: codes::ENCRYPTED_DATA };
        let mut buffer = CipherBuffer::from_raw(cipher).ok_or(bad)?;
        let expected = cipher.len() - 96;
        let mut plain = Zeroizing::new(vec![0; expected + 64]);
        let mut length = plain.len() as u32;
        let (cipher, data, length_at) = (buffer.as_mut_ptr(), plain.as_mut_ptr(), &raw mut length);
        let code = match self.device.library.decrypt {
            DecryptForm::WithAlgorithm => {
                let call = function!(self, decrypt, "SDF_InternalDecrypt_ECC");
                // SAFETY: the ciphertext is complete and the place holds more than its content.
                unsafe { call(self.handle, index, algorithm::SM2_ENCRYPT, cipher, data, length_at) }
            }
            DecryptForm::WithoutAlgorithm => {
                let call = function!(self, decrypt_short, "SDF_InternalDecrypt_ECC");
                // SAFETY: as above, in the form the settings say this vendor has.
                unsafe { call(self.handle, index, cipher, data, length_at) }
            }
        };
        check(NAME, code)?;
        if length as usize != expected {
            return Err(bad);
        }
        plain.truncate(expected);
        Ok(plain)
    }
}
