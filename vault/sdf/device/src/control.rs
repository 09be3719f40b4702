//! The functions beside the standard's by which a test drives the device it loaded. `rig` calls them.
use crate::{
    contents::Contents,
    state::{self, with},
};
use std::ffi::{CStr, c_char, c_int, c_uint};

/// Fills the device from the text of a key file; 1 where the text is none.
///
/// # Safety
/// `text` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn softdevice_fill(text: *const c_char) -> c_int {
    // SAFETY: as the caller promises.
    let text = unsafe { CStr::from_ptr(text) };
    match text.to_str().ok().and_then(Contents::read) {
        Some(contents) => with(|state| {
            state.contents = Some(contents);
            0
        }),
        None => 1,
    }
}

/// 1 pulls the cable, 0 puts it back.
#[unsafe(no_mangle)]
pub extern "C" fn softdevice_unplug(out: c_int) {
    with(|state| {
        state.unplugged = out != 0;
        state.lose();
    });
}

/// 1 lets every call stand still inside the device, 0 lets them go on.
#[unsafe(no_mangle)]
pub extern "C" fn softdevice_hold(hold: c_int) {
    if hold == 0 { state::release() } else { with(|state| state.held = true) }
}

/// Lets the next calls fail with a return code.
#[unsafe(no_mangle)]
pub extern "C" fn softdevice_fail(code: c_uint, times: c_uint) {
    with(|state| state.failing = (times > 0).then_some((code, times)));
}

/// 0: sessions open. 1: most sessions open at once. 2: wrong passwords. 3: calls standing still. 4: calls so far. 5: sessions
/// opened so far.
#[unsafe(no_mangle)]
pub extern "C" fn softdevice_count(what: c_uint) -> c_uint {
    with(|state| {
        let count = match what {
            0 => state.sessions.len(),
            1 => state.counts.most_sessions,
            2 => state.counts.wrong_passwords,
            3 => state.counts.waiting,
            4 => state.counts.operations,
            5 => state.counts.opened,
            _ => 0,
        };
        count as c_uint
    })
}
