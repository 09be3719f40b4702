//! The chain over a log's records, in the order they were written, and the signed checkpoints on it: what was altered, taken
//! out, put in or moved is found (GB/T 39786 level 3: integrity and non-repudiation of log records).
//!
//! `link(n) = SM3(link(n-1) ‖ n as u64, little endian ‖ SM3(payload(n)))`; `link(0) = SM3("qiao-chain-1" ‖ log id)`. Each
//! record's frame ends with its number and link, as two more fields of the record's format. A checkpoint signs one link, and with
//! it every record before.
use qiao_vault::{DEFAULT_SM2_ID, KeyHandle, Provider, PureProvider, SignatureFormat};
use serde::{Deserialize, Serialize};

use crate::LogId;

/// First byte of a checkpoint's payload; records begin with [`crate::codec::FORMAT_VERSION`].
pub(crate) const CHECKPOINT: u8 = 3;

/// Records that may be written before a checkpoint is asked for; it bounds the proof of one record.
pub(crate) const MOST_UNSIGNED: u64 = 1024;

/// Field 17 as 64-bit number and field 18 as 32 bytes, in the Protocol Buffers wire format.
const NUMBER_TAG: [u8; 2] = [0x89, 0x01];
const LINK_TAG: [u8; 3] = [0x92, 0x01, 32];
/// What a record's frame ends with.
pub(crate) const TRAILER_BYTES: usize = 2 + 8 + 3 + 32;

/// SM3 of a record's payload.
pub type Digest = [u8; 32];

/// How far a chain goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Records so far, which is also the number of the last one, from 1.
    pub records: u64,
    pub link: Digest,
}

impl Head {
    /// Before the first record of a log.
    pub fn start(log: LogId) -> Self {
        Self { records: 0, link: sm3(&[b"qiao-chain-1", &log.0]) }
    }

    /// With one more record.
    pub fn after(&self, payload: &[u8]) -> Self {
        self.after_digest(&digest(payload))
    }

    /// With one more record of which only the digest is known.
    pub fn after_digest(&self, digest: &Digest) -> Self {
        let records = self.records + 1;
        Self { records, link: sm3(&[&self.link, &records.to_le_bytes(), digest]) }
    }
}

/// What of a record enters the chain.
pub fn digest(payload: &[u8]) -> Digest {
    sm3(&[payload])
}

fn sm3(parts: &[&[u8]]) -> Digest {
    PureProvider.sm3(parts)
}

/// Writes number and link behind a record's payload.
pub(crate) fn push(out: &mut Vec<u8>, head: &Head) {
    out.extend_from_slice(&NUMBER_TAG);
    out.extend_from_slice(&head.records.to_le_bytes());
    out.extend_from_slice(&LINK_TAG);
    out.extend_from_slice(&head.link);
}

/// A record's payload and its place in the chain, or none where the frame carries no place.
pub(crate) fn split(framed: &[u8]) -> Option<(&[u8], Head)> {
    let (payload, trailer) = framed.split_last_chunk::<TRAILER_BYTES>()?;
    let rest = trailer.strip_prefix(&NUMBER_TAG)?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let link = rest.strip_prefix(&LINK_TAG)?.try_into().ok()?;
    Some((payload, Head { records: u64::from_le_bytes(*number), link }))
}

/// Signs the chain with the active version of an SM2 key.
#[derive(Clone)]
pub struct CheckpointKey(KeyHandle);

impl std::fmt::Debug for CheckpointKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CheckpointKey({})", self.0.key())
    }
}

impl CheckpointKey {
    pub fn new(key: KeyHandle) -> Self {
        Self(key)
    }

    /// Whether signing waits for a device or service.
    pub(crate) fn blocks(&self) -> bool {
        self.0.blocks()
    }

    /// Signs that the chain leads from one head to the other. Errors are the vault's: sealed, or no such key.
    pub(crate) fn sign(&self, log: LogId, from: Head, to: Head, time_us: i64) -> Result<Checkpoint, String> {
        let before = self.0.info().map_err(|error| error.to_string())?;
        let mut checkpoint = Checkpoint {
            log: log.to_string(),
            from: from.records,
            from_link: hex(&from.link),
            to: to.records,
            to_link: hex(&to.link),
            time_us,
            key: format!("vault:{}#{}", before.name, before.version),
            public_key: before.public.clone().unwrap_or_default(),
            signature: String::new(),
        };
        let signed = self.0.sign(checkpoint.text().as_bytes(), DEFAULT_SM2_ID, SignatureFormat::Raw);
        checkpoint.signature = hex(&signed.map_err(|error| error.to_string())?);
        match self.0.info() {
            Ok(after) if after.version == before.version => Ok(checkpoint),
            _ => {
                Err("the key was rotated meanwhile; the next checkpoint is signed with the new one"
                    .to_owned())
            }
        }
    }
}

