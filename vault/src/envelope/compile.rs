//! Turns a written envelope into its compiled form, or into the list of its mistakes. For `Envelope::compile`.
use super::{
    Envelope, Mistake, Side, freshness, key_ref,
    op::{Field, KeySource, Op, Piece, Slot, Step},
    spec::{EnvelopeSpec, PartSpec, WriteSpec},
};
use crate::{
    key::{KeyKind, KeyRef, Purpose},
    vault::{KeyHandle, Vault},
};
use indexmap::IndexMap;

mod asn1;
mod part;

const MAX_PARTS: usize = 64;

pub(super) fn compile(spec: &EnvelopeSpec, vault: &Vault, side: Side) -> Result<Envelope, Vec<Mistake>> {
    let mut compiler = Compiler::new(spec, vault, side);
    compiler.check_key_names();
    if spec.seal.is_empty() && spec.open.is_empty() {
        compiler.mistake("seal", "an envelope needs `seal` with `write`, or `open`, or both");
    }

    compiler.begin(true);
    let seal = compiler.steps("seal", &spec.seal);
    let write = compiler.fields("write", &spec.write);
    match (spec.seal.is_empty(), spec.write.is_empty()) {
        (false, true) => compiler.mistake("write", "name the fields that `seal` gives"),
        (true, false) => compiler.mistake("seal", "`write` needs parts to write"),
        _ => {}
    }

    compiler.begin(false);
    let open = compiler.steps("open", &spec.open);
    if !spec.open.is_empty() && compiler.names.get("plain") != Some(&Type::Bytes) {
        compiler.mistake("open", "one part must be named `plain`: the opened message");
    }

    let Compiler { mut mistakes, params, shared_keys, keys, names, .. } = compiler;
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let (find, mut wrong) = (|name: &str| slot_of(&names, name), Vec::new());
    let freshness = freshness::compile(spec, &open, &find, &mut wrong);
    mistakes.extend(wrong.into_iter().map(|(path, message)| Mistake { path, message }));
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let provider = vault.provider().clone();
    Ok(Envelope { seal, write, open, shared_keys, keys, params, freshness, provider })
}

/// The place of a part that has bytes.
fn slot_of(names: &IndexMap<String, Type>, name: &str) -> Option<Slot> {
    names.get_full(name).filter(|(_, _, value)| **value == Type::Bytes).map(|(slot, ..)| slot)
}

/// What a part's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Bytes,
    Json,
    /// A check; has no value.
    Check,
}

struct Compiler<'a> {
    spec: &'a EnvelopeSpec,
    vault: &'a Vault,
    side: Side,
    sealing: bool,
    /// The parts so far, in slot order.
    names: IndexMap<String, Type>,
    mistakes: Vec<Mistake>,
    params: Vec<String>,
    shared_keys: Vec<KeyHandle>,
    /// Every key, each once.
    keys: Vec<KeyHandle>,
}

impl<'a> Compiler<'a> {
    fn new(spec: &'a EnvelopeSpec, vault: &'a Vault, side: Side) -> Self {
        Self {
            spec,
            vault,
            side,
            sealing: true,
            names: IndexMap::new(),
            mistakes: Vec::new(),
            params: Vec::new(),
            shared_keys: Vec::new(),
            keys: Vec::new(),
        }
    }

    fn begin(&mut self, sealing: bool) {
        self.sealing = sealing;
        self.names.clear();
        if sealing {
            self.names.insert("plain".into(), Type::Bytes);
        }
    }

    fn mistake(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.mistakes.push(Mistake { path: path.into(), message: message.into() });
    }

    fn check_key_names(&mut self) {
        for (name, reference) in &self.spec.keys {
            let path = format!("keys.{name}");
            let role = name.split_once('.').filter(|(role, rest)| {
                ["ours", "theirs", "shared"].contains(role) && !rest.is_empty() && !rest.contains('.')
            });
            if role.is_none() {
                self.mistake(&path, "a key is named by its role: `ours.x`, `theirs.x` or `shared.x`");
            }
            if let Err(message) = key_ref(reference) {
                self.mistake(&path, message);
            }
        }
    }

