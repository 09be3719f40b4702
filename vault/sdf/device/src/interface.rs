//! The C functions of GM/T 0018: pointers in, pointers out, and nothing decided here.
#![allow(non_snake_case, reason = "the standard's names")]
// SAFETY of every function here: the caller keeps to GM/T 0018, so that pointers are null or lead to as many bytes as the
// lengths beside them say, and structures have the standard's layout.
use crate::{
    arithmetic,
    device::{self, Half, guarded},
    state::Code,
};
use qiao_sdf::{
    CipherBuffer,
    code::codes,
    raw::{DeviceInfo, EccCipher, EccPublicKey, EccSignature, Handle, algorithm},
};
use std::ffi::{c_int, c_uint};

/// The bytes of a C argument.
///
/// # Safety
/// `data` is null or leads to `length` bytes that live during the call.
unsafe fn input<'a>(data: *const u8, length: c_uint) -> Result<&'a [u8], Code> {
    match (data.is_null(), length) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(codes::IN_ARGUMENT),
        // SAFETY: as the caller promises.
        (false, length) => Ok(unsafe { std::slice::from_raw_parts(data, length as usize) }),
    }
}

/// Writes a result of any length and its length.
///
/// # Safety
/// `length` is null or leads to the room at `out`, which is null or holds as many bytes.
unsafe fn output(out: *mut u8, length: *mut c_uint, bytes: &[u8]) -> Result<(), Code> {
    if out.is_null() || length.is_null() {
        return Err(codes::OUT_ARGUMENT);
    }
    // SAFETY: as the caller promises.
    unsafe {
        if (*length as usize) < bytes.len() {
            return Err(codes::OUT_ARGUMENT);
        }
        out.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        *length = bytes.len() as c_uint;
    }
    Ok(())
}

/// Writes one value.
///
/// # Safety
/// `place` is null or leads to a value of this type.
unsafe fn put<T>(place: *mut T, value: T) -> Result<(), Code> {
    if place.is_null() {
        return Err(codes::OUT_ARGUMENT);
    }
    // SAFETY: as the caller promises.
    unsafe { place.write(value) };
    Ok(())
}

/// Reads one value.
///
/// # Safety
/// `place` is null or leads to a value of this type.
unsafe fn get<T: Copy>(place: *const T) -> Result<T, Code> {
    // SAFETY: as the caller promises.
    if place.is_null() { Err(codes::IN_ARGUMENT) } else { Ok(unsafe { place.read() }) }
}

/// x1 ‖ y1 ‖ C3 ‖ C2 of a C ciphertext.
///
/// # Safety
/// `cipher` is null or leads to a ciphertext with `length` bytes behind its head.
unsafe fn cipher_in(cipher: *const EccCipher) -> Result<Vec<u8>, Code> {
    // SAFETY: as the caller promises.
    let head = unsafe { get(cipher) }?;
    let point = EccPublicKey { bits: 256, x: head.x, y: head.y }.point().ok_or(codes::ENCRYPTED_DATA)?;
    // SAFETY: as the caller promises.
    let c2 = unsafe { input(&raw const (*cipher).c as *const u8, head.length) }?;
    Ok([&point[..], &head.hash, c2].concat())
}

/// # Safety
/// `place` is null or has room for the ciphertext.
unsafe fn cipher_out(place: *mut EccCipher, cipher: &[u8]) -> Result<(), Code> {
    let mut buffer = CipherBuffer::from_raw(cipher).ok_or(codes::ENCRYPTED_DATA)?;
    if place.is_null() {
        return Err(codes::OUT_ARGUMENT);
    }
    let length = std::mem::offset_of!(EccCipher, c) + cipher.len() - 96;
    // SAFETY: as the caller promises; the buffer holds at least this much.
    unsafe { place.cast::<u8>().copy_from_nonoverlapping(buffer.as_mut_ptr().cast(), length) };
    Ok(())
}

fn code(result: Result<(), Code>) -> c_int {
    result.err().unwrap_or(0).cast_signed()
}

