//! The files of a service description: the WSDL, what it imports and includes, all below the partner's folder.
use std::collections::{HashMap, HashSet, VecDeque};

use super::{
    definitions::{Parts, is_definitions},
    names::{SOAP_11, SOAP_12, WSDL, XSD},
    publish::{Document, Hole},
    schema::{Kind, Particle, Schemas, Simple, Term, TypeRef, read},
    tree::{self, Element, Name},
};

/// Files of one description at most, and their bytes together.
const MAX_FILES: usize = 64;
const MAX_BYTES: usize = 16 << 20;

/// Reads a file by its path below the partner's folder.
pub type ReadFile<'f> = &'f dyn Fn(&str) -> Result<Vec<u8>, String>;

/// A description as it was read.
pub struct Loaded {
    pub documents: Vec<Document>,
    pub operations: Vec<super::definitions::Operation>,
    pub schemas: Schemas,
}

/// Reads a WSDL with all that it imports.
///
/// # Errors
/// The file and what is wrong with it.
pub fn load(path: &str, file: ReadFile<'_>) -> Result<Loaded, String> {
    let files = files(path, file)?;
    let (mut parts, mut schemas) = (Parts::default(), Schemas::default());
    let mut seen = HashSet::new();
    for loaded in &files {
        let wrong = |error: String| format!("{}: {error}", loaded.path);
        if is_definitions(&loaded.root) {
            parts.add(&loaded.root);
            let inline = loaded.root.all("types").flat_map(|types| &types.children);
            for schema in inline.filter(|child| child.name.is(XSD, "schema")) {
                read::read(schema, "", &mut schemas).map_err(wrong)?;
            }
        } else if seen.insert((loaded.path.clone(), loaded.chameleon.clone())) {
            read::read(&loaded.root, &loaded.chameleon, &mut schemas).map_err(wrong)?;
        }
    }
    let operations = parts.operations(&schemas)?;
    for operation in &operations {
        let output = operation.output.as_ref().and_then(|output| output.element.as_ref());
        for element in operation.input.iter().chain(output) {
            let mut checked = HashSet::new();
            references(&schemas, &element.ty, &mut checked, 0)
                .map_err(|error| format!("operation {}: {error}", operation.name))?;
        }
    }
    let documents = files
        .into_iter()
        .fold((Vec::new(), HashSet::new()), |(mut documents, mut known), file| {
            if known.insert(file.path.clone()) {
                documents.push(Document::new(file.path, file.text, file.holes));
            }
            (documents, known)
        })
        .0;
    Ok(Loaded { documents, operations, schemas })
}

struct File {
    path: String,
    text: String,
    root: Element,
    /// The namespace of the schema that includes this one.
    chameleon: String,
    holes: Vec<Hole>,
}

fn files(path: &str, read: ReadFile<'_>) -> Result<Vec<File>, String> {
    let mut wanted = VecDeque::from([(path.to_owned(), String::new())]);
    let mut known: HashMap<(String, String), ()> = HashMap::new();
    let (mut files, mut bytes) = (Vec::new(), 0);
    while let Some((path, chameleon)) = wanted.pop_front() {
        if known.insert((path.clone(), chameleon.clone()), ()).is_some() {
            continue;
        }
        let content = read(&path).map_err(|error| format!("{path}: {error}"))?;
        bytes += content.len();
        if files.len() >= MAX_FILES || bytes > MAX_BYTES {
            return Err(format!("more than {MAX_FILES} files or 16 MiB"));
        }
        let (text, root) = tree::read(&content).map_err(|error| format!("{path}: {error}"))?;
        let schema = root.name.is(XSD, "schema");
        if !schema && !is_definitions(&root) {
            return Err(format!("{path}: neither a WSDL 1.1 nor a schema, its root is {}", root.name));
        }
        let mut holes = Vec::new();
        links(&root, &path, &chameleon, &mut holes, &mut wanted)
            .map_err(|error| format!("{path}: {error}"))?;
        holes.sort_by_key(|hole| hole.span.start);
        files.push(File { path, text, root, chameleon, holes });
    }
    Ok(files)
}

