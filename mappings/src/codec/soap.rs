//! The soap codec: SOAP 1.1 and 1.2 envelopes around an XML document, faults told apart from answers.

use super::xml::{self, Format, Writer};
use super::{Charset, Decoded};
use crate::error::{CodecError, CodecErrorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const NS_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const NS_12: &str = "http://www.w3.org/2003/05/soap-envelope";

/// A version of SOAP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SoapVersion {
    /// SOAP 1.1 (W3C Note of 8 May 2000).
    #[default]
    #[serde(rename = "1.1")]
    V11,
    /// SOAP 1.2 (W3C Recommendation, second edition).
    #[serde(rename = "1.2")]
    V12,
}

impl SoapVersion {
    fn namespace(self) -> &'static str {
        match self {
            SoapVersion::V11 => NS_11,
            SoapVersion::V12 => NS_12,
        }
    }
}

/// A SOAP fault.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SoapFault {
    /// The code without prefix: `Client`, `Server.Busy` (1.1); `Sender`, `Receiver` (1.2).
    pub code: String,
    /// faultstring (1.1), the first Reason text (1.2).
    pub string: String,
    /// The content of detail.
    pub detail: Option<Value>,
}

/// The SOAP settings of a codec.
#[derive(Debug, Clone, Default)]
pub(super) struct Binding {
    pub version: SoapVersion,
    pub action: Option<String>,
}

/// Follows the elements of an envelope while it is read.
pub(super) struct Envelope {
    version: SoapVersion,
    body: bool,
    bodies: usize,
    fault: bool,
}

impl Envelope {
    pub(super) fn new(version: SoapVersion) -> Envelope {
        Envelope { version, body: false, bodies: 0, fault: false }
    }

    pub(super) fn is_fault(&self) -> bool {
        self.fault
    }

    /// An element opens below `depth` others.
    pub(super) fn open(&mut self, depth: usize, uri: &str, local: &str) -> Result<(), CodecError> {
        let ours = uri == self.version.namespace();
        match (depth, local) {
            (0, "Envelope") if ours => {}
            (0, "Envelope") if is_envelope_namespace(uri) => {
                return Err(unexpected("an envelope of the other SOAP version"));
            }
            (0, _) => return Err(unexpected("the root is not a SOAP envelope")),
            (1, "Header") if ours && self.bodies == 0 => self.body = false,
            (1, "Body") if ours && self.bodies == 0 => {
                self.body = true;
                self.bodies = 1;
            }
            (1, _) => {
                return Err(unexpected("the envelope holds something other than one Header and one Body"));
            }
            (2, "Fault") if ours && self.body => self.fault = true,
            _ => {}
        }
        Ok(())
    }
}

pub(super) fn is_envelope_namespace(uri: &str) -> bool {
    uri == NS_11 || uri == NS_12
}

fn unexpected(message: &str) -> CodecError {
    CodecError::new(CodecErrorKind::Unexpected, message)
}

pub(super) fn decode(bytes: &[u8], format: &Format, binding: &Binding) -> Result<Decoded, CodecError> {
    let text = xml::text(bytes, format)?;
    let xml::Read { root, is_fault } = xml::read(&text, &format.arrays, Some(binding.version))?;
    let Value::Object(mut parts) = xml::only_member(root) else {
        return Err(unexpected("the envelope has no Body"));
    };
    let body = parts.swap_remove("Body").ok_or_else(|| unexpected("the envelope has no Body"))?;
    let soap_header = parts.swap_remove("Header").filter(Value::is_object);
    let document = match body {
        Value::Object(members) => Value::Object(members),
        _ => Value::Object(Map::new()),
    };
    if is_fault {
        let soap_fault = document.get("Fault").map(|fault| fault_of(fault, binding.version));
        return Ok(Decoded { document, soap_fault, soap_header });
    }
    let document = match document.as_object().map(Map::len) {
        Some(1) if format.unwrap => xml::only_member(document),
        Some(2..) if format.unwrap => return Err(unexpected("the Body holds more than one element")),
        _ => document,
    };
    Ok(Decoded { document, soap_fault: None, soap_header })
}

