//! Msg_Id, the gateway's name of a message (CMPP 3.0 §8.4.5.1).

use crate::error::WireError;
use crate::layout::{Field, Reader};
use crate::stamp::Stamp;
use serde_json::Value;
use std::fmt;

/// 64 bits: month 4, day 5, hour 5, minute 6, second 6, gateway 22, sequence 16. Shown as 16 hex digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MsgId(pub u64);

/// What a [`MsgId`] is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MsgIdParts {
    /// When the gateway made it.
    pub time: Stamp,
    /// The gateway's code, below 4 194 304.
    pub gateway: u32,
    /// Counts up and wraps.
    pub sequence: u16,
}

impl MsgId {
    /// Puts the parts together.
    ///
    /// # Errors
    /// A gateway code above 22 bits.
    pub fn pack(parts: MsgIdParts) -> Result<MsgId, WireError> {
        if parts.gateway >> 22 != 0 {
            return Err(WireError::Value {
                field: "Msg_Id",
                reason: "the gateway's code needs more than 22 bits",
            });
        }
        let [month, day, hour, minute, second] = parts.time.parts().map(u64::from);
        let time = (month << 22) | (day << 17) | (hour << 12) | (minute << 6) | second;
        Ok(MsgId((time << 38) | (u64::from(parts.gateway) << 16) | u64::from(parts.sequence)))
    }

    /// Takes it apart; `None` when its time is no time: some gateways count instead.
    pub fn unpack(self) -> Option<MsgIdParts> {
        // every part is masked to at most 22 bits, and the time's parts to at most 6
        let bits = |from: u32, width: u32| (self.0 >> from) & ((1 << width) - 1);
        let time = Stamp::new(
            bits(60, 4) as u8,
            bits(55, 5) as u8,
            bits(50, 5) as u8,
            bits(44, 6) as u8,
            bits(38, 6) as u8,
        )?;
        Some(MsgIdParts { time, gateway: bits(16, 22) as u32, sequence: bits(0, 16) as u16 })
    }
}

impl fmt::Display for MsgId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

impl<V> Field<V> for MsgId {
    fn read(input: &mut Reader<'_>, _: V, name: &'static str) -> Result<Self, WireError> {
        input.array(name).map(|bytes| MsgId(u64::from_be_bytes(bytes)))
    }

    fn write(&self, output: &mut Vec<u8>, _: V, _: &'static str) -> Result<(), WireError> {
        output.extend_from_slice(&self.0.to_be_bytes());
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
    fn packs_the_time_the_gateway_and_the_sequence() {
        let time = Stamp::new(3, 9, 12, 30, 15).expect("a time");
        let parts = MsgIdParts { time, gateway: 902_100, sequence: 7 };
        let id = MsgId::pack(parts).expect("22 bits");
        assert_eq!(id.to_string(), "34b1e3cdc3d40007");
        assert_eq!(id.unpack(), Some(parts));
    }

    #[test]
    fn refuses_a_gateway_code_of_23_bits() {
        let time = Stamp::new(1, 1, 0, 0, 0).expect("a time");
        assert!(MsgId::pack(MsgIdParts { time, gateway: 1 << 22, sequence: 0 }).is_err());
    }

    proptest! {
        #[test]
        fn what_comes_apart_goes_together_again(id: u64) {
            if let Some(parts) = MsgId(id).unpack() {
                prop_assert_eq!(MsgId::pack(parts), Ok(MsgId(id)));
            }
        }
    }
}
