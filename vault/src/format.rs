//! The wire formats of SM2 signatures, ciphertexts and public keys, each an explicit type, never guessed. For partners' forms.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) mod der;
pub(crate) mod oid;

/// How an SM2 signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignatureFormat {
    /// r ‖ s, 32 bytes each.
    #[default]
    Raw,
    /// ASN.1 SEQUENCE { r INTEGER, s INTEGER } in DER. GB/T 35276 §7.3.
    Der,
}

/// The order of a raw SM2 ciphertext's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CipherOrder {
    /// Point, hash, content: GB/T 32918.4-2016.
    #[default]
    C1c3c2,
    /// Point, content, hash: the 2010 draft, still spoken by old partners.
    C1c2c3,
}

/// Whether the point of a raw SM2 ciphertext carries its 04 mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PointForm {
    /// 04 ‖ x ‖ y.
    #[default]
    Prefixed,
    /// x ‖ y; x itself may begin with 04.
    Bare,
}

/// How an SM2 ciphertext is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CipherFormat {
    Raw {
        order: CipherOrder,
        point: PointForm,
    },
    /// ASN.1 SEQUENCE { x INTEGER, y INTEGER, C3 OCTET STRING, C2 OCTET STRING } in DER. GB/T 35276 §7.2.
    Der,
}

impl Default for CipherFormat {
    fn default() -> Self {
        Self::Raw { order: CipherOrder::default(), point: PointForm::default() }
    }
}

impl SignatureFormat {
    /// r ‖ s → the wire.
    pub fn write(self, signature: &[u8; 64]) -> Vec<u8> {
        match self {
            Self::Raw => signature.to_vec(),
            Self::Der => {
                let mut body = Vec::with_capacity(70);
                der::put_integer(&mut body, &signature[..32]);
                der::put_integer(&mut body, &signature[32..]);
                der::sequence(&body)
            }
        }
    }

    /// The wire → r ‖ s. `None` where the bytes are not exactly in this format.
    pub fn read(self, bytes: &[u8]) -> Option<[u8; 64]> {
        match self {
            Self::Raw => bytes.try_into().ok(),
            Self::Der => {
                let mut body = der::read_sequence(bytes)?;
                let mut signature = [0; 64];
                der::take_integer(&mut body, &mut signature[..32])?;
                der::take_integer(&mut body, &mut signature[32..])?;
                body.is_empty().then_some(signature)
            }
        }
    }
}

impl CipherFormat {
    /// x1 ‖ y1 ‖ C3 ‖ C2 → the wire. `cipher` has more than 96 bytes, as providers return it.
    pub fn write(self, cipher: &[u8]) -> Vec<u8> {
        let (c1, rest) = cipher.split_at(64);
        let (c3, c2) = rest.split_at(32);
        match self {
            Self::Raw { order, point } => {
                let mark: &[u8] = if point == PointForm::Prefixed { &[4] } else { &[] };
                match order {
                    CipherOrder::C1c3c2 => [mark, c1, c3, c2].concat(),
                    CipherOrder::C1c2c3 => [mark, c1, c2, c3].concat(),
                }
            }
            Self::Der => {
                let mut body = Vec::with_capacity(cipher.len() + 16);
                der::put_integer(&mut body, &c1[..32]);
                der::put_integer(&mut body, &c1[32..]);
                der::put_octets(&mut body, c3);
                der::put_octets(&mut body, c2);
                der::sequence(&body)
            }
        }
    }

    /// The wire → x1 ‖ y1 ‖ C3 ‖ C2. `None` where the bytes cannot be in this format.
    pub fn read(self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Raw { order, point } => {
                let bytes = if point == PointForm::Prefixed { bytes.strip_prefix(&[4])? } else { bytes };
                let (c1, rest) = bytes.split_at_checked(64)?;
                match order {
                    CipherOrder::C1c3c2 => (rest.len() > 32).then(|| bytes.to_vec()),
                    CipherOrder::C1c2c3 => {
                        let (c2, c3) = rest.split_at_checked(rest.len().checked_sub(32)?)?;
                        (!c2.is_empty()).then(|| [c1, c3, c2].concat())
                    }
                }
            }
            Self::Der => {
                let mut body = der::read_sequence(bytes)?;
                let mut cipher = vec![0; 64];
                der::take_integer(&mut body, &mut cipher[..32])?;
                der::take_integer(&mut body, &mut cipher[32..])?;
                let (c3, c2) = (der::take_octets(&mut body)?, der::take_octets(&mut body)?);
                if c3.len() != 32 || c2.is_empty() || !body.is_empty() {
                    return None;
                }
                cipher.extend_from_slice(c3);
                cipher.extend_from_slice(c2);
                Some(cipher)
            }
        }
    }
}

#[cfg(test)]
mod tests;
