//! XML with its namespaces, as WSDL, XSD and the checks of requests need it; the documents of mappings drop them.
use std::{fmt, ops::Range, sync::Arc};

use qiao_mappings::{Charset, Codec, CodecKind, CodecSpec};
use quick_xml::{
    Reader, XmlVersion,
    events::{BytesRef, BytesStart, Event},
};

/// Elements of one document at most; levels are bounded by the xml codec, and here once more.
const MAX_ELEMENTS: usize = 200_000;
const MAX_DEPTH: usize = 80;

/// A name with its namespace, empty where it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    pub namespace: Arc<str>,
    pub local: Arc<str>,
}

impl Name {
    pub fn new(namespace: &str, local: &str) -> Self {
        Self { namespace: namespace.into(), local: local.into() }
    }

    pub fn is(&self, namespace: &str, local: &str) -> bool {
        *self.namespace == *namespace && *self.local == *local
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(out, "{}", self.local)
        } else {
            write!(out, "{{{}}}{}", self.namespace, self.local)
        }
    }
}

/// The prefixes bound at an element, innermost last.
type Bindings = Vec<(Box<str>, Arc<str>)>;

/// An element.
#[derive(Clone, Debug)]
pub struct Element {
    pub name: Name,
    pub attributes: Vec<Attribute>,
    pub children: Vec<Element>,
    /// All text directly inside.
    pub text: String,
    bindings: Arc<Bindings>,
}

#[derive(Clone, Debug)]
pub struct Attribute {
    pub name: Name,
    pub value: String,
    /// Where the value stands in the document, between its quotes.
    pub span: Range<usize>,
}

impl Element {
    /// The value of an attribute without namespace.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attribute(name).map(|attribute| attribute.value.as_str())
    }

    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.is("", name))
    }

    /// The name that a QName means here; a name without prefix is in the default namespace.
    pub fn resolve(&self, text: &str) -> Option<Name> {
        let text = text.trim();
        let (prefix, local) = text.split_once(':').unwrap_or(("", text));
        let namespace = lookup(&self.bindings, prefix)?;
        Some(Name { namespace, local: local.into() })
    }

    /// Children of a name in the namespace of this element.
    pub fn all<'e>(&'e self, local: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.name.is(&self.name.namespace, local))
    }

    pub fn one(&self, local: &str) -> Option<&Element> {
        self.child(&self.name.namespace, local)
    }

    /// A child of that name.
    pub fn child(&self, namespace: &str, local: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name.is(namespace, local))
    }
}

fn lookup(bindings: &Bindings, prefix: &str) -> Option<Arc<str>> {
    let bound = bindings.iter().rev().find(|(known, _)| **known == *prefix);
    match bound {
        Some((_, uri)) => Some(Arc::clone(uri)),
        None if prefix.is_empty() => Some("".into()),
        None if prefix == "xml" => Some("http://www.w3.org/XML/1998/namespace".into()),
        None => None,
    }
}

/// Reads a file: UTF-8 and as strict as the xml codec, so that a document type declaration, an entity of its own or a
/// processing instruction is refused.
///
/// # Errors
/// What is wrong, with line and column.
pub fn read(bytes: &[u8]) -> Result<(String, Element), String> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8: save it as UTF-8".to_owned())?;
    let spec = CodecSpec { codec: CodecKind::Xml, charset: Some(Charset::Utf8), ..CodecSpec::default() };
    let codec = Codec::compile(&spec).map_err(|_| "the xml codec cannot be made".to_owned())?;
    codec.decode(bytes).map_err(|error| error.to_string())?;
    Ok((text.to_owned(), parse(text)?))
}

