//! What a device holds: pairs and key-encryption keys by index, with their passwords, from a text file.
use std::collections::BTreeMap;

/// The two pairs of one index.
#[derive(Clone)]
pub(crate) struct Pairs {
    pub(crate) password: Vec<u8>,
    pub(crate) sign: [u8; 32],
    pub(crate) encrypt: [u8; 32],
}

/// A key-encryption key.
#[derive(Clone)]
pub(crate) struct Kek {
    pub(crate) password: Vec<u8>,
    pub(crate) key: [u8; 16],
}

#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) pairs: BTreeMap<u32, Pairs>,
    pub(crate) keks: BTreeMap<u32, Kek>,
    /// Sessions open at once.
    pub(crate) sessions: usize,
    /// Most bytes one call takes.
    pub(crate) buffer: usize,
}

impl Contents {
    /// Lines of words: `sessions N`, `buffer N`, `pair INDEX PASSWORD SIGN ENCRYPT` and `kek INDEX PASSWORD KEY`, keys in
    /// hexadecimal. `None` for anything else.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut contents = Self { sessions: 64, buffer: 64 << 10, ..Self::default() };
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            match words[..] {
                [] => {}
                ["sessions", number] => contents.sessions = number.parse().ok()?,
                ["buffer", number] => contents.buffer = number.parse().ok()?,
                ["pair", index, password, sign, encrypt] => {
                    let (sign, encrypt) = (key(sign)?, key(encrypt)?);
                    let pairs = Pairs { password: password.into(), sign, encrypt };
                    contents.pairs.insert(index.parse().ok()?, pairs);
                }
                ["kek", index, password, bytes] => {
                    let kek = Kek { password: password.into(), key: key(bytes)? };
                    contents.keks.insert(index.parse().ok()?, kek);
                }
                _ => return None,
            }
        }
        Some(contents)
    }
}

fn key<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    hex::decode_to_slice(text, &mut out).ok()?;
    Some(out)
}
