//! WSDL 1.1: the operations of every SOAP binding over HTTP, with the elements of their messages.
use std::{collections::HashMap, sync::Arc};

use super::{
    names::{HTTP_TRANSPORTS, SOAP_11, SOAP_12, WSDL},
    schema::{Complex, ElementDecl, Particle, Schemas, Term, Type, TypeRef},
    tree::{Element, Name},
};

/// Operations of one description at most.
const MAX_OPERATIONS: usize = 2_000;

/// One operation, the same over SOAP 1.1 and 1.2.
#[derive(Debug)]
pub struct Operation {
    pub name: String,
    /// SOAPAction of each binding, without quotes; none are empty.
    pub actions: Vec<String>,
    /// The child of the Body; none for an empty Body.
    pub input: Option<Arc<ElementDecl>>,
    /// None for an operation that is not answered.
    pub output: Option<Output>,
}

#[derive(Debug)]
pub struct Output {
    pub element: Option<Arc<ElementDecl>>,
}

/// The parts of all files of a description, by name.
#[derive(Default)]
pub struct Parts<'e> {
    pub messages: HashMap<Name, &'e Element>,
    pub port_types: HashMap<Name, &'e Element>,
    pub bindings: Vec<(Name, &'e Element)>,
}

impl<'e> Parts<'e> {
    /// Adds what a `definitions` element defines.
    pub fn add(&mut self, definitions: &'e Element) {
        let target = definitions.get("targetNamespace").unwrap_or_default();
        let named = |element: &'e Element| Some((Name::new(target, element.get("name")?), element));
        self.messages.extend(definitions.all("message").filter_map(named));
        self.port_types.extend(definitions.all("portType").filter_map(named));
        self.bindings.extend(definitions.all("binding").filter_map(named));
    }

    /// The operations of all SOAP bindings.
    ///
    /// # Errors
    /// The operation that cannot be served, and why.
    pub fn operations(&self, schemas: &Schemas) -> Result<Vec<Operation>, String> {
        let mut operations: Vec<Operation> = Vec::new();
        for (name, binding) in &self.bindings {
            let Some(soap) = soap_child(binding, "binding") else { continue };
            let transport = soap.get("transport").unwrap_or(HTTP_TRANSPORTS[0]);
            if !HTTP_TRANSPORTS.contains(&transport) {
                continue;
            }
            let style = soap.get("style").unwrap_or("document");
            for operation in binding.all("operation") {
                let label = operation.get("name").unwrap_or_default();
                let read = self.operation(binding, operation, style, schemas);
                let read =
                    read.map_err(|error| format!("binding {}, operation {label}: {error}", name.local))?;
                add(&mut operations, read)?;
            }
        }
        if operations.is_empty() {
            return Err("no binding of SOAP over HTTP with operations".into());
        }
        Ok(operations)
    }

    fn operation(
        &self,
        binding: &Element,
        operation: &Element,
        style: &str,
        schemas: &Schemas,
    ) -> Result<Operation, String> {
        let name = operation.get("name").ok_or("no name")?.to_owned();
        let port_type =
            binding.get("type").and_then(|text| binding.resolve(text)).ok_or("the binding has no type")?;
        let port_type =
            self.port_types.get(&port_type).ok_or_else(|| format!("there is no portType {port_type}"))?;
        let abstract_operation = port_type
            .all("operation")
            .find(|candidate| candidate.get("name") == Some(&*name))
            .ok_or("the portType has no such operation")?;
        let soap = soap_child(operation, "operation");
        let style = soap.and_then(|soap| soap.get("style")).unwrap_or(style);
        let action = soap.and_then(|soap| soap.get("soapAction")).filter(|action| !action.is_empty());
        let side = |side: &str, wrapper: &str| -> Result<Option<Option<Arc<ElementDecl>>>, String> {
            let Some(message) = abstract_operation.one(side) else { return Ok(None) };
            let message = message
                .get("message")
                .and_then(|text| message.resolve(text))
                .ok_or("a side without message")?;
            let message =
                self.messages.get(&message).ok_or_else(|| format!("there is no message {message}"))?;
            let body = operation.one(side).and_then(|side| soap_child(side, "body"));
            self.body(message, body, style, wrapper, schemas)
                .map(Some)
                .map_err(|error| format!("{side}: {error}"))
        };
        let input = side("input", &name)?.ok_or("only operations that begin with a request can be served")?;
        let output = side("output", &format!("{name}Response"))?.map(|element| Output { element });
        Ok(Operation { actions: action.map(str::to_owned).into_iter().collect(), name, input, output })
    }

