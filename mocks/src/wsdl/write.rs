//! Writing a document as the child of a Body: every element in the namespace and order that its schema gives it.
use std::sync::Arc;

use qiao_mappings::SoapVersion;
use serde_json::{Map, Value};

use super::{
    names::{ENVELOPE_11, ENVELOPE_12, XSI},
    schema::{Complex, ElementDecl, Kind, Particle, Schemas, Term, TypeRef},
    tree::Name,
};

/// Levels of a document at most.
const MAX_DEPTH: usize = 64;

/// The whole envelope around `content`; none for an empty Body.
///
/// # Errors
/// What XML cannot carry: a name that is none, a control character, a list of lists, too many levels.
pub fn envelope(
    schemas: &Schemas,
    decl: Option<&ElementDecl>,
    content: &Value,
    version: SoapVersion,
) -> Result<Vec<u8>, String> {
    let mut writer = Writer { schemas, out: String::with_capacity(512), prefixes: Vec::new() };
    if let Some(decl) = decl {
        writer.element(&decl.name, Some(&decl.ty), content, 0)?;
    }
    let envelope = match version {
        SoapVersion::V11 => ENVELOPE_11,
        SoapVersion::V12 => ENVELOPE_12,
    };
    let mut out =
        format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><soapenv:Envelope xmlns:soapenv=\"{envelope}\"");
    for (number, namespace) in writer.prefixes.iter().enumerate() {
        out.push_str(&format!(" xmlns:n{number}=\""));
        escape(&mut out, namespace)?;
        out.push('"');
    }
    out.push_str("><soapenv:Body>");
    out.push_str(&writer.out);
    out.push_str("</soapenv:Body></soapenv:Envelope>");
    Ok(out.into_bytes())
}

struct Writer<'s> {
    schemas: &'s Schemas,
    out: String,
    /// Namespaces in the order of their prefixes n0, n1, …
    prefixes: Vec<Arc<str>>,
}

impl Writer<'_> {
    fn element(
        &mut self,
        name: &Name,
        ty: Option<&TypeRef>,
        value: &Value,
        depth: usize,
    ) -> Result<(), String> {
        if depth >= MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} levels"));
        }
        if !is_name(&name.local) {
            return Err(format!("`{}` is no element's name", name.local));
        }
        let tag = self.prefixed(name);
        self.out.push('<');
        self.out.push_str(&tag);
        let complex = match ty.map(|ty| self.schemas.kind(ty)) {
            Some(Kind::Complex(complex)) => Some(complex),
            _ => None,
        };
        match value {
            Value::Null => {
                let nil = self.prefixed(&Name::new(XSI, "nil"));
                self.out.push_str(&format!(" {nil}=\"true\"/>"));
                return Ok(());
            }
            Value::Object(members) => {
                self.attributes(members, complex)?;
                self.out.push('>');
                if let Some(text) = members.get("#text") {
                    self.text(text)?;
                }
                self.children(name, members, complex, depth)?;
            }
            Value::Array(_) => return Err(format!("`{}` is a list of lists", name.local)),
            scalar => {
                self.out.push('>');
                self.text(scalar)?;
            }
        }
        self.out.push_str(&format!("</{tag}>"));
        Ok(())
    }

    fn prefixed(&mut self, name: &Name) -> String {
        if name.namespace.is_empty() {
            return name.local.to_string();
        }
        let known = self.prefixes.iter().position(|known| *known == name.namespace);
        let number = known.unwrap_or_else(|| {
            self.prefixes.push(Arc::clone(&name.namespace));
            self.prefixes.len() - 1
        });
        format!("n{number}:{}", name.local)
    }

    fn attributes(&mut self, members: &Map<String, Value>, complex: Option<&Complex>) -> Result<(), String> {
        let schemas = self.schemas;
        let declared = complex.map(|complex| schemas.attributes(complex).0).unwrap_or_default();
        for (key, value) in members {
            let Some(local) = key.strip_prefix('@') else { continue };
            if value.is_null() {
                continue;
            }
            if !is_name(local) {
                return Err(format!("`{key}` is no attribute's name"));
            }
            let name = declared.iter().find(|decl| *decl.name.local == *local).map(|decl| decl.name.clone());
            let name = self.prefixed(&name.unwrap_or_else(|| Name::new("", local)));
            self.out.push_str(&format!(" {name}=\""));
            escape(&mut self.out, &scalar(value)?)?;
            self.out.push('"');
        }
        Ok(())
    }

    /// Children in the order of the schema, then those that it does not know, in the form of their parent's others.
    fn children(
        &mut self,
        parent: &Name,
        members: &Map<String, Value>,
        complex: Option<&Complex>,
        depth: usize,
    ) -> Result<(), String> {
        let schemas = self.schemas;
        let mut declared: Vec<&ElementDecl> = Vec::new();
        for particle in complex.map(|complex| schemas.particles(complex)).unwrap_or_default() {
            flatten(schemas, particle, &mut declared, 0);
        }
        let mut written: Vec<&str> = Vec::new();
        for decl in &declared {
            if let Some(value) = members.get(&*decl.name.local)
                && !written.contains(&&*decl.name.local)
            {
                written.push(&decl.name.local);
                self.member(&decl.name, Some(decl), value, depth)?;
            }
        }
        let qualified = declared.first().is_none_or(|decl| !decl.name.namespace.is_empty());
        let namespace = if qualified && complex.is_some() { &*parent.namespace } else { "" };
        for (key, value) in members {
            if !key.starts_with('@') && key != "#text" && !written.contains(&key.as_str()) {
                self.member(&Name::new(namespace, key), None, value, depth)?;
            }
        }
        Ok(())
    }

    fn member(
        &mut self,
        name: &Name,
        decl: Option<&ElementDecl>,
        value: &Value,
        depth: usize,
    ) -> Result<(), String> {
        let ty = decl.map(|decl| &decl.ty);
        match value {
            Value::Null if !decl.is_some_and(|decl| decl.nillable) => Ok(()),
            Value::Array(values) => {
                values.iter().try_for_each(|value| self.element(name, ty, value, depth + 1))
            }
            value => self.element(name, ty, value, depth + 1),
        }
    }

    fn text(&mut self, value: &Value) -> Result<(), String> {
        escape(&mut self.out, &scalar(value)?)
    }
}

