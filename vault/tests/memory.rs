//! A key that was destroyed is nowhere in the process's memory. A process of its own, for it reads all of its memory.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![cfg(target_os = "linux")]
use qiao_vault::{KeyKind, KeyRef, Purpose, Vault, Zeroizing};
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
};

/// The secret's bytes, made anew each time so that no constant holds them.
fn byte(at: usize) -> u8 {
    let mixed = (at as u32 + 1).wrapping_mul(2_654_435_761).rotate_left(11);
    (mixed ^ (mixed >> 13)) as u8
}

const LENGTH: usize = 32;

/// How often the secret stands in this process's writable memory.
///
/// What is read is disguised by adding a constant, so that neither the needle nor the scan's own buffers are found; a
/// buffer that reads itself is disguised twice, which is not the needle either. Page by page, for the same reason.
fn occurrences() -> usize {
    let disguised: Vec<u8> = (0..LENGTH).map(|at| byte(at).wrapping_add(0x5b)).collect();
    let memory = File::open("/proc/self/mem").unwrap();
    let mut found = 0;
    for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") || line.contains("[v") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        let mut page = [0; 4096];
        let mut seen: Vec<u8> = Vec::new();
        for at in (start..end).step_by(page.len()) {
            if memory.read_exact_at(&mut page, at).is_err() {
                break;
            }
            page.iter_mut().for_each(|b| *b = b.wrapping_add(0x5b));
            seen.extend_from_slice(&page);
            let here = seen.windows(LENGTH).filter(|window| *window == disguised).count();
            if here > 0 {
                println!("{here} in the page at {at:x} of {line}");
            }
            found += here;
            seen.drain(..seen.len() - (LENGTH - 1));
        }
    }
    found
}

#[test]
fn a_used_and_destroyed_secret_is_nowhere_in_memory() {
    let vault = Vault::in_memory().unwrap();
    let (mac, scalar): (KeyRef, KeyRef) = ("vault:mac".parse().unwrap(), "vault:sign".parse().unwrap());
    {
        let secret = Zeroizing::new((0..LENGTH).map(byte).collect::<Vec<u8>>());
        vault.import(&mac, KeyKind::Hmac, Purpose::Mac, &secret).unwrap();
        vault.import(&scalar, KeyKind::Sm2, Purpose::Sign, &secret).unwrap();
    }
    vault.key(&mac).hmac(&[b"message"]).unwrap();
    let signature = vault.key(&scalar).sign(b"m", b"id", qiao_vault::SignatureFormat::Raw).unwrap();
    vault.key(&scalar).verify(b"m", b"id", &signature, qiao_vault::SignatureFormat::Raw).unwrap();
    assert!(occurrences() > 0, "the scan finds a key that is in use");
    for key in [&mac, &scalar] {
        vault.rotate(key, qiao_vault::NewVersion::Generated).unwrap();
        vault.retire(&key.at(1)).unwrap();
        vault.destroy(&key.at(1), None).unwrap();
    }
    assert_eq!(occurrences(), 0, "a destroyed key was left behind");
    vault.seal();
}
