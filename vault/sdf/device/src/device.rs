//! The device's functions on plain values; `interface` translates them from and to C.
use crate::{
    arithmetic,
    contents::Contents,
    state::{self, Code, Session, session, with},
};
use qiao_sdf::code::codes;
use sm3::{Digest, Sm3};

/// Which of an index's pairs.
#[derive(Clone, Copy)]
pub(crate) enum Half {
    Sign,
    Encrypt,
}

pub(crate) fn open_device() -> Result<usize, Code> {
    with(|state| {
        if state.contents.is_none() {
            let file = std::env::var_os("QIAO_SOFTDEVICE").ok_or(codes::OPEN_DEVICE)?;
            let text = std::fs::read_to_string(&file).map_err(|_| codes::OPEN_DEVICE)?;
            state.contents = Some(Contents::read(&text).ok_or(codes::OPEN_DEVICE)?);
            state.file = Some(file.into());
        }
        let handle = state.handle();
        state.devices.insert(handle);
        Ok(handle)
    })
}

pub(crate) fn close_device(handle: usize) -> Result<(), Code> {
    with(|state| if state.devices.remove(&handle) { Ok(()) } else { Err(codes::IN_ARGUMENT) })
}

pub(crate) fn open_session(device: usize) -> Result<usize, Code> {
    with(|state| {
        let contents = state.contents.as_ref().ok_or(codes::OPEN_DEVICE)?;
        if !state.devices.contains(&device) {
            return Err(codes::IN_ARGUMENT);
        }
        if state.sessions.len() >= contents.sessions {
            return Err(codes::OPEN_SESSION);
        }
        let handle = state.handle();
        state.sessions.insert(handle, Session::default());
        state.counts.opened += 1;
        state.counts.most_sessions = state.counts.most_sessions.max(state.sessions.len());
        Ok(handle)
    })
}

pub(crate) fn close_session(handle: usize) -> Result<(), Code> {
    with(|state| state.sessions.remove(&handle).map(drop).ok_or(codes::IN_ARGUMENT))
}

fn refuse_password() -> Code {
    with(|state| state.counts.wrong_passwords += 1);
    codes::PRIVATE_KEY_RIGHT
}

pub(crate) fn get_access(handle: usize, index: u32, password: &[u8]) -> Result<(), Code> {
    let right = session(handle, |contents, session| {
        let pairs = contents.pairs.get(&index).ok_or(codes::NO_KEY)?;
        let right = pairs.password == password;
        if right {
            session.rights.insert(index);
        }
        Ok(right)
    })?;
    if right { Ok(()) } else { Err(refuse_password()) }
}

pub(crate) fn get_kek_access(handle: usize, index: u32, password: &[u8]) -> Result<(), Code> {
    let right = session(handle, |contents, session| {
        let kek = contents.keks.get(&index).ok_or(codes::NO_KEY)?;
        let right = kek.password == password;
        if right {
            session.kek_rights.insert(index);
        }
        Ok(right)
    })?;
    if right { Ok(()) } else { Err(refuse_password()) }
}

pub(crate) fn release_access(handle: usize, index: u32) -> Result<(), Code> {
    session(handle, |_, session| session.rights.remove(&index).then_some(()).ok_or(codes::NO_RIGHT))
}

fn scalar(contents: &Contents, index: u32, half: Half) -> Result<[u8; 32], Code> {
    let pairs = contents.pairs.get(&index).ok_or(codes::NO_KEY)?;
    Ok(match half {
        Half::Sign => pairs.sign,
        Half::Encrypt => pairs.encrypt,
    })
}

/// A secret scalar, for a session that has the right to it.
fn private(handle: usize, index: u32, half: Half) -> Result<[u8; 32], Code> {
    session(handle, |contents, session| {
        if session.rights.contains(&index) { scalar(contents, index, half) } else { Err(codes::NO_RIGHT) }
    })
}

fn in_buffer(handle: usize, length: usize) -> Result<(), Code> {
    session(handle, |contents, _| if length <= contents.buffer { Ok(()) } else { Err(codes::IN_ARGUMENT) })
}

pub(crate) fn public(handle: usize, index: u32, half: Half) -> Result<[u8; 64], Code> {
    let scalar = session(handle, |contents, _| scalar(contents, index, half))?;
    arithmetic::public(&scalar).ok_or(codes::PUBLIC_KEY)
}

pub(crate) fn sign(handle: usize, index: u32, digest: &[u8; 32]) -> Result<[u8; 64], Code> {
    arithmetic::sign(&private(handle, index, Half::Sign)?, digest).ok_or(codes::SIGN)
}

