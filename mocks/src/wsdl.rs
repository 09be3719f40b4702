//! SOAP services from their WSDL 1.1: operations found, requests checked, answers written, the description served.
pub mod definitions;
pub mod example;
mod load;
mod names;
mod publish;
pub mod schema;
pub mod tree;
mod validate;
mod write;

use std::collections::HashMap;

use http::HeaderMap;
use qiao_mappings::{Codec, CodecKind, CodecSpec, SoapFault, SoapVersion};
use serde_json::Value;

pub use load::ReadFile;

use definitions::Operation;
use names::{ENVELOPE_11, ENVELOPE_12};
use publish::Document;
use schema::{ElementDecl, Kind, Schemas, TypeRef};
use tree::{Element, Name};

/// Paths of lists at most, and their levels: what lies deeper is a list only where it is repeated.
const MAX_LISTS: usize = 2_000;
const MAX_LIST_DEPTH: usize = 12;

/// A service description, compiled.
#[derive(Debug)]
pub struct Contract {
    pub operations: Vec<Operation>,
    pub schemas: Schemas,
    documents: Vec<Document>,
    by_element: HashMap<Name, Vec<usize>>,
    by_action: HashMap<String, usize>,
    codec_11: Codec,
    codec_12: Codec,
    strict: bool,
}

/// What a request's envelope said.
#[derive(Debug)]
pub struct Received {
    pub document: Value,
    pub call: Call,
}

/// How a request was made, and why it cannot be answered, where it cannot.
#[derive(Clone, Debug)]
pub struct Call {
    pub version: SoapVersion,
    /// The operation's number.
    pub operation: Option<usize>,
    pub refusal: Option<Refusal>,
}

/// A fault that the service itself answers: the caller's mistake.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// SOAP 1.1 words: `Client`, `VersionMismatch`.
    pub code: &'static str,
    pub text: String,
}

impl Contract {
    /// Reads a WSDL and what it imports. `strict`: requests that their schema does not allow are refused.
    ///
    /// # Errors
    /// The file and what is wrong with it.
    pub fn load(path: &str, strict: bool, read: ReadFile<'_>) -> Result<Self, String> {
        let loaded = load::load(path, read)?;
        let mut by_element: HashMap<Name, Vec<usize>> = HashMap::new();
        let mut by_action = HashMap::new();
        let mut lists = Vec::new();
        for (number, operation) in loaded.operations.iter().enumerate() {
            if let Some(input) = &operation.input {
                by_element.entry(input.name.clone()).or_default().push(number);
                list_paths(&loaded.schemas, input, &mut lists);
            }
            for action in &operation.actions {
                by_action.entry(action.clone()).or_insert(number);
            }
        }
        lists.sort();
        lists.dedup();
        lists.truncate(MAX_LISTS);
        let codec = |version| {
            let spec = CodecSpec {
                codec: CodecKind::Soap,
                version: Some(version),
                arrays: lists.clone(),
                ..CodecSpec::default()
            };
            Codec::compile(&spec).map_err(|errors| {
                errors.first().map_or_else(|| "the codec cannot be made".to_owned(), ToString::to_string)
            })
        };
        Ok(Self {
            codec_11: codec(SoapVersion::V11)?,
            codec_12: codec(SoapVersion::V12)?,
            operations: loaded.operations,
            schemas: loaded.schemas,
            documents: loaded.documents,
            by_element,
            by_action,
            strict,
        })
    }

