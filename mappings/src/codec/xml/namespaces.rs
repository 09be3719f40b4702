//! Namespaces: the bindings in force while reading, and the declarations to write.

use super::Format;
use super::chars::{first_illegal, is_ncname};
use super::write::escape_attribute;
use crate::codec::CodecSpec;
use crate::error::SpecError;
use std::borrow::Cow;

pub(super) const XML: &str = "http://www.w3.org/XML/1998/namespace";
pub(super) const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
pub(super) const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// The prefix of the envelope the soap codec writes.
pub(in crate::codec) const ENVELOPE_PREFIX: &str = "soapenv";

/// The bindings in force, innermost last.
#[derive(Default)]
pub(super) struct Bindings<'a>(Vec<(&'a str, Cow<'a, str>)>);

impl<'a> Bindings<'a> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// The prefixes bound since there were `len` bindings.
    pub(super) fn since(&self, len: usize) -> impl Iterator<Item = &'a str> {
        self.0.iter().skip(len).map(|(prefix, _)| *prefix)
    }

    /// Binds a prefix, `""` for the default namespace.
    pub(super) fn bind(&mut self, prefix: &'a str, uri: Cow<'a, str>) -> Result<(), &'static str> {
        match prefix {
            "xmlns" => return Err("the prefix xmlns cannot be declared"),
            "xml" if uri != XML => return Err("the prefix xml is bound to another namespace"),
            _ if uri == XMLNS || (uri == XML && prefix != "xml") => {
                return Err("a reserved namespace is declared");
            }
            "" => {}
            _ if uri.is_empty() => return Err("a prefix is bound to no namespace"),
            _ => {}
        }
        self.0.push((prefix, uri));
        Ok(())
    }

    /// The namespace of a prefix; `None` when it is not bound. The default namespace may be empty.
    pub(super) fn resolve(&self, prefix: &str) -> Option<&str> {
        match self.0.iter().rev().find(|(bound, _)| *bound == prefix) {
            Some((_, uri)) => Some(uri),
            None if prefix.is_empty() => Some(""),
            None if prefix == "xml" => Some(XML),
            None => None,
        }
    }
}

/// Compiles the namespaces a definition writes.
pub(super) fn compile(spec: &CodecSpec, format: &mut Format, errors: &mut Vec<SpecError>) {
    let prefix = |prefix: &str| is_ncname(prefix) && !matches!(prefix, "xml" | "xmlns" | ENVELOPE_PREFIX);
    let uri = |uri: &str| !uri.is_empty() && first_illegal(uri).is_none() && uri != XML && uri != XMLNS;
    match (&spec.namespace, &spec.prefix) {
        (None, Some(_)) => errors.push(SpecError::new("prefix", "a prefix needs a namespace")),
        (_, Some(given)) if !prefix(given) => {
            errors.push(SpecError::new("prefix", "not a prefix that can be bound"))
        }
        (Some(given), _) if !uri(given) => {
            errors.push(SpecError::new("namespace", "not a namespace that can be bound"))
        }
        (Some(namespace), Some(prefix)) => {
            format.own_declaration = declaration(&format!("xmlns:{prefix}"), namespace);
        }
        (Some(namespace), None) => format.own_declaration = declaration("xmlns", namespace),
        (None, None) => {}
    }
    if spec.qualified && spec.prefix.is_none() {
        errors.push(SpecError::new(
            "qualified",
            "needs a prefix; without one every element is in the namespace",
        ));
    }
    for (name, namespace) in &spec.namespaces {
        let own = spec.prefix.as_ref() == Some(name);
        if own || !prefix(name) || !uri(namespace) {
            errors.push(SpecError::new(
                format!("namespaces.{name}"),
                "not a prefix and namespace that can be bound",
            ));
        }
        format.declarations.push_str(&declaration(&format!("xmlns:{name}"), namespace));
    }
}

fn declaration(name: &str, uri: &str) -> String {
    let mut out = format!(" {name}=\"");
    escape_attribute(&mut out, uri);
    out.push('"');
    out
}