fn fault_of(fault: &Value, version: SoapVersion) -> SoapFault {
    let (code, string, detail) = match version {
        SoapVersion::V11 => (fault.get("faultcode"), fault.get("faultstring"), fault.get("detail")),
        SoapVersion::V12 => {
            let reason = fault.pointer("/Reason/Text").map(|text| text.get(0).unwrap_or(text));
            (fault.pointer("/Code/Value"), reason, fault.get("Detail"))
        }
    };
    let text = |value: Option<&Value>| {
        let value = value.map(|value| value.get("#text").unwrap_or(value));
        value.and_then(Value::as_str).unwrap_or_default().trim().to_owned()
    };
    let code = text(code);
    SoapFault {
        code: code.split_once(':').map_or(code.clone(), |(_, local)| local.to_owned()),
        string: text(string),
        detail: detail.filter(|detail| detail.as_str() != Some("")).cloned(),
    }
}

pub(super) fn encode(
    document: &Value,
    header: Option<&Value>,
    format: &Format,
    binding: &Binding,
    charset: Charset,
) -> Result<Vec<u8>, CodecError> {
    let mut writer = Writer::new(format, charset);
    start(&mut writer, format, binding, header)?;
    let empty = format.element.is_none() && document.as_object().is_some_and(Map::is_empty);
    if !empty {
        writer.document(document, false)?;
    }
    finish(writer, charset)
}

pub(super) fn encode_fault(
    fault: &SoapFault,
    format: &Format,
    binding: &Binding,
    charset: Charset,
) -> Result<Vec<u8>, CodecError> {
    let mut writer = Writer::new(format, charset);
    start(&mut writer, format, binding, None)?;
    let (code, string) =
        (Value::from(fault_code(&fault.code, binding.version)), Value::from(fault.string.as_str()));
    let detail = |writer: &mut Writer<'_>, name: &str| -> Result<(), CodecError> {
        let Some(detail) = &fault.detail else { return Ok(()) };
        writer.raw(&format!("<{name}>"));
        match detail {
            Value::Object(members) => writer.members(members, 4)?,
            text => writer.content(text, name)?,
        }
        writer.raw(&format!("</{name}>"));
        Ok(())
    };
    match binding.version {
        SoapVersion::V11 => {
            writer.raw("<soapenv:Fault><faultcode>soapenv:");
            writer.content(&code, "code")?;
            writer.raw("</faultcode><faultstring>");
            writer.content(&string, "string")?;
            writer.raw("</faultstring>");
            detail(&mut writer, "detail")?;
        }
        SoapVersion::V12 => {
            writer.raw("<soapenv:Fault><soapenv:Code><soapenv:Value>soapenv:");
            writer.content(&code, "code")?;
            writer.raw("</soapenv:Value></soapenv:Code><soapenv:Reason><soapenv:Text xml:lang=\"zh\">");
            writer.content(&string, "string")?;
            writer.raw("</soapenv:Text></soapenv:Reason>");
            detail(&mut writer, "soapenv:Detail")?;
        }
    }
    writer.raw("</soapenv:Fault>");
    finish(writer, charset)
}

/// The fault codes of one version in the words of the other; 1.2 knows only five.
fn fault_code(code: &str, version: SoapVersion) -> &str {
    match (version, code) {
        (SoapVersion::V11, "Sender") => "Client",
        (SoapVersion::V11, "Receiver") => "Server",
        (SoapVersion::V11, "") => "Server",
        (SoapVersion::V11, code) => code,
        (SoapVersion::V12, "Sender" | "VersionMismatch" | "MustUnderstand" | "DataEncodingUnknown") => code,
        (SoapVersion::V12, code) if code.starts_with("Client") => "Sender",
        (SoapVersion::V12, _) => "Receiver",
    }
}

fn start(
    writer: &mut Writer<'_>,
    format: &Format,
    binding: &Binding,
    header: Option<&Value>,
) -> Result<(), CodecError> {
    writer.raw("<soapenv:Envelope xmlns:soapenv=\"");
    writer.raw(binding.version.namespace());
    writer.raw("\"");
    writer.raw(&format.declarations);
    writer.raw(">");
    match header {
        None => {}
        Some(Value::Object(blocks)) => {
            writer.raw("<soapenv:Header>");
            writer.members(blocks, 2)?;
            writer.raw("</soapenv:Header>");
        }
        Some(_) => return Err(CodecError::not_encodable("the header is not an object of blocks")),
    }
    writer.raw("<soapenv:Body>");
    Ok(())
}

fn finish(mut writer: Writer<'_>, charset: Charset) -> Result<Vec<u8>, CodecError> {
    writer.raw("</soapenv:Body></soapenv:Envelope>");
    charset.encode(writer.finish().into())
}
