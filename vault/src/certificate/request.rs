//! A request for a certificate of one of our keys (PKCS#10 with SM2, GM/T 0092). For `qiao keys csr`.
use super::{DEFAULT_SM2_ID, KeyHandle, VaultError, public, write_sm2_public_pem};
use crate::format::der;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whom the certificate shall name. Empty parts are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Subject {
    /// Two letters, ISO 3166-1.
    pub country: String,
    pub province: String,
    pub locality: String,
    pub organization: String,
    pub unit: String,
    pub common_name: String,
}

const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;

/// PEM of a request signed by the key itself, a signing pair whose secret half is here.
pub fn certificate_request(key: &KeyHandle, subject: &Subject) -> Result<String, VaultError> {
    let name = name(subject)?;
    let public = crate::key_text::read_pem_public(&write_sm2_public_pem(&key.public()?)?)?;
    let mut body = vec![der::INTEGER, 1, 0];
    der::put(&mut body, der::SEQUENCE, &[&name]);
    body.extend_from_slice(&public);
    // No attributes.
    body.extend_from_slice(&[0xa0, 0]);
    let request = public::signed(key, &der::sequence(&body), DEFAULT_SM2_ID)?;
    let text = STANDARD.encode(request);
    let mut pem = String::from("-----BEGIN CERTIFICATE REQUEST-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|b| char::from(*b)));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE REQUEST-----\n");
    Ok(pem)
}

/// The content of the Name.
pub(crate) fn name(subject: &Subject) -> Result<Vec<u8>, VaultError> {
    let country = &subject.country;
    if !matches!(country.as_bytes(), [] | [b'A'..=b'Z', b'A'..=b'Z']) {
        return Err(VaultError::invalid("a country is two capital letters, for example CN"));
    }
    if subject.common_name.is_empty() {
        return Err(VaultError::invalid("a subject needs a common name"));
    }
    let parts = [
        (6, PRINTABLE_STRING, country),
        (8, UTF8_STRING, &subject.province),
        (7, UTF8_STRING, &subject.locality),
        (10, UTF8_STRING, &subject.organization),
        (11, UTF8_STRING, &subject.unit),
        (3, UTF8_STRING, &subject.common_name),
    ];
    let mut name = Vec::new();
    for (attribute, tag, value) in parts {
        if value.chars().count() > 64 {
            return Err(VaultError::invalid("a part of the subject has at most 64 characters"));
        }
        if !value.is_empty() {
            let mut pair = vec![der::OID, 3, 0x55, 0x04, attribute];
            der::put(&mut pair, tag, &[value.as_bytes()]);
            der::put(&mut name, der::SET, &[&der::sequence(&pair)]);
        }
    }
    Ok(name)
}
