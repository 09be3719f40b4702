//! The device's inside: what it holds, who is connected, and what it was told to do wrong. One per loaded copy of the library.
use crate::contents::Contents;
use parking_lot::{Condvar, Mutex};
use qiao_sdf::code::codes;
use sm3::Sm3;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

/// A return code that is not 0.
pub(crate) type Code = u32;

#[derive(Default)]
pub(crate) struct State {
    pub(crate) contents: Option<Contents>,
    /// The key file, where the environment named it.
    pub(crate) file: Option<PathBuf>,
    pub(crate) devices: BTreeSet<usize>,
    pub(crate) sessions: BTreeMap<usize, Session>,
    last_handle: usize,
    pub(crate) unplugged: bool,
    /// Rises whenever the device goes, so that what was under way then fails.
    pub(crate) generation: u64,
    /// Calls wait inside the device.
    pub(crate) held: bool,
    /// Return this code, so many times.
    pub(crate) failing: Option<(Code, u32)>,
    pub(crate) counts: Counts,
}

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) most_sessions: usize,
    pub(crate) wrong_passwords: usize,
    pub(crate) waiting: usize,
    pub(crate) operations: usize,
    pub(crate) opened: usize,
}

#[derive(Default)]
pub(crate) struct Session {
    pub(crate) rights: BTreeSet<u32>,
    pub(crate) kek_rights: BTreeSet<u32>,
    pub(crate) keys: BTreeMap<usize, [u8; 16]>,
    pub(crate) hash: Option<Sm3>,
}

static STATE: Mutex<Option<Box<State>>> = Mutex::new(None);
static RELEASED: Condvar = Condvar::new();

/// The longest a held call waits, should its test forget it.
const HELD: Duration = Duration::from_secs(60);

/// Looks at or changes the state; short.
pub(crate) fn with<T>(run: impl FnOnce(&mut State) -> T) -> T {
    run(STATE.lock().get_or_insert_default())
}

/// Wakes the calls that are held.
pub(crate) fn release() {
    with(|state| state.held = false);
    RELEASED.notify_all();
}

impl State {
    pub(crate) fn handle(&mut self) -> usize {
        self.last_handle += 1;
        self.last_handle
    }

    /// All connections are lost, as when a cable is pulled.
    pub(crate) fn lose(&mut self) {
        self.generation += 1;
        self.devices.clear();
        self.sessions.clear();
    }

    fn look(&mut self) -> Result<(), Code> {
        if let Some(file) = &self.file {
            let unplugged = file.with_added_extension("unplugged").exists();
            if unplugged && !self.unplugged {
                self.lose();
            }
            self.unplugged = unplugged;
        }
        if self.unplugged {
            return Err(codes::COMMUNICATION);
        }
        if let Some((code, times)) = self.failing {
            self.failing = (times > 1).then(|| (code, times - 1));
            return Err(code);
        }
        Ok(())
    }
}

/// What every function does first: stand still while held, then fail as told. Gives the generation to finish in.
pub(crate) fn begin() -> Result<u64, Code> {
    let mut guard = STATE.lock();
    if guard.as_ref().is_some_and(|state| state.held) {
        guard.get_or_insert_default().counts.waiting += 1;
        RELEASED.wait_while_for(&mut guard, |state| state.as_ref().is_some_and(|state| state.held), HELD);
        guard.get_or_insert_default().counts.waiting -= 1;
    }
    let state = guard.get_or_insert_default();
    state.look()?;
    state.counts.operations += 1;
    Ok(state.generation)
}

/// What every function does last: nothing comes out of a device that went meanwhile.
pub(crate) fn finish(generation: u64) -> Result<(), Code> {
    with(|state| {
        state.look()?;
        if state.generation == generation { Ok(()) } else { Err(codes::COMMUNICATION) }
    })
}

/// A session by its handle; one that is lost or was never there is a wrong argument.
pub(crate) fn session<T>(
    handle: usize,
    run: impl FnOnce(&Contents, &mut Session) -> Result<T, Code>,
) -> Result<T, Code> {
    with(|state| {
        let session = state.sessions.get_mut(&handle).ok_or(codes::IN_ARGUMENT)?;
        let contents = state.contents.as_ref().ok_or(codes::HARDWARE)?;
        run(contents, session)
    })
}
