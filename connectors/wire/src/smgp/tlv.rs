//! The optional parameters of SMGP (§5.1.2, §6.3): tag, length and value behind the fixed fields.

use crate::error::WireError;
use crate::layout::{Field, Reader};
use serde_json::Value;

/// Tags of optional parameters (§6.3).
pub mod tag {
    /// GSM 03.40 §9.2.3.9, one byte.
    pub const TP_PID: u16 = 0x0001;
    /// GSM 03.40 §9.2.3.23: 1 when the content starts with a user data header, one byte.
    pub const TP_UDHI: u16 = 0x0002;
    /// LinkID of a service on demand, 20 bytes.
    pub const LINK_ID: u16 = 0x0003;
    /// Parts of the long message, one byte.
    pub const PK_TOTAL: u16 = 0x0009;
    /// Which part, from 1, one byte.
    pub const PK_NUMBER: u16 = 0x000A;
    /// The kind of submission, one byte.
    pub const SUBMIT_MSG_TYPE: u16 = 0x000B;
    /// The SP's result of a service on demand, one byte.
    pub const SP_DEAL_RESULT: u16 = 0x000C;
    /// The SP that the content comes from, 8 bytes.
    pub const MSG_SRC: u16 = 0x0010;
    /// The service's id on the mobile network, 21 bytes.
    pub const M_SERVICE_ID: u16 = 0x0012;
}

/// Every tag of §6.3 with its name in the protocol document.
pub const TAGS: &[(u16, &str)] = &[
    (0x0001, "TP_pid"),
    (0x0002, "TP_udhi"),
    (0x0003, "LinkID"),
    (0x0004, "ChargeUserType"),
    (0x0005, "ChargeTermType"),
    (0x0006, "ChargeTermPseudo"),
    (0x0007, "DestTermType"),
    (0x0008, "DestTermPseudo"),
    (0x0009, "PkTotal"),
    (0x000A, "PkNumber"),
    (0x000B, "SubmitMsgType"),
    (0x000C, "SPDealResult"),
    (0x000D, "SrcTermType"),
    (0x000E, "SrcTermPseudo"),
    (0x000F, "NodesCount"),
    (0x0010, "MsgSrc"),
    (0x0011, "SrcType"),
    (0x0012, "MServiceID"),
];

/// One optional parameter; tags that [`TAGS`] does not list are kept too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tlv {
    /// What it is; see [`tag`].
    pub tag: u16,
    /// Its value, at most 65 535 bytes.
    pub value: Vec<u8>,
}

/// The optional parameters of a message, in wire order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tlvs(pub Vec<Tlv>);

impl Tlvs {
    /// The value of the first parameter with this tag.
    pub fn get(&self, tag: u16) -> Option<&[u8]> {
        self.0.iter().find(|tlv| tlv.tag == tag).map(|tlv| tlv.value.as_slice())
    }

    /// The value of a one-byte parameter; `None` when it is absent or not one byte.
    pub fn byte(&self, tag: u16) -> Option<u8> {
        match self.get(tag) {
            Some([byte]) => Some(*byte),
            _ => None,
        }
    }

    /// Adds a one-byte parameter.
    pub fn with_byte(mut self, tag: u16, byte: u8) -> Tlvs {
        self.0.push(Tlv { tag, value: vec![byte] });
        self
    }
}

impl<V: Copy> Field<V> for Tlvs {
    fn read(input: &mut Reader<'_>, _: V, name: &'static str) -> Result<Self, WireError> {
        let mut tlvs = Vec::new();
        while input.left() > 0 {
            let tag = u16::from_be_bytes(input.array(name)?);
            let length = u16::from_be_bytes(input.array(name)?);
            tlvs.push(Tlv { tag, value: input.take(usize::from(length), name)?.to_vec() });
        }
        Ok(Tlvs(tlvs))
    }

    fn write(&self, output: &mut Vec<u8>, _: V, name: &'static str) -> Result<(), WireError> {
        for tlv in &self.0 {
            let most = usize::from(u16::MAX);
            let too_long = WireError::TooLong { field: name, bytes: tlv.value.len(), most };
            let length = u16::try_from(tlv.value.len()).map_err(|_| too_long)?;
            output.extend_from_slice(&tlv.tag.to_be_bytes());
            output.extend_from_slice(&length.to_be_bytes());
            output.extend_from_slice(&tlv.value);
        }
        Ok(())
    }

    fn shown(&self) -> Value {
        let name = |tag: u16| match TAGS.iter().find(|(known, _)| *known == tag) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("0x{tag:04x}"),
        };
        self.0.iter().map(|tlv| (name(tlv.tag), Value::from(hex::encode(&tlv.value)))).collect()
    }
}