/// The elements a particle may hold, in order.
fn flatten<'s>(schemas: &'s Schemas, particle: &'s Particle, found: &mut Vec<&'s ElementDecl>, depth: usize) {
    match &particle.term {
        Term::Sequence(parts) | Term::Choice(parts) | Term::All(parts) if depth < MAX_DEPTH => {
            parts.iter().for_each(|part| flatten(schemas, part, found, depth + 1));
        }
        Term::Group(name) if depth < MAX_DEPTH => {
            if let Some(group) = schemas.groups.get(name) {
                flatten(schemas, group, found, depth + 1);
            }
        }
        term => found.extend(schemas.declaration(term).map(|decl| &**decl)),
    }
}

/// Every element of a particle with whether it is a list, for the lists of documents.
pub fn lists<'s>(schemas: &'s Schemas, complex: &'s Complex) -> Vec<(&'s ElementDecl, bool)> {
    fn walk<'s>(
        schemas: &'s Schemas,
        particle: &'s Particle,
        many: bool,
        depth: usize,
        found: &mut Vec<(&'s ElementDecl, bool)>,
    ) {
        let many = many || particle.max.is_none_or(|max| max > 1);
        match &particle.term {
            Term::Sequence(parts) | Term::Choice(parts) | Term::All(parts) if depth < MAX_DEPTH => {
                parts.iter().for_each(|part| walk(schemas, part, many, depth + 1, found));
            }
            Term::Group(name) if depth < MAX_DEPTH => {
                if let Some(group) = schemas.groups.get(name) {
                    walk(schemas, group, many, depth + 1, found);
                }
            }
            term => found.extend(schemas.declaration(term).map(|decl| (&**decl, many))),
        }
    }
    let mut found = Vec::new();
    schemas.particles(complex).into_iter().for_each(|particle| walk(schemas, particle, false, 0, &mut found));
    found
}

fn scalar(value: &Value) -> Result<String, String> {
    crate::matching::memo::scalar(value)
        .map(std::borrow::Cow::into_owned)
        .ok_or_else(|| "a list or an object where the schema has text".to_owned())
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// Text or an attribute's value, escaped.
fn escape(out: &mut String, text: &str) -> Result<(), String> {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\n' | '\t' => out.push(c),
            c if c < ' ' || matches!(c, '\u{FFFE}' | '\u{FFFF}') => {
                return Err("a character that XML 1.0 does not allow".into());
            }
            c => out.push(c),
        }
    }
    Ok(())
}