/// A signed statement: this log's chain leads from one link to another. Whoever has the records can check it without the bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Checkpoint {
    /// The log, 32 hex digits.
    pub log: String,
    /// Records before the first that this checkpoint covers: those up to here are under the checkpoints before.
    pub from: u64,
    /// Hex.
    pub from_link: String,
    /// Number of the last record covered.
    pub to: u64,
    /// Hex.
    pub to_link: String,
    /// Unix time, microseconds.
    pub time_us: i64,
    /// Which key signed: `vault:audit/sign#1`.
    pub key: String,
    /// Its public half: 04, x, y in hex.
    pub public_key: String,
    /// SM2 signature r ‖ s in hex over [`Checkpoint::text`] under the id 1234567812345678.
    pub signature: String,
}

impl Checkpoint {
    /// What is signed: eight lines.
    pub fn text(&self) -> String {
        format!(
            "qiao-checkpoint-1\n{}\n{}\n{}\n{}\n{}\n{}\n{}",
            self.log, self.from, self.from_link, self.to, self.to_link, self.time_us, self.key
        )
    }

    /// Whether the signature is this public key's (x ‖ y).
    pub fn is_signed_by(&self, public: &[u8; 64]) -> bool {
        let verify = || {
            let signature: [u8; 64] = unhex(&self.signature)?;
            let z = qiao_vault::provider::sm2_z(&PureProvider, public, DEFAULT_SM2_ID).ok()?;
            let digest = sm3(&[&z, self.text().as_bytes()]);
            PureProvider.sm2_public(public).ok()?.verify_digest(&digest, &signature).ok()
        };
        verify().is_some()
    }

    /// x ‖ y of the key it says it is signed with.
    pub fn own_key(&self) -> Option<[u8; 64]> {
        unhex::<65>(&self.public_key).and_then(|key| key.strip_prefix(&[4])?.try_into().ok())
    }

    pub(crate) fn heads(&self) -> Option<(Head, Head)> {
        let from = Head { records: self.from, link: unhex(&self.from_link)? };
        Some((from, Head { records: self.to, link: unhex(&self.to_link)? }))
    }

    /// The payload of its frame.
    pub(crate) fn payload(&self) -> Vec<u8> {
        let mut payload = vec![CHECKPOINT];
        // Strings and numbers only: writing them cannot fail.
        payload.extend(serde_json::to_vec(self).unwrap_or_default());
        payload
    }

    pub(crate) fn of_payload(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload.strip_prefix(&[CHECKPOINT])?).ok()
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        use std::fmt::Write;
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use qiao_vault::{KeyKind, KeyRef, NewVersion, Purpose, Vault};

    use super::*;

    pub(crate) fn key() -> (Vault, KeyRef, CheckpointKey) {
        let vault = Vault::in_memory().expect("a vault");
        let key: KeyRef = "vault:audit/sign".parse().expect("a reference");
        vault.generate(&key, KeyKind::Sm2, Purpose::Sign).expect("generated");
        let handle = vault.key(&key);
        (vault, key, CheckpointKey::new(handle))
    }

    #[test]
    fn a_link_depends_on_every_record_before_and_on_their_order() {
        let start = Head::start(LogId([7; 16]));
        let (ab, ba) = (start.after(b"a").after(b"b"), start.after(b"b").after(b"a"));
        assert_eq!((ab.records, ba.records), (2, 2));
        assert_ne!(ab.link, ba.link);
        assert_ne!(start.link, Head::start(LogId([8; 16])).link);
        assert_ne!(start.after(b"a").link, start.after(b"a").after(b"").link);
    }

    #[test]
    fn a_records_place_is_split_off_again_and_its_payload_stays() {
        let head = Head::start(LogId([7; 16])).after(b"\x01record");
        let mut framed = b"\x01record".to_vec();
        push(&mut framed, &head);
        assert_eq!(split(&framed), Some((&b"\x01record"[..], head)));
        assert_eq!(split(b"\x01record"), None);
        assert_eq!(split(&framed[..framed.len() - 1]), None);
    }

    #[test]
    fn a_checkpoint_holds_for_its_key_alone_and_for_nothing_changed() {
        let (vault, reference, key) = key();
        let (from, to) = (Head::start(LogId([7; 16])), Head::start(LogId([7; 16])).after(b"a"));
        let signed = key.sign(LogId([7; 16]), from, to, 1_790_000_000_000_000).expect("signed");
        assert_eq!(Checkpoint::of_payload(&signed.payload()), Some(signed.clone()));
        assert_eq!(signed.heads(), Some((from, to)));
        assert!(signed.is_signed_by(&signed.own_key().expect("a key")));
        for change in [
            |c: &mut Checkpoint| c.to += 1,
            |c: &mut Checkpoint| c.from += 1,
            |c: &mut Checkpoint| c.time_us += 1,
            |c: &mut Checkpoint| c.to_link = c.from_link.clone(),
            |c: &mut Checkpoint| c.signature = c.signature.replace('0', "1"),
        ] {
            let mut changed = signed.clone();
            change(&mut changed);
            assert!(!changed.is_signed_by(&signed.own_key().expect("a key")), "{changed:?}");
        }
        vault.rotate(&reference, NewVersion::Generated).expect("rotated");
        let next = key.sign(LogId([7; 16]), from, to, 1).expect("signed");
        assert_eq!(next.key, "vault:audit/sign#2");
        assert!(!next.is_signed_by(&signed.own_key().expect("a key")));
        vault.seal();
        assert!(key.sign(LogId([7; 16]), from, to, 1).is_err());
    }
}