pub(crate) fn verify(point: &[u8; 64], digest: &[u8; 32], signature: &[u8; 64]) -> Result<(), Code> {
    if arithmetic::verify(point, digest, signature) { Ok(()) } else { Err(codes::VERIFY) }
}

pub(crate) fn encrypt(handle: usize, point: &[u8; 64], plain: &[u8]) -> Result<Vec<u8>, Code> {
    in_buffer(handle, plain.len())?;
    arithmetic::encrypt(point, plain).ok_or(codes::PUBLIC_KEY)
}

pub(crate) fn decrypt(handle: usize, index: u32, cipher: &[u8]) -> Result<Vec<u8>, Code> {
    let scalar = private(handle, index, Half::Encrypt)?;
    arithmetic::decrypt(&scalar, cipher).ok_or(codes::ENCRYPTED_DATA)
}

fn fresh() -> Result<[u8; 16], Code> {
    let mut key = [0; 16];
    arithmetic::random(&mut key).ok_or(codes::RANDOM)?;
    Ok(key)
}

fn keep(handle: usize, key: [u8; 16]) -> Result<usize, Code> {
    let number = with(|state| state.handle());
    session(handle, |_, session| {
        session.keys.insert(number, key);
        Ok(number)
    })
}

pub(crate) fn generate_with_pair(handle: usize, index: u32) -> Result<(Vec<u8>, usize), Code> {
    let (point, key) = (public(handle, index, Half::Encrypt)?, fresh()?);
    let wrapped = arithmetic::encrypt(&point, &key).ok_or(codes::PUBLIC_KEY)?;
    Ok((wrapped, keep(handle, key)?))
}

pub(crate) fn import_with_pair(handle: usize, index: u32, wrapped: &[u8]) -> Result<usize, Code> {
    let key = decrypt(handle, index, wrapped)?;
    keep(handle, key.try_into().map_err(|_| codes::KEY)?)
}

fn kek(handle: usize, index: u32) -> Result<[u8; 16], Code> {
    session(handle, |contents, session| {
        let kek = contents.keks.get(&index).ok_or(codes::NO_KEY)?;
        if session.kek_rights.contains(&index) { Ok(kek.key) } else { Err(codes::NO_RIGHT) }
    })
}

pub(crate) fn generate_with_kek(handle: usize, index: u32) -> Result<(Vec<u8>, usize), Code> {
    let (kek, key) = (kek(handle, index)?, fresh()?);
    let wrapped = arithmetic::blocks(&kek, true, None, &key).ok_or(codes::SYMMETRIC)?;
    Ok((wrapped, keep(handle, key)?))
}

pub(crate) fn import_with_kek(handle: usize, index: u32, wrapped: &[u8]) -> Result<usize, Code> {
    let kek = kek(handle, index)?;
    let key = arithmetic::blocks(&kek, false, None, wrapped).ok_or(codes::KEY)?;
    keep(handle, key.try_into().map_err(|_| codes::KEY)?)
}

pub(crate) fn destroy(handle: usize, key: usize) -> Result<(), Code> {
    session(handle, |_, session| session.keys.remove(&key).map(drop).ok_or(codes::KEY))
}

pub(crate) fn cipher(
    handle: usize,
    key: usize,
    encrypt: bool,
    iv: Option<[u8; 16]>,
    data: &[u8],
) -> Result<Vec<u8>, Code> {
    in_buffer(handle, data.len())?;
    let key = session(handle, |_, session| session.keys.get(&key).copied().ok_or(codes::KEY))?;
    arithmetic::blocks(&key, encrypt, iv, data).ok_or(codes::SYMMETRIC)
}

pub(crate) fn mac(handle: usize, key: usize, iv: [u8; 16], data: &[u8]) -> Result<[u8; 16], Code> {
    let out = cipher(handle, key, true, Some(iv), data)?;
    out.last_chunk().copied().ok_or(codes::IN_ARGUMENT)
}

pub(crate) fn hash_start(handle: usize) -> Result<(), Code> {
    session(handle, |_, session| {
        session.hash = Some(Sm3::new());
        Ok(())
    })
}

pub(crate) fn hash_add(handle: usize, data: &[u8]) -> Result<(), Code> {
    session(handle, |_, session| {
        session.hash.as_mut().ok_or(codes::STEP)?.update(data);
        Ok(())
    })
}

pub(crate) fn hash_end(handle: usize) -> Result<[u8; 32], Code> {
    session(handle, |_, session| Ok(session.hash.take().ok_or(codes::STEP)?.finalize().into()))
}

/// Runs one function between the state's `begin` and `finish`.
pub(crate) fn guarded<T>(run: impl FnOnce() -> Result<T, Code>) -> Result<T, Code> {
    let generation = state::begin()?;
    let result = run();
    state::finish(generation)?;
    result
}
