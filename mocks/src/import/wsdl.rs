//! A partner of a WSDL: the description beside a stub for every operation that answers the skeleton, ready to be edited.
use std::cell::RefCell;

use super::{
    draft::{Draft, Files, ImportReport, Part, slug},
    escaped,
};
use crate::{
    spec::{ListenSpec, Proto, Respond, StubSpec},
    wsdl::Contract,
};

/// Makes a draft of the first WSDL among the files.
///
/// # Errors
/// No WSDL, or one that cannot be served.
pub fn draft(files: &Files, partner: &str) -> Result<Draft, String> {
    let main = files.keys().find(|name| name.ends_with(".wsdl")).ok_or("no file *.wsdl")?;
    let read = |name: &str| files.get(name).cloned().ok_or_else(|| "it is not there".to_owned());
    let contract = Contract::load(main, false, &read)?;
    let (mut stubs, mut pointers) = (Vec::new(), Vec::new());
    for (number, operation) in contract.operations.iter().enumerate() {
        let Some(skeleton) = contract.skeleton(number) else { continue };
        stubs.push(StubSpec {
            item: Some(operation.name.clone()),
            respond: Respond { json: Some(escaped(&skeleton)), ..Respond::default() },
            ..StubSpec::named(slug(&operation.name))
        });
        pointers.push(format!("operation {}", operation.name));
    }
    let mut beside = Files::new();
    for path in contract.paths() {
        beside.insert(format!("wsdl/{path}"), read(path)?);
    }
    let mut listen = ListenSpec::on_path("ws", Proto::Soap, format!("/{partner}"));
    listen.wsdl = Some(format!("wsdl/{main}"));
    listen.strict = true;
    Ok(Draft {
        partner: partner.to_owned(),
        title: partner.to_owned(),
        about: format!("Imported from {main}."),
        listen,
        parameters: Vec::new(),
        parts: vec![Part { file: main.clone(), stubs, pointers, bodies: Files::new() }],
        beside,
        report: ImportReport::default(),
    })
}

/// Reads a WSDL and what it imports, by paths below their common folder.
///
/// # Errors
/// A file that is not there, or a description that cannot be served.
pub fn read(path: &std::path::Path) -> Result<Files, String> {
    let path = std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let home = path.ancestors().nth(4).or(path.ancestors().last()).unwrap_or(&path).to_owned();
    let relative = |path: &std::path::Path| {
        path.strip_prefix(&home).unwrap_or(path).to_string_lossy().replace('\\', "/")
    };
    let found = RefCell::new(Files::new());
    let load = |name: &str| {
        let bytes = std::fs::read(home.join(name)).map_err(|error| error.to_string())?;
        found.borrow_mut().insert(name.to_owned(), bytes.clone());
        Ok(bytes)
    };
    Contract::load(&relative(&path), false, &load)?;
    let found = found.into_inner();
    let shared = found
        .keys()
        .map(|name| name.rfind('/').map_or("", |end| &name[..=end]))
        .reduce(common)
        .unwrap_or("")
        .len();
    Ok(found.iter().map(|(name, bytes)| (name[shared..].to_owned(), bytes.clone())).collect())
}

/// The folder that both lie in.
fn common<'t>(one: &'t str, other: &'t str) -> &'t str {
    let mut end = 0;
    for (at, _) in one.match_indices('/') {
        if other.get(..=at) == one.get(..=at) {
            end = at + 1;
        }
    }
    &one[..end]
}