fn handle(number: usize) -> Handle {
    // Handles are numbers, never followed.
    std::ptr::without_provenance_mut(number)
}

/// Declares exported functions: the body runs between the state's `begin` and `finish`.
macro_rules! exported {
    ($(fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block)*) => {
        $(
            /// The function of this name in GM/T 0018.
            ///
            /// # Safety
            /// Pointers are as the standard says.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($argument: $type),*) -> c_int {
                code(guarded(|| $body))
            }
        )*
    };
}

exported! {
    fn SDF_OpenDevice(device: *mut Handle) {
        let number = device::open_device()?;
        // SAFETY: see the head of this file; so for every block below.
        unsafe { put(device, handle(number)) }
    }

    fn SDF_CloseDevice(device: Handle) {
        device::close_device(device.addr())
    }

    fn SDF_OpenSession(device: Handle, session: *mut Handle) {
        let number = device::open_session(device.addr())?;
        // SAFETY: see the head of this file.
        unsafe { put(session, handle(number)) }
    }

    fn SDF_CloseSession(session: Handle) {
        device::close_session(session.addr())
    }

    fn SDF_GetDeviceInfo(session: Handle, info: *mut DeviceInfo) {
        let buffer = crate::state::session(session.addr(), |contents, _| Ok(contents.buffer as c_uint))?;
        // SAFETY: see the head of this file.
        unsafe { put(info, facts(buffer)) }
    }

    fn SDF_GenerateRandom(_session: Handle, length: c_uint, out: *mut u8) {
        let mut bytes = vec![0; length as usize];
        arithmetic::random(&mut bytes).ok_or(codes::RANDOM)?;
        let mut room = length;
        // SAFETY: see the head of this file.
        unsafe { output(out, &raw mut room, &bytes) }
    }

    fn SDF_GetPrivateKeyAccessRight(session: Handle, index: c_uint, password: *mut u8, length: c_uint) {
        // SAFETY: see the head of this file.
        device::get_access(session.addr(), index, unsafe { input(password, length) }?)
    }

    fn SDF_ReleasePrivateKeyAccessRight(session: Handle, index: c_uint) {
        device::release_access(session.addr(), index)
    }

    fn SDF_GetKEKAccessRight(session: Handle, index: c_uint, password: *mut u8, length: c_uint) {
        // SAFETY: see the head of this file.
        device::get_kek_access(session.addr(), index, unsafe { input(password, length) }?)
    }

    fn SDF_ExportSignPublicKey_ECC(session: Handle, index: c_uint, key: *mut EccPublicKey) {
        let point = device::public(session.addr(), index, Half::Sign)?;
        // SAFETY: see the head of this file.
        unsafe { put(key, EccPublicKey::from_point(&point)) }
    }

    fn SDF_ExportEncPublicKey_ECC(session: Handle, index: c_uint, key: *mut EccPublicKey) {
        let point = device::public(session.addr(), index, Half::Encrypt)?;
        // SAFETY: see the head of this file.
        unsafe { put(key, EccPublicKey::from_point(&point)) }
    }

    fn SDF_InternalSign_ECC(
        session: Handle, index: c_uint, data: *mut u8, length: c_uint, signature: *mut EccSignature,
    ) {
        // SAFETY: see the head of this file.
        let digest = unsafe { input(data, length) }?.try_into().map_err(|_| codes::IN_ARGUMENT)?;
        let made = device::sign(session.addr(), index, digest)?;
        // SAFETY: see the head of this file.
        unsafe { put(signature, EccSignature::from_raw(&made)) }
    }

    fn SDF_InternalVerify_ECC(
        session: Handle, index: c_uint, data: *mut u8, length: c_uint, signature: *mut EccSignature,
    ) {
        let point = device::public(session.addr(), index, Half::Sign)?;
        // SAFETY: see the head of this file.
        let digest = unsafe { input(data, length) }?.try_into().map_err(|_| codes::IN_ARGUMENT)?;
        // SAFETY: see the head of this file.
        let signature = unsafe { get(signature) }?.raw().ok_or(codes::VERIFY)?;
        device::verify(&point, digest, &signature)
    }

    fn SDF_ExternalVerify_ECC(
        _session: Handle, id: c_uint, key: *mut EccPublicKey, data: *mut u8, length: c_uint,
        signature: *mut EccSignature,
    ) {
        if id != algorithm::SM2_SIGN {
            return Err(codes::NO_ALGORITHM);
        }
        // SAFETY: see the head of this file.
        let point = unsafe { get(key) }?.point().ok_or(codes::PUBLIC_KEY)?;
        // SAFETY: see the head of this file.
        let digest = unsafe { input(data, length) }?.try_into().map_err(|_| codes::IN_ARGUMENT)?;
        // SAFETY: see the head of this file.
        let signature = unsafe { get(signature) }?.raw().ok_or(codes::VERIFY)?;
        device::verify(&point, digest, &signature)
    }

    fn SDF_ExternalEncrypt_ECC(
        session: Handle, id: c_uint, key: *mut EccPublicKey, data: *mut u8, length: c_uint,
        cipher: *mut EccCipher,
    ) {
        if id != algorithm::SM2_ENCRYPT {
            return Err(codes::NO_ALGORITHM);
        }
        // SAFETY: see the head of this file.
        let point = unsafe { get(key) }?.point().ok_or(codes::PUBLIC_KEY)?;
        // SAFETY: see the head of this file.
        let made = device::encrypt(session.addr(), &point, unsafe { input(data, length) }?)?;
        // SAFETY: see the head of this file.
        unsafe { cipher_out(cipher, &made) }
    }

    fn SDF_InternalDecrypt_ECC(
        session: Handle, index: c_uint, id: c_uint, cipher: *mut EccCipher, out: *mut u8, length: *mut c_uint,
    ) {
        if id != algorithm::SM2_ENCRYPT {
            return Err(codes::NO_ALGORITHM);
        }
        // SAFETY: see the head of this file.
        let plain = device::decrypt(session.addr(), index, &unsafe { cipher_in(cipher) }?)?;
        // SAFETY: see the head of this file.
        unsafe { output(out, length, &plain) }
    }

    fn SDF_GenerateKeyWithIPK_ECC(
        session: Handle, index: c_uint, bits: c_uint, wrapped: *mut EccCipher, key: *mut Handle,
    ) {
        if bits != 128 {
            return Err(codes::IN_ARGUMENT);
        }
        let (made, number) = device::generate_with_pair(session.addr(), index)?;
        // SAFETY: see the head of this file.
        unsafe { cipher_out(wrapped, &made).and(put(key, handle(number))) }
    }

    fn SDF_ImportKeyWithISK_ECC(
        session: Handle, index: c_uint, wrapped: *mut EccCipher, key: *mut Handle,
    ) {
        // SAFETY: see the head of this file.
        let number = device::import_with_pair(session.addr(), index, &unsafe { cipher_in(wrapped) }?)?;
        // SAFETY: see the head of this file.
        unsafe { put(key, handle(number)) }
    }

    fn SDF_GenerateKeyWithKEK(
        session: Handle, bits: c_uint, id: c_uint, index: c_uint, wrapped: *mut u8, length: *mut c_uint,
        key: *mut Handle,
    ) {
        if bits != 128 || id != algorithm::SM4_ECB {
            return Err(codes::NO_ALGORITHM);
        }
        let (made, number) = device::generate_with_kek(session.addr(), index)?;
        // SAFETY: see the head of this file.
        unsafe { output(wrapped, length, &made).and(put(key, handle(number))) }
    }

    fn SDF_ImportKeyWithKEK(
        session: Handle, id: c_uint, index: c_uint, wrapped: *mut u8, length: c_uint, key: *mut Handle,
    ) {
        if id != algorithm::SM4_ECB {
            return Err(codes::NO_ALGORITHM);
        }
        // SAFETY: see the head of this file.
        let number = device::import_with_kek(session.addr(), index, unsafe { input(wrapped, length) }?)?;
        // SAFETY: see the head of this file.
        unsafe { put(key, handle(number)) }
    }

    fn SDF_DestroyKey(session: Handle, key: Handle) {
        device::destroy(session.addr(), key.addr())
    }

    fn SDF_Encrypt(
        session: Handle, key: Handle, id: c_uint, iv: *mut u8, data: *mut u8, length: c_uint, out: *mut u8,
        written: *mut c_uint,
    ) {
        // SAFETY: see the head of this file.
        let made = unsafe { cipher(session, key, true, id, iv, data, length) }?;
        // SAFETY: see the head of this file.
        unsafe { output(out, written, &made) }
    }

    fn SDF_Decrypt(
        session: Handle, key: Handle, id: c_uint, iv: *mut u8, data: *mut u8, length: c_uint, out: *mut u8,
        written: *mut c_uint,
    ) {
        // SAFETY: see the head of this file.
        let made = unsafe { cipher(session, key, false, id, iv, data, length) }?;
        // SAFETY: see the head of this file.
        unsafe { output(out, written, &made) }
    }

    fn SDF_CalculateMAC(
        session: Handle, key: Handle, id: c_uint, iv: *mut u8, data: *mut u8, length: c_uint, out: *mut u8,
        written: *mut c_uint,
    ) {
        if id != algorithm::SM4_MAC {
            return Err(codes::NO_MODE);
        }
        // SAFETY: see the head of this file.
        let (iv, data) = unsafe { (get(iv.cast::<[u8; 16]>())?, input(data, length)?) };
        let mac = device::mac(session.addr(), key.addr(), iv, data)?;
        // SAFETY: see the head of this file.
        unsafe { output(out, written, &mac) }
    }

    fn SDF_HashInit(
        session: Handle, id: c_uint, key: *mut EccPublicKey, _user: *mut u8, _length: c_uint,
    ) {
        // With a public key the standard's function would hash Z first; the vault does that itself.
        if id != algorithm::SM3 || !key.is_null() {
            return Err(codes::NO_ALGORITHM);
        }
        device::hash_start(session.addr())
    }

    fn SDF_HashUpdate(session: Handle, data: *mut u8, length: c_uint) {
        // SAFETY: see the head of this file.
        device::hash_add(session.addr(), unsafe { input(data, length) }?)
    }

    fn SDF_HashFinal(session: Handle, out: *mut u8, length: *mut c_uint) {
        let digest = device::hash_end(session.addr())?;
        // SAFETY: see the head of this file.
        unsafe { output(out, length, &digest) }
    }
}