    fn steps(&mut self, list: &str, parts: &[PartSpec]) -> Vec<Step> {
        if parts.len() > MAX_PARTS {
            self.mistake(list, format!("an envelope has at most {MAX_PARTS} parts"));
            return Vec::new();
        }
        let mut steps = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            let path = format!("{list}[{index}]");
            let known = self.mistakes.len();
            let op = self.part(&path, part);
            let value = match &op {
                Some(Op::ParseJson(_)) => Type::Json,
                Some(Op::Sm2Verify { .. } | Op::Verify { .. } | Op::Equals { .. }) => Type::Check,
                _ => Type::Bytes,
            };
            self.declare(&path, &part.name, value);
            match op {
                Some(op) => steps.push(Step { name: part.name.clone(), op }),
                // A part that gave nothing has said why.
                None => debug_assert!(self.mistakes.len() > known),
            }
        }
        steps
    }

    /// Gives the part its slot, even after a mistake, so that later references to it are not reported as well.
    fn declare(&mut self, path: &str, name: &str, value: Type) {
        let path = format!("{path}.name");
        let fine =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !fine {
            self.mistake(&path, "a part's name is letters, digits, `_` and `-`");
        } else if self.names.contains_key(name) {
            self.mistake(&path, format!("there is already a part `{name}`"));
        }
        let unique = match self.names.contains_key(name) {
            true => format!("{name}.{}", self.names.len()),
            false => name.to_owned(),
        };
        self.names.insert(unique, value);
    }

    /// The slot of an earlier part whose value is of this type.
    fn slot(&mut self, path: &str, name: &str, wanted: Type) -> Option<Slot> {
        match self.names.get_full(name) {
            Some((slot, _, value)) if *value == wanted => Some(slot),
            Some((_, _, Type::Check)) => {
                self.mistake(path, format!("`{name}` is a check and has no value"));
                None
            }
            Some((_, _, Type::Json)) => {
                self.mistake(path, format!("`{name}` is parsed JSON; take its fields with `read`"));
                None
            }
            Some(_) => {
                self.mistake(path, format!("`{name}` is bytes; parse it with `parseJson` first"));
                None
            }
            None => {
                let known: Vec<_> = self.names.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                self.mistake(path, format!("there is no earlier part `{name}`; so far: {known}"));
                None
            }
        }
    }

    fn bytes(&mut self, path: &str, name: &str) -> Option<Slot> {
        self.slot(path, name, Type::Bytes)
    }

    fn fields(&mut self, path: &str, fields: &IndexMap<String, WriteSpec>) -> Vec<Field> {
        let mut out = Vec::with_capacity(fields.len());
        for (name, field) in fields {
            let slot = self.bytes(&format!("{path}.{name}.part"), &field.part);
            out.extend(slot.map(|slot| Field { name: name.clone(), slot, form: field.form }));
        }
        out
    }

    /// The key of a role, as this side sees it.
    fn key(
        &mut self,
        path: &str,
        name: &str,
        roles: &[&str],
        kind: KeyKind,
        purpose: Purpose,
    ) -> Option<KeyHandle> {
        let role = name.split_once('.').map_or(name, |(role, _)| role);
        if !roles.contains(&role) {
            self.mistake(path, format!("`{name}` is no key for this; expected {}.x", roles.join(".x or ")));
            return None;
        }
        let own_name = self.own_name(name);
        let Some(reference) = self.spec.keys.get(&own_name) else {
            let why = if own_name == name { "" } else { ", which the partner's side uses here" };
            self.mistake(path, format!("`keys` has no `{own_name}`{why}"));
            return None;
        };
        let reference: KeyRef = key_ref(reference).ok()?;
        let handle = self.vault.key(&reference);
        if !self.keys.iter().any(|key| *key.key() == reference) {
            self.keys.push(handle.clone());
        }
        self.check_existing(path, &handle, kind, purpose);
        if role == "shared" && !self.sealing && !self.shared_keys.iter().any(|key| *key.key() == reference) {
            self.shared_keys.push(handle.clone());
        }
        Some(handle)
    }

    /// The name in `keys` and `identities` of what this side calls so.
    fn own_name(&self, name: &str) -> String {
        match (self.side, name.split_once('.')) {
            (Side::Partner, Some(("ours", rest))) => format!("theirs.{rest}"),
            (Side::Partner, Some(("theirs", rest))) => format!("ours.{rest}"),
            _ => name.to_owned(),
        }
    }

    fn check_existing(&mut self, path: &str, handle: &KeyHandle, kind: KeyKind, purpose: Purpose) {
        let Ok(info) = handle.info() else { return };
        if (info.kind, info.purpose) != (kind, purpose) {
            let message = format!(
                "{} is a key of kind {:?} for {}; needed is {kind:?} for {purpose}",
                handle.key(),
                info.kind,
                info.purpose
            );
            self.mistake(path, message);
        }
    }

    fn key_source(&mut self, path: &str, name: &str, kind: KeyKind, purpose: Purpose) -> Option<KeySource> {
        match name.contains('.') {
            true => self.key(path, name, &["shared"], kind, purpose).map(KeySource::Vault),
            false => self.bytes(path, name).map(KeySource::Part),
        }
    }

    /// Literal text with `${part}` inside; `$${` stands for `${`.
    fn template(&mut self, path: &str, text: &str) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, after) = (&rest[..at], &rest[at + 2..]);
            if let Some(before) = before.strip_suffix('$') {
                literal.push_str(before);
                literal.push_str("${");
                rest = after;
                continue;
            }
            literal.push_str(before);
            let Some((name, tail)) = after.split_once('}') else {
                self.mistake(path, "`${` without `}`; write `$${` for the characters themselves");
                return None;
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal).into_bytes()));
            }
            pieces.push(Piece::Part(self.bytes(path, name)?));
            rest = tail;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into_bytes()));
        }
        Some(pieces)
    }
}
