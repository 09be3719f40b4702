//! MsgID, the gateway's name of a message (SMGP 3.0 §6.2.26).

use crate::error::WireError;
use crate::layout::{Field, Reader};
use crate::stamp::Stamp;
use serde_json::Value;
use std::fmt;

/// Ten bytes of binary coded decimals: gateway 3, MMDDHHMM 4, sequence 3. Shown as 20 hex digits, which are the
/// decimal ones. Bytes that are no decimals are kept: some gateways count in binary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MsgId(pub [u8; 10]);

/// What a [`MsgId`] is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MsgIdParts {
    /// The gateway's code, six digits.
    pub gateway: u32,
    /// When the gateway made it; its seconds are not sent and read as 0.
    pub time: Stamp,
    /// Counts up to 999 999 and wraps.
    pub sequence: u32,
}

/// The value of binary coded decimals; `None` when a half-byte is above 9.
fn from_bcd(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0u32, |number, byte| {
        let (high, low) = (byte >> 4, byte & 0x0F);
        (high <= 9 && low <= 9).then(|| number * 100 + u32::from(high * 10 + low))
    })
}

/// Writes a number as binary coded decimals; its digits beyond the room are checked by the caller.
fn to_bcd(mut number: u32, bytes: &mut [u8]) {
    for byte in bytes.iter_mut().rev() {
        // below 100
        let pair = (number % 100) as u8;
        *byte = ((pair / 10) << 4) | (pair % 10);
        number /= 100;
    }
}

impl MsgId {
    /// Puts the parts together, without the seconds.
    ///
    /// # Errors
    /// A gateway code or sequence above six digits.
    pub fn pack(parts: MsgIdParts) -> Result<MsgId, WireError> {
        if parts.gateway > 999_999 || parts.sequence > 999_999 {
            return Err(WireError::Value {
                field: "MsgID",
                reason: "gateway and sequence have six digits each",
            });
        }
        let mut id = [0; 10];
        to_bcd(parts.gateway, &mut id[..3]);
        to_bcd(parts.time.digits() / 100, &mut id[3..7]);
        to_bcd(parts.sequence, &mut id[7..]);
        Ok(MsgId(id))
    }

    /// Takes it apart; `None` when it holds no decimals or no time.
    pub fn unpack(self) -> Option<MsgIdParts> {
        let time = Stamp::from_digits(from_bcd(&self.0[3..7])?.checked_mul(100)?)?;
        Some(MsgIdParts { gateway: from_bcd(&self.0[..3])?, time, sequence: from_bcd(&self.0[7..])? })
    }
}

impl fmt::Display for MsgId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex::encode(self.0))
    }
}

impl<V> Field<V> for MsgId {
    fn read(input: &mut Reader<'_>, _: V, name: &'static str) -> Result<Self, WireError> {
        input.array(name).map(MsgId)
    }

    fn write(&self, output: &mut Vec<u8>, _: V, _: &'static str) -> Result<(), WireError> {
        output.extend_from_slice(&self.0);
        Ok(())
    }

    fn shown(&self) -> Value {
        Value::from(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packs_the_example_of_the_document() {
        let time = Stamp::new(1, 16, 17, 0, 0).expect("a time");
        let parts = MsgIdParts { gateway: 10_061, time, sequence: 12_345 };
        let id = MsgId::pack(parts).expect("six digits");
        assert_eq!(id.to_string(), "01006101161700012345");
        assert_eq!(id.unpack(), Some(parts));
    }

    #[test]
    fn refuses_a_sequence_of_seven_digits_and_keeps_binary_ids() {
        let time = Stamp::new(1, 16, 17, 0, 0).expect("a time");
        assert!(MsgId::pack(MsgIdParts { gateway: 0, time, sequence: 1_000_000 }).is_err());
        assert_eq!(MsgId([0xAB; 10]).unpack(), None);
    }

    proptest! {
        #[test]
        fn what_comes_apart_goes_together_again(id: [u8; 10]) {
            if let Some(parts) = MsgId(id).unpack() {
                prop_assert_eq!(MsgId::pack(parts), Ok(MsgId(id)));
            }
        }
    }
}