/// # Safety
/// See the head of this file.
unsafe fn cipher(
    session: Handle,
    key: Handle,
    encrypt: bool,
    id: c_uint,
    iv: *mut u8,
    data: *mut u8,
    length: c_uint,
) -> Result<Vec<u8>, Code> {
    // SAFETY: as the caller promises.
    let data = unsafe { input(data, length) }?;
    let iv = match id {
        algorithm::SM4_ECB => None,
        // SAFETY: as the caller promises; an IV has 16 bytes.
        algorithm::SM4_CBC => Some(unsafe { get(iv.cast::<[u8; 16]>()) }?),
        _ => return Err(codes::NO_MODE),
    };
    device::cipher(session.addr(), key.addr(), encrypt, iv, data)
}

fn facts(buffer: c_uint) -> DeviceInfo {
    fn padded<const N: usize>(text: &str) -> [u8; N] {
        let mut out = [b' '; N];
        out[..text.len()].copy_from_slice(text.as_bytes());
        out
    }
    DeviceInfo {
        issuer: padded("Qiao"),
        name: padded("softdevice"),
        serial: padded("1"),
        device_version: 1,
        standard_version: 1,
        asymmetric: [algorithm::SM2_SIGN | algorithm::SM2_ENCRYPT, 256],
        symmetric: algorithm::SM4_ECB | algorithm::SM4_CBC | algorithm::SM4_MAC,
        hash: algorithm::SM3,
        buffer,
    }
}