/// Finds the addresses and the references to other files.
fn links(
    at: &Element,
    path: &str,
    namespace: &str,
    holes: &mut Vec<Hole>,
    wanted: &mut VecDeque<(String, String)>,
) -> Result<(), String> {
    let own =
        if at.name.is(XSD, "schema") { at.get("targetNamespace").unwrap_or(namespace) } else { namespace };
    let attribute = match (&*at.name.namespace, &*at.name.local) {
        (SOAP_11 | SOAP_12, "address") => {
            if let Some(location) = at.attribute("location") {
                holes.push(Hole { span: location.span.clone(), file: None });
            }
            None
        }
        (XSD, "redefine") => return Err("redefine is not supported".into()),
        (XSD, "import" | "include") => at.attribute("schemaLocation"),
        (WSDL, "import") => at.attribute("location"),
        _ => None,
    };
    if let Some(location) = attribute {
        let file = beside(path, &location.value)?;
        let chameleon = if &*at.name.local == "include" { own } else { "" };
        wanted.push_back((file.clone(), chameleon.to_owned()));
        holes.push(Hole { span: location.span.clone(), file: Some(file) });
    }
    at.children.iter().try_for_each(|child| links(child, path, own, holes, wanted))
}

/// The path of a file named relative to another.
fn beside(path: &str, location: &str) -> Result<String, String> {
    if location.contains("://") {
        return Err(format!("imports {location}: put the file beside this one and import it by its name"));
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in location.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop().ok_or("imports a file outside the partner's folder")?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Refuses names that no schema has, as far as a type reaches.
fn references<'s>(
    schemas: &'s Schemas,
    ty: &'s TypeRef,
    seen: &mut HashSet<Name>,
    depth: usize,
) -> Result<(), String> {
    if depth > 100 {
        return Ok(());
    }
    if let TypeRef::Named(name) = ty {
        if !seen.insert(name.clone()) {
            return Ok(());
        }
        let builtin = *name.namespace == *XSD;
        if !builtin && !schemas.types.contains_key(name) {
            return Err(format!("no schema has the type {name}"));
        }
    }
    match schemas.kind(ty) {
        Kind::Simple(Simple::Restriction { base, .. }) => references(schemas, base, seen, depth + 1),
        Kind::Simple(Simple::List(item)) => references(schemas, item, seen, depth + 1),
        Kind::Simple(Simple::Union(members)) => {
            members.iter().try_for_each(|member| references(schemas, member, seen, depth + 1))
        }
        Kind::Complex(complex) => {
            if let Some(base) = &complex.base {
                references(schemas, base, seen, depth + 1)?;
            }
            complex.content.iter().try_for_each(|content| particle(schemas, content, seen, depth + 1))
        }
        Kind::Builtin(_) | Kind::Any => Ok(()),
    }
}

fn particle<'s>(
    schemas: &'s Schemas,
    at: &'s Particle,
    seen: &mut HashSet<Name>,
    depth: usize,
) -> Result<(), String> {
    match &at.term {
        Term::Element(element) => references(schemas, &element.ty, seen, depth + 1),
        Term::Ref(name) => {
            let element =
                schemas.elements.get(name).ok_or_else(|| format!("no schema has the element {name}"))?;
            references(schemas, &element.ty, seen, depth + 1)
        }
        Term::Group(name) => {
            let group = schemas.groups.get(name).ok_or_else(|| format!("no schema has the group {name}"))?;
            if depth > 100 { Ok(()) } else { particle(schemas, group, seen, depth + 1) }
        }
        Term::Sequence(parts) | Term::Choice(parts) | Term::All(parts) => {
            parts.iter().try_for_each(|part| particle(schemas, part, seen, depth + 1))
        }
        Term::Any => Ok(()),
    }
}
