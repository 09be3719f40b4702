//! Frames inside a segment: written around a payload, found again, and found again behind damage.
use std::ops::Range;

use crate::{chain::TRAILER_BYTES, codec};

/// The longest payload of a frame: a record with its place in the chain.
const MAX_PAYLOAD_BYTES: usize = codec::MAX_PAYLOAD_BYTES + TRAILER_BYTES;

/// Length and checksum before each payload.
pub const FRAME_HEAD_BYTES: usize = 8;

/// The longest frame.
pub const MAX_FRAME_BYTES: usize = FRAME_HEAD_BYTES + MAX_PAYLOAD_BYTES;

/// Leaves room for the head of a frame whose payload is about to be appended; give the result to [`finish`].
pub fn begin(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD_BYTES]);
    at
}

/// Fills in only the length of what was begun at `at`: it waits in memory for its place in the chain. See [`waiting`].
pub fn set_length(out: &mut [u8], at: usize) {
    let length = (out.len() - at - FRAME_HEAD_BYTES) as u32;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// The payloads that wait in memory, in order.
pub fn waiting(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (head, behind) = rest.split_first_chunk::<FRAME_HEAD_BYTES>()?;
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let (payload, next) = behind.split_at_checked(length)?;
        rest = next;
        Some(payload)
    })
}

/// Fills in length and checksum of the frame begun at `at`.
pub fn finish(out: &mut [u8], at: usize) {
    let length = (out.len() - at - FRAME_HEAD_BYTES) as u32;
    let length = length.to_le_bytes();
    let sum = checksum(length, &out[at + FRAME_HEAD_BYTES..]);
    out[at..at + 4].copy_from_slice(&length);
    out[at + 4..at + FRAME_HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
}

/// The length is under the checksum too: a flipped length cannot pass for a shorter record.
fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}

/// What stands at a place in the bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A whole, valid frame with its payload; the next one begins at the range's end.
    Frame(Range<usize>),
    /// The bytes end before the frame does; it needs this many bytes from its start.
    Short(usize),
    /// No frame begins here.
    Damaged,
}

/// Reads the frame that begins at `at`.
pub fn read(bytes: &[u8], at: usize) -> Found {
    let Some(head) = bytes.get(at..at + FRAME_HEAD_BYTES) else { return Found::Short(FRAME_HEAD_BYTES) };
    let length = [head[0], head[1], head[2], head[3]];
    let size = u32::from_le_bytes(length) as usize;
    if size == 0 || size > MAX_PAYLOAD_BYTES {
        return Found::Damaged;
    }
    let start = at + FRAME_HEAD_BYTES;
    let Some(payload) = bytes.get(start..start + size) else { return Found::Short(FRAME_HEAD_BYTES + size) };
    let sum = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    if checksum(length, payload) == sum { Found::Frame(start..start + size) } else { Found::Damaged }
}

/// Where the next valid frame after `at` begins, or none. Slow; only walked behind damage.
pub fn resync(bytes: &[u8], at: usize) -> Option<usize> {
    (at + 1..bytes.len().saturating_sub(FRAME_HEAD_BYTES))
        .find(|&at| matches!(read(bytes, at), Found::Frame(_)))
}

/// What a walk over a whole segment found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scan {
    pub records: u64,
    /// End of the last valid frame; what stands behind it is a torn tail.
    pub valid_end: usize,
    /// Stretches without a valid frame that have valid frames behind them.
    pub damaged: Vec<Range<usize>>,
}

/// Shows every valid payload from `start` on, past damage.
pub fn walk(bytes: &[u8], start: usize, mut show: impl FnMut(&[u8])) {
    let mut at = start;
    while at < bytes.len() {
        if let Found::Frame(payload) = read(bytes, at) {
            at = payload.end;
            show(&bytes[payload]);
        } else {
            let Some(next) = resync(bytes, at) else { break };
            at = next;
        }
    }
}

/// Walks all frames from `start`.
pub fn scan(bytes: &[u8], start: usize) -> Scan {
    let mut scan = Scan { valid_end: start, ..Scan::default() };
    let mut at = start;
    while at < bytes.len() {
        if let Found::Frame(payload) = read(bytes, at) {
            scan.records += 1;
            at = payload.end;
            scan.valid_end = at;
        } else {
            let Some(next) = resync(bytes, at) else { break };
            scan.damaged.push(at..next);
            at = next;
        }
    }
    scan
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(payloads: &[&[u8]]) -> (Vec<u8>, Vec<usize>) {
        let (mut out, mut starts) = (Vec::new(), Vec::new());
        for payload in payloads {
            let at = begin(&mut out);
            out.extend_from_slice(payload);
            finish(&mut out, at);
            starts.push(at);
        }
        (out, starts)
    }

    #[test]
    fn frames_read_back_one_after_another() {
        let (bytes, starts) = frames(&[b"one", b"second", b"3"]);
        assert_eq!(read(&bytes, starts[1]), Found::Frame(starts[1] + 8..starts[1] + 14));
        assert_eq!(scan(&bytes, 0), Scan { records: 3, valid_end: bytes.len(), damaged: Vec::new() });
    }

    #[test]
    fn a_tail_torn_at_any_byte_leaves_the_frames_before_it() {
        let (bytes, starts) = frames(&[b"one", b"second", b"the last record"]);
        for cut in starts[2]..bytes.len() {
            let scan = scan(&bytes[..cut], 0);
            assert_eq!((scan.records, scan.valid_end), (2, starts[2]), "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_loses_its_own_frame_only() {
        let (bytes, starts) = frames(&[b"one", b"second", b"third"]);
        for bit in starts[1] * 8..starts[2] * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let scan = scan(&bad, 0);
            assert_eq!((scan.records, scan.valid_end), (2, bytes.len()), "bit {bit}");
            assert_eq!(scan.damaged.len(), 1, "bit {bit}");
            assert_eq!(scan.damaged[0], starts[1]..starts[2], "bit {bit}");
        }
    }

    #[test]
    fn zeros_are_no_frames() {
        assert_eq!(scan(&[0; 100], 0), Scan::default());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_scanned_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(scan(&bytes, 0).valid_end <= bytes.len());
        }
    }
}
