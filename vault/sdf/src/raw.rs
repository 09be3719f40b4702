//! The structures, identifiers and function table of GM/T 0018-2012 §5 and §6, exactly as C sees them. For this crate and
//! for the software device.
use std::ffi::{c_int, c_uint, c_void};

/// An opaque handle of the device's.
pub type Handle = *mut c_void;

/// `DEVICEINFO`, §5.2.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct DeviceInfo {
    pub issuer: [u8; 40],
    pub name: [u8; 16],
    pub serial: [u8; 16],
    pub device_version: c_uint,
    pub standard_version: c_uint,
    pub asymmetric: [c_uint; 2],
    pub symmetric: c_uint,
    pub hash: c_uint,
    /// Most bytes a function takes at once.
    pub buffer: c_uint,
}

/// `ECCref_MAX_LEN`: coordinates stand at the end of 64 bytes.
pub const COORDINATE: usize = 64;

/// `ECCrefPublicKey`, §5.5.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EccPublicKey {
    pub bits: c_uint,
    pub x: [u8; COORDINATE],
    pub y: [u8; COORDINATE],
}

/// `ECCSignature`, §5.7.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EccSignature {
    pub r: [u8; COORDINATE],
    pub s: [u8; COORDINATE],
}

/// `ECCCipher`, §5.6: `c` is the first of `length` bytes that follow.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EccCipher {
    pub x: [u8; COORDINATE],
    pub y: [u8; COORDINATE],
    /// C3.
    pub hash: [u8; 32],
    pub length: c_uint,
    pub c: [u8; 1],
}

// The layouts of a C compiler; a wrong one would corrupt memory.
const _: () = assert!(size_of::<c_uint>() == 4);
const _: () = assert!(size_of::<DeviceInfo>() == 100);
const _: () = assert!(size_of::<EccPublicKey>() == 132);
const _: () = assert!(size_of::<EccSignature>() == 128);
const _: () = assert!(size_of::<EccCipher>() == 168 && std::mem::offset_of!(EccCipher, c) == 164);

/// Algorithm identifiers of GM/T 0006.
pub mod algorithm {
    use std::ffi::c_uint;
    pub const SM2_SIGN: c_uint = 0x0002_0200;
    pub const SM2_ENCRYPT: c_uint = 0x0002_0800;
    pub const SM3: c_uint = 0x0000_0001;
    pub const SM4_ECB: c_uint = 0x0000_0401;
    pub const SM4_CBC: c_uint = 0x0000_0402;
    pub const SM4_MAC: c_uint = 0x0000_0410;
}

/// How a vendor declares `SDF_InternalDecrypt_ECC`, which the standard's editions treat differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DecryptForm {
    /// `(session, index, algorithm, cipher, data, length)`, the usual one.
    #[default]
    WithAlgorithm,
    /// `(session, index, cipher, data, length)`.
    WithoutAlgorithm,
}

macro_rules! interface {
    ($($name:ident: $symbol:literal ($($argument:ty),*);)*) => {
        /// The functions a library has; vendors leave some out.
        pub(crate) struct Interface {
            $(pub(crate) $name: Option<unsafe extern "C" fn($($argument),*) -> c_int>,)*
        }

        impl Interface {
            /// # Safety
            /// The library's functions of these names must have the standard's signatures.
            pub(crate) unsafe fn read(library: &libloading::Library) -> Self {
                Self {
                    $($name: {
                        // SAFETY: the caller vouches for the signatures.
                        let symbol = unsafe { library.get(concat!($symbol, "\0").as_bytes()) };
                        symbol.ok().map(
                            |symbol: libloading::Symbol<'_, unsafe extern "C" fn($($argument),*) -> c_int>| *symbol,
                        )
                    },)*
                }
            }
        }
    };
}

type Bytes = *mut u8;
type Length = *mut c_uint;
type Point = *mut EccPublicKey;
type Signature = *mut EccSignature;
type Cipher = *mut EccCipher;
type Handles = *mut Handle;

interface! {
    open_device: "SDF_OpenDevice" (Handles);
    close_device: "SDF_CloseDevice" (Handle);
    open_session: "SDF_OpenSession" (Handle, Handles);
    close_session: "SDF_CloseSession" (Handle);
    device_info: "SDF_GetDeviceInfo" (Handle, *mut DeviceInfo);
    random: "SDF_GenerateRandom" (Handle, c_uint, Bytes);
    get_access: "SDF_GetPrivateKeyAccessRight" (Handle, c_uint, Bytes, c_uint);
    release_access: "SDF_ReleasePrivateKeyAccessRight" (Handle, c_uint);
    get_kek_access: "SDF_GetKEKAccessRight" (Handle, c_uint, Bytes, c_uint);
    sign_public: "SDF_ExportSignPublicKey_ECC" (Handle, c_uint, Point);
    encrypt_public: "SDF_ExportEncPublicKey_ECC" (Handle, c_uint, Point);
    sign: "SDF_InternalSign_ECC" (Handle, c_uint, Bytes, c_uint, Signature);
    internal_verify: "SDF_InternalVerify_ECC" (Handle, c_uint, Bytes, c_uint, Signature);
    external_verify: "SDF_ExternalVerify_ECC" (Handle, c_uint, Point, Bytes, c_uint, Signature);
    external_encrypt: "SDF_ExternalEncrypt_ECC" (Handle, c_uint, Point, Bytes, c_uint, Cipher);
    decrypt: "SDF_InternalDecrypt_ECC" (Handle, c_uint, c_uint, Cipher, Bytes, Length);
    decrypt_short: "SDF_InternalDecrypt_ECC" (Handle, c_uint, Cipher, Bytes, Length);
    generate_with_pair: "SDF_GenerateKeyWithIPK_ECC" (Handle, c_uint, c_uint, Cipher, Handles);
    import_with_pair: "SDF_ImportKeyWithISK_ECC" (Handle, c_uint, Cipher, Handles);
    generate_with_kek: "SDF_GenerateKeyWithKEK" (Handle, c_uint, c_uint, c_uint, Bytes, Length, Handles);
    import_with_kek: "SDF_ImportKeyWithKEK" (Handle, c_uint, c_uint, Bytes, c_uint, Handles);
    destroy_key: "SDF_DestroyKey" (Handle, Handle);
    encrypt: "SDF_Encrypt" (Handle, Handle, c_uint, Bytes, Bytes, c_uint, Bytes, Length);
    symmetric_decrypt: "SDF_Decrypt" (Handle, Handle, c_uint, Bytes, Bytes, c_uint, Bytes, Length);
    mac: "SDF_CalculateMAC" (Handle, Handle, c_uint, Bytes, Bytes, c_uint, Bytes, Length);
    hash_init: "SDF_HashInit" (Handle, c_uint, Point, Bytes, c_uint);
    hash_update: "SDF_HashUpdate" (Handle, Bytes, c_uint);
    hash_final: "SDF_HashFinal" (Handle, Bytes, Length);
}
