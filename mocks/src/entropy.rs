//! Random values that do not depend on order: each is a hash of the seed, the session, the partner, the stub, the
//! business key and its count, so that concurrency cannot change an answer.
use std::sync::atomic::{AtomicU64, Ordering};

/// The random values of one answer. The nth draw is the same whenever the same request is the same nth of its key.
#[derive(Debug)]
pub struct Entropy {
    base: u64,
    drawn: AtomicU64,
}

impl Entropy {
    /// Values for the parts that name one answer.
    pub fn of(seed: u64, parts: &[&[u8]], count: u64) -> Self {
        let mut hash = Fnv::new();
        hash.write(&seed.to_le_bytes());
        for part in parts {
            hash.write(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.write(part);
        }
        hash.write(&count.to_le_bytes());
        Self { base: hash.finish(), drawn: AtomicU64::new(0) }
    }

    /// The next 64 bits.
    pub fn draw(&self) -> u64 {
        let n = self.drawn.fetch_add(1, Ordering::Relaxed);
        mix(self.base.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    /// A whole number from `low` to `high`, both included; `low` where the range is empty.
    pub fn between(&self, low: i64, high: i64) -> i64 {
        let span = high.abs_diff(low);
        if high <= low {
            return low;
        }
        let offset = if span == u64::MAX { self.draw() } else { self.draw() % (span + 1) };
        low.wrapping_add_unsigned(offset)
    }

    /// An index below `len`; 0 for an empty list.
    pub fn index(&self, len: usize) -> usize {
        let len = u64::try_from(len).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.draw() % len).unwrap_or(0)
    }

    /// A number in 0..1 that is drawn for `purpose` apart from the other draws.
    pub fn chance(&self, purpose: &str) -> f64 {
        let mut hash = Fnv::new();
        hash.write(&self.base.to_le_bytes());
        hash.write(purpose.as_bytes());
        // 53 bits fill a double's mantissa exactly.
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
        let chance = (mix(hash.finish()) >> 11) as f64 / (1_u64 << 53) as f64;
        chance
    }
}

/// FNV-1a, 64 bits: stable over versions, unlike the standard hasher.
#[derive(Debug)]
pub struct Fnv(u64);

impl Fnv {
    pub fn new() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }

    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }

    pub fn finish(&self) -> u64 {
        self.0
    }

    /// The hash of one piece.
    pub fn hash(bytes: &[u8]) -> u64 {
        let mut hash = Self::new();
        hash.write(bytes);
        hash.finish()
    }
}

/// The finalizer of splitmix64: spreads every input bit over the whole word.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_fnv_1a() {
        assert_eq!(Fnv::hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Fnv::hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Fnv::hash(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_same_answer_draws_the_same_values_and_another_count_others() {
        let draws = |count| {
            let entropy = Entropy::of(7, &[b"ems", b"create", b"key"], count);
            (0..8).map(|_| entropy.draw()).collect::<Vec<_>>()
        };
        assert_eq!(draws(1), draws(1));
        assert!(draws(1).iter().all(|word| !draws(2).contains(word)));
    }

    #[test]
    fn parts_do_not_run_into_one_another() {
        let draw = |parts: &[&[u8]]| Entropy::of(0, parts, 0).draw();
        assert_ne!(draw(&[b"ab", b"c"]), draw(&[b"a", b"bc"]));
    }

    #[test]
    fn chances_spread_over_the_unit_interval() {
        let below = (0..10_000).filter(|n| Entropy::of(1, &[b"x"], *n).chance("f") < 0.3).count();
        assert!((2_800..3_200).contains(&below), "{below}");
    }
}