    /// Reads a request: version, operation and, where it is strict, whether its schema allows it.
    pub fn read(&self, body: &[u8], headers: &HeaderMap) -> Received {
        let (version, decoded) = self.decode(body, headers);
        let refused = |code, text| Received {
            document: Value::Null,
            call: Call { version, operation: None, refusal: Some(Refusal { code, text }) },
        };
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(error) => return refused("Client", format!("unreadable: {error}")),
        };
        let tree = body_child(body);
        let tree = match tree {
            Ok(tree) => tree,
            Err(error) => return refused("Client", format!("unreadable: {error}")),
        };
        let action = action(headers);
        let operation = self.find(tree.as_ref().map(|child| &child.name), action.as_deref());
        let refusal = match operation {
            None => Some(self.unknown(tree.as_ref(), action.as_deref())),
            Some(number) if self.strict => self.misfit(number, tree.as_ref()),
            Some(_) => None,
        };
        Received { document: decoded, call: Call { version, operation, refusal } }
    }

    fn decode(&self, body: &[u8], headers: &HeaderMap) -> (SoapVersion, Result<Value, String>) {
        let content_type = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let modern =
            content_type.is_some_and(|text| text.to_ascii_lowercase().contains("application/soap+xml"));
        let order =
            if modern { [SoapVersion::V12, SoapVersion::V11] } else { [SoapVersion::V11, SoapVersion::V12] };
        let mut first = None;
        for version in order {
            match self.codec(version).decode(body) {
                Ok(decoded) => return (version, Ok(decoded.document)),
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        let error = first.map(|error| error.to_string()).unwrap_or_default();
        (order[0], Err(error))
    }

    /// By the Body's child, several of the same told apart by the action; then by the action alone.
    fn find(&self, element: Option<&Name>, action: Option<&str>) -> Option<usize> {
        let by_action = action.and_then(|action| self.by_action.get(action).copied());
        match element.and_then(|name| self.by_element.get(name)) {
            Some(several) => by_action.filter(|number| several.contains(number)).or(several.first().copied()),
            None => by_action.or_else(|| {
                let bare = || self.operations.iter().position(|operation| operation.input.is_none());
                if element.is_none() { bare() } else { None }
            }),
        }
    }

    fn unknown(&self, element: Option<&Element>, action: Option<&str>) -> Refusal {
        let names: Vec<&str> =
            self.operations.iter().take(20).map(|operation| operation.name.as_str()).collect();
        let body = element
            .map_or("an empty Body".to_owned(), |element| format!("the Body's element {}", element.name));
        let action = action.map(|action| format!(" and the action {action}")).unwrap_or_default();
        let text = format!("no operation of this service has {body}{action}; it has {}", names.join(", "));
        Refusal { code: "Client", text }
    }

    fn misfit(&self, number: usize, found: Option<&Element>) -> Option<Refusal> {
        let refusal = |text| Some(Refusal { code: "Client", text });
        match (&self.operations[number].input, found) {
            (None, None) => None,
            (Some(wanted), None) => refusal(format!("{}: is missing in the Body", wanted.name.local)),
            (None, Some(found)) => refusal(format!("{}: the Body must be empty", found.name.local)),
            (Some(wanted), Some(found)) if wanted.name != found.name => {
                refusal(format!("{}: the Body must hold {}", found.name, wanted.name))
            }
            (Some(wanted), Some(found)) => {
                validate::element(&self.schemas, wanted, found).err().and_then(refusal)
            }
        }
    }

    pub fn codec(&self, version: SoapVersion) -> &Codec {
        match version {
            SoapVersion::V11 => &self.codec_11,
            SoapVersion::V12 => &self.codec_12,
        }
    }

    /// The files read, the WSDL first.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.documents.iter().map(|document| document.path.as_str())
    }

    /// The number of an operation.
    pub fn operation(&self, name: &str) -> Option<usize> {
        self.operations.iter().position(|operation| operation.name == name)
    }

    /// Writes an answer: the output element's content, or an object with the element itself as its only member.
    ///
    /// # Errors
    /// A document that the operation cannot answer.
    pub fn write(&self, operation: &str, version: SoapVersion, document: &Value) -> Result<Vec<u8>, String> {
        let number = self.operation(operation).ok_or("there is no operation to answer")?;
        let output = self.operations[number].output.as_ref().and_then(|output| output.element.as_deref());
        let content = match (output, document) {
            (Some(output), Value::Object(members)) if members.len() == 1 => {
                members.get(&*output.name.local).unwrap_or(document)
            }
            _ => document,
        };
        write::envelope(&self.schemas, output, content, version)
    }

    /// Writes a SOAP 1.1 request, `{element: content}`, for trials.
    ///
    /// # Errors
    /// A document that is not the input of any operation.
    pub fn write_request(&self, document: &Value) -> Result<Vec<u8>, String> {
        let members = document.as_object().filter(|members| members.len() == 1);
        let (name, content) =
            members.and_then(|members| members.iter().next()).ok_or("not {element: content}")?;
        let inputs = self.operations.iter().filter_map(|operation| operation.input.as_deref());
        let input = inputs.into_iter().find(|input| *input.name.local == **name);
        let input = input.ok_or_else(|| format!("no operation has the element {name}"))?;
        write::envelope(&self.schemas, Some(input), content, SoapVersion::V11)
    }

    /// Writes a fault and gives its HTTP status (SOAP 1.1 §6.2; SOAP 1.2 Part 2 §7.5.2.2).
    ///
    /// # Errors
    /// A text that XML cannot carry.
    pub fn fault(&self, version: SoapVersion, code: &str, text: String) -> Result<(u16, Vec<u8>), String> {
        let fault = SoapFault { code: code.to_owned(), string: text, detail: None };
        let bytes = self.codec(version).encode_fault(&fault).map_err(|error| error.to_string())?;
        let sender = version == SoapVersion::V12 && matches!(code, "Client" | "Sender");
        Ok((if sender { 400 } else { 500 }, bytes))
    }

    /// An operation's answer made of its schema, `{element: content}`; none for an operation without answer.
    pub fn skeleton(&self, number: usize) -> Option<Value> {
        let element = self.operations[number].output.as_ref()?.element.as_deref();
        let mut document = serde_json::Map::new();
        if let Some(element) = element {
            document.insert(element.name.local.to_string(), example::element(&self.schemas, element));
        }
        Some(Value::Object(document))
    }

    /// A file of the description, with the service at `url`: the WSDL itself, or the one that `query` names.
    pub fn published(&self, query: &str, url: &str) -> Option<String> {
        let decoded = percent_encoding::percent_decode_str(query).decode_utf8_lossy();
        let (what, file) = decoded.split_once('=').unwrap_or((&decoded, ""));
        let what = what.to_ascii_lowercase();
        let document = match (what.as_str(), file) {
            ("wsdl" | "singlewsdl", "") => self.documents.first(),
            ("wsdl" | "xsd", file) => self.documents.iter().find(|document| document.path == file),
            _ => None,
        };
        document.map(|document| document.at(url))
    }
}

