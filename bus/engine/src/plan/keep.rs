//! What of a call is kept with its record: its bodies, encrypted, and the business keys it is found by.
use std::sync::Arc;

use bytes::Bytes;
use qiao_mappings::{Layer, Selector};
use qiao_vault::Mask;
use serde_json::{Map, Value};

use super::draft::Draft;
use crate::definitions::{InterfaceDefinition, interface::Bodies};

/// Longest value of a business key, in bytes; a longer one is no key.
const MOST_KEY_BYTES: usize = 256;

/// What an interface keeps.
pub struct KeepPlan {
    bodies: bool,
    keys: Vec<KeyPlan>,
}

struct KeyPlan {
    name: Arc<str>,
    select: Selector,
    mask: Mask,
}

/// What is to be kept of one call, in the clear: for the server to encrypt, hash and mask at once.
#[derive(Default)]
pub struct Kept {
    /// As the caller sent it, opened where it was sealed.
    pub request: Option<Bytes>,
    /// As the caller gets it, before it is sealed.
    pub answer: Option<Bytes>,
    pub keys: Vec<KeptKey>,
}

/// A business key of one call.
pub struct KeptKey {
    pub name: Arc<str>,
    pub value: String,
    pub mask: Mask,
}

impl KeepPlan {
    /// None where nothing is kept.
    pub(crate) fn compile(definition: &InterfaceDefinition, draft: &mut Draft<'_>) -> Option<Self> {
        let bodies = definition.bodies == Some(Bodies::Sealed);
        if !bodies && definition.keys.is_empty() {
            return None;
        }
        if definition.forward.is_some() {
            let path = if bodies { "bodies" } else { "keys" };
            draft.wrong_so(
                path,
                "a forwarded interface's bodies are passed through unread",
                "give it a flow, or leave this out",
            );
        }
        let mut keys = Vec::with_capacity(definition.keys.len());
        for (name, key) in &definition.keys {
            let path = format!("keys.{name}.from");
            let Some(select) = draft.selector(&path, &key.from) else { continue };
            draft.reads(&path, select.roots(), &["request"]);
            let mask = Mask { start: key.shown.0.into(), end: key.shown.1.into() };
            keys.push(KeyPlan { name: name.as_str().into(), select, mask });
        }
        Some(Self { bodies, keys })
    }

    /// What is kept of a request.
    pub(crate) fn request(&self, document: &Value, body: impl FnOnce() -> Bytes) -> Kept {
        let nothing = Map::new();
        let scope = Layer { parent: &nothing, name: "request", value: document };
        let keys = self.keys.iter().filter_map(|key| {
            let value = text(key.select.first(&scope)?)?;
            Some(KeptKey { name: key.name.clone(), value, mask: key.mask })
        });
        Kept { request: self.bodies.then(body), answer: None, keys: keys.collect() }
    }

    /// Keeps the answer too, where bodies are kept.
    pub(crate) fn answer(&self, kept: &mut Kept, body: &Bytes) {
        kept.answer = self.bodies.then(|| body.clone());
    }
}

fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (1..=MOST_KEY_BYTES).contains(&text.len()).then_some(text)
}