    /// The child of the Body that a message becomes.
    fn body(
        &self,
        message: &Element,
        body: Option<&Element>,
        style: &str,
        wrapper: &str,
        schemas: &Schemas,
    ) -> Result<Option<Arc<ElementDecl>>, String> {
        if body.and_then(|body| body.get("use")) == Some("encoded") {
            return Err("use=\"encoded\" is not supported; only literal messages are".into());
        }
        let listed: Option<Vec<&str>> =
            body.and_then(|body| body.get("parts")).map(|parts| parts.split_whitespace().collect());
        let parts: Vec<&Element> = message
            .all("part")
            .filter(|part| {
                listed
                    .as_ref()
                    .is_none_or(|listed| part.get("name").is_some_and(|name| listed.contains(&name)))
            })
            .collect();
        if style == "rpc" {
            let namespace = body.and_then(|body| body.get("namespace")).unwrap_or_default();
            return rpc(Name::new(namespace, wrapper), &parts, schemas).map(Some);
        }
        match parts.as_slice() {
            [] => Ok(None),
            [part] => {
                let element =
                    part.get("element").ok_or("document style needs parts with element, not type")?;
                global(part, element, schemas).map(Some)
            }
            // Further parts are usually headers that the binding does not tell apart.
            _ => Err("document style needs exactly one part in the Body".into()),
        }
    }
}

/// The wrapper of an rpc message with its parts as unqualified children.
fn rpc(name: Name, parts: &[&Element], schemas: &Schemas) -> Result<Arc<ElementDecl>, String> {
    let mut children = Vec::new();
    for part in parts {
        let label = part.get("name").ok_or("a part without name")?;
        let ty = match (part.get("type"), part.get("element")) {
            (Some(ty), _) => {
                TypeRef::Named(part.resolve(ty).ok_or_else(|| format!("the prefix of {ty} is not bound"))?)
            }
            (None, Some(element)) => global(part, element, schemas)?.ty.clone(),
            (None, None) => return Err(format!("part {label} has neither type nor element")),
        };
        let decl = ElementDecl { name: Name::new("", label), ty, nillable: true, fixed: None, default: None };
        children.push(Particle { min: 1, max: Some(1), term: Term::Element(Arc::new(decl)) });
    }
    let content = Some(Particle { min: 1, max: Some(1), term: Term::Sequence(children) });
    let ty = TypeRef::Inline(Arc::new(Type::Complex(Complex { content, ..Complex::default() })));
    Ok(Arc::new(ElementDecl { name, ty, nillable: false, fixed: None, default: None }))
}

fn global(at: &Element, text: &str, schemas: &Schemas) -> Result<Arc<ElementDecl>, String> {
    let name = at.resolve(text).ok_or_else(|| format!("the prefix of {text} is not bound"))?;
    schemas.elements.get(&name).cloned().ok_or_else(|| format!("no schema has the element {name}"))
}

/// Adds an operation, or the action of a further binding to the one already there.
fn add(operations: &mut Vec<Operation>, new: Operation) -> Result<(), String> {
    let name = |decl: &Option<Arc<ElementDecl>>| decl.as_ref().map(|decl| decl.name.clone());
    if let Some(known) = operations.iter_mut().find(|known| known.name == new.name) {
        if name(&known.input) != name(&new.input) {
            return Err(format!("two bindings have different operations {}", new.name));
        }
        for action in new.actions {
            if !known.actions.contains(&action) {
                known.actions.push(action);
            }
        }
        return Ok(());
    }
    if operations.len() >= MAX_OPERATIONS {
        return Err(format!("more than {MAX_OPERATIONS} operations"));
    }
    operations.push(new);
    Ok(())
}

/// A child of either SOAP binding's namespace.
fn soap_child<'e>(at: &'e Element, local: &str) -> Option<&'e Element> {
    at.child(SOAP_11, local).or_else(|| at.child(SOAP_12, local))
}

/// Whether an element is a `definitions`.
pub fn is_definitions(element: &Element) -> bool {
    element.name.is(WSDL, "definitions")
}