/// The first child of the Body, with namespaces. The bytes have been decoded by the codec already.
fn body_child(body: &[u8]) -> Result<Option<Element>, String> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => std::borrow::Cow::Borrowed(text),
        Err(_) => encoding_rs::GB18030.decode_without_bom_handling(body).0,
    };
    let root = tree::parse(text.trim_start_matches('\u{feff}'))?;
    let envelope = &*root.name.namespace;
    if envelope != ENVELOPE_11 && envelope != ENVELOPE_12 {
        return Err("the root is not a SOAP envelope".into());
    }
    let body = root.children.into_iter().find(|child| &*child.name.local == "Body");
    Ok(body.and_then(|body| body.children.into_iter().next()))
}

/// SOAPAction (1.1), or the parameter `action` of the content type (1.2), without quotes.
fn action(headers: &HeaderMap) -> Option<String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let parameter = || {
        let parameters = header("content-type")?.split(';').skip(1);
        parameters.filter_map(|part| part.trim().strip_prefix("action=")).next()
    };
    let action = header("soapaction").or_else(parameter)?.trim().trim_matches('"');
    (!action.is_empty()).then(|| action.to_owned())
}

/// The paths of elements that may be repeated, from the Body's child on.
fn list_paths(schemas: &Schemas, decl: &ElementDecl, paths: &mut Vec<String>) {
    fn walk(schemas: &Schemas, ty: &TypeRef, path: &str, left: &mut usize, paths: &mut Vec<String>) {
        let depth = path.matches('.').count();
        if depth > MAX_LIST_DEPTH || *left == 0 {
            return;
        }
        *left -= 1;
        let Kind::Complex(complex) = schemas.kind(ty) else { return };
        for (decl, many) in write::lists(schemas, complex) {
            let path = format!("{path}.{}", decl.name.local);
            walk(schemas, &decl.ty, &path, left, paths);
            if many {
                paths.push(path);
            }
        }
    }
    walk(schemas, &decl.ty, &decl.name.local, &mut (4 * MAX_LISTS), paths);
}

#[cfg(test)]
mod tests;