/// Reads a document that a codec has already found well-formed.
///
/// # Errors
/// What quick-xml finds wrong, an unbound prefix, a document type declaration, too many elements or levels.
pub fn parse(text: &str) -> Result<Element, String> {
    let mut reader = Reader::from_str(text);
    let (mut open, mut root, mut count): (Vec<Element>, Option<Element>, usize) = (Vec::new(), None, 0);
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        if matches!(event, Event::Start(_) | Event::Empty(_)) {
            count += 1;
            if count > MAX_ELEMENTS || open.len() > MAX_DEPTH {
                return Err(format!("more than {MAX_ELEMENTS} elements or {MAX_DEPTH} levels"));
            }
        }
        match event {
            Event::Start(tag) => open.push(element(&tag, open.last(), text)?),
            Event::Empty(tag) => {
                let element = element(&tag, open.last(), text)?;
                place(element, &mut open, &mut root)?;
            }
            Event::End(_) => {
                let element = open.pop().ok_or("an end tag without its start")?;
                place(element, &mut open, &mut root)?;
            }
            Event::Text(part) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&part.xml10_content());
                }
            }
            Event::CData(part) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&part.xml10_content());
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(element) = open.last_mut() {
                    element.text.push(referenced(&reference)?);
                }
            }
            Event::DocType(_) => return Err("a document type declaration".into()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if open.is_empty() { root.ok_or_else(|| "no root element".into()) } else { Err("an open element".into()) }
}

fn place(element: Element, open: &mut [Element], root: &mut Option<Element>) -> Result<(), String> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_none() => *root = Some(element),
        None => return Err("a second root element".into()),
    }
    Ok(())
}

fn referenced(reference: &BytesRef<'_>) -> Result<char, String> {
    if let Some(c) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(c);
    }
    match &*reference.xml10_content() {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        _ => Err("a reference to an entity of its own".into()),
    }
}

fn element(tag: &BytesStart<'_>, parent: Option<&Element>, text: &str) -> Result<Element, String> {
    let mut written: Vec<(&str, String, Range<usize>)> = Vec::new();
    let mut bindings = parent.map(|parent| Arc::clone(&parent.bindings)).unwrap_or_default();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
        let key = attribute.key.0;
        let prefix = if key == "xmlns" { Some("") } else { key.strip_prefix("xmlns:") };
        if let Some(prefix) = prefix {
            Arc::make_mut(&mut bindings).push((prefix.into(), value.as_ref().into()));
        } else {
            // The value is borrowed from the text, which the offsets are counted in.
            let start = (attribute.value.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
            written.push((key, value.into_owned(), start..start.saturating_add(attribute.value.len())));
        }
    }
    let name = |text: &str, default: bool| {
        let (prefix, local) = text.split_once(':').unwrap_or(("", text));
        let namespace =
            if prefix.is_empty() && !default { Some("".into()) } else { lookup(&bindings, prefix) };
        let namespace = namespace.ok_or_else(|| format!("the prefix {prefix} is not bound"))?;
        Ok::<_, String>(Name { namespace, local: local.into() })
    };
    let attributes = written
        .into_iter()
        .map(|(key, value, span)| Ok(Attribute { name: name(key, false)?, value, span }))
        .collect::<Result<_, String>>()?;
    let name = name(tag.name().0, true)?;
    Ok(Element { name, attributes, children: Vec::new(), text: String::new(), bindings })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn resolves_names_and_knows_where_values_stand() {
        let text = "<a xmlns='urn:d' xmlns:p='urn:p'><p:b t='p:x' u=\"a&amp;b\"/><c xmlns=''>1&lt;<![CDATA[2]]></c></a>";
        let (_, root) = read(text.as_bytes()).expect("well-formed");
        assert_eq!(root.name.to_string(), "{urn:d}a");
        let b = &root.children[0];
        assert_eq!(b.name.to_string(), "{urn:p}b");
        assert_eq!(b.resolve("p:x"), Some(Name::new("urn:p", "x")));
        assert_eq!(b.resolve("y"), Some(Name::new("urn:d", "y")));
        assert_eq!(b.resolve("q:y"), None);
        let u = b.attribute("u").expect("u");
        assert_eq!((u.value.as_str(), &text[u.span.clone()]), ("a&b", "a&amp;b"));
        assert_eq!((root.children[1].name.to_string(), root.children[1].text.as_str()), ("c".into(), "1<2"));
    }

    #[test]
    fn refuses_what_the_codec_refuses() {
        for text in [
            "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
            "<a>&e;</a>",
            "<a><b></a></b>",
            "<p:a/>",
            "",
            "<a/><b/>",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[<>/a:= '\"&;!\\[\\]?xmlns-]{0,120}") {
            drop(parse(&text));
            drop(read(text.as_bytes()));
        }
    }
}
