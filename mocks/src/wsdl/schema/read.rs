//! From a schema's XML to its components. What service descriptions do not use is left out: identity constraints,
//! redefinition, notations.
use std::sync::Arc;

use super::{
    AttributeDecl, Attributes, Complex, ElementDecl, Facets, Particle, Schemas, Simple, Term, Type, TypeRef,
};
use crate::wsdl::{
    names::XSD,
    tree::{Element, Name},
};

/// Reads the components of one `schema` element into `schemas`. `chameleon`: the namespace of the schema that includes
/// this one, which a schema without its own takes over.
///
/// # Errors
/// The component that cannot be read.
pub fn read(schema: &Element, chameleon: &str, schemas: &mut Schemas) -> Result<(), String> {
    let target = schema.get("targetNamespace").unwrap_or(chameleon).to_owned();
    let qualified = |name: &str| schema.get(name) == Some("qualified");
    let reader = Reader {
        own: schema.get("targetNamespace").is_some(),
        target,
        elements: qualified("elementFormDefault"),
        attributes: qualified("attributeFormDefault"),
    };
    for component in schema.children.iter().filter(|child| *child.name.namespace == *XSD) {
        let Some(name) = component.get("name").map(|name| reader.global(name)) else { continue };
        let place = |error: String| format!("{} {name}: {error}", component.name.local);
        match &*component.name.local {
            "element" => {
                let decl = reader.element(component, name.clone()).map_err(place)?;
                if let Some(head) = component.get("substitutionGroup") {
                    let head = reader.resolve(component, head).map_err(place)?;
                    schemas.substitutes.entry(head).or_default().push(name.clone());
                }
                schemas.elements.insert(name, Arc::new(decl));
            }
            "complexType" => {
                let complex = reader.complex(component).map_err(place)?;
                schemas.types.insert(name, Arc::new(Type::Complex(complex)));
            }
            "simpleType" => {
                let simple = reader.simple(component).map_err(place)?;
                schemas.types.insert(name, Arc::new(Type::Simple(simple)));
            }
            "group" => {
                let particle = reader.content(component).map_err(place)?;
                schemas.groups.insert(name, particle.unwrap_or_else(empty));
            }
            "attribute" => {
                let decl = reader.attribute(component, name.clone()).map_err(place)?;
                schemas.attributes.insert(name, decl);
            }
            "attributeGroup" => {
                let attributes = reader.attributes(component).map_err(place)?;
                schemas.attribute_groups.insert(name, attributes);
            }
            _ => {}
        }
    }
    Ok(())
}

fn empty() -> Particle {
    Particle { min: 1, max: Some(1), term: Term::Sequence(Vec::new()) }
}

struct Reader {
    target: String,
    /// Whether the namespace is declared by the schema itself.
    own: bool,
    elements: bool,
    attributes: bool,
}

impl Reader {
    fn global(&self, local: &str) -> Name {
        Name::new(&self.target, local)
    }

    fn resolve(&self, at: &Element, text: &str) -> Result<Name, String> {
        let name = at.resolve(text).ok_or_else(|| format!("the prefix of {text} is not bound"))?;
        // A schema without namespace that is included means its own components by names without prefix.
        if name.namespace.is_empty() && !self.own { Ok(self.global(&name.local)) } else { Ok(name) }
    }

    fn element(&self, element: &Element, name: Name) -> Result<ElementDecl, String> {
        Ok(ElementDecl {
            name,
            ty: self.type_of(element)?,
            nillable: matches!(element.get("nillable"), Some("true" | "1")),
            fixed: element.get("fixed").map(str::to_owned),
            default: element.get("default").map(str::to_owned),
        })
    }

    /// The type named or written inside; anyType where there is none.
    fn type_of(&self, element: &Element) -> Result<TypeRef, String> {
        if let Some(named) = element.get("type") {
            return Ok(TypeRef::Named(self.resolve(element, named)?));
        }
        if let Some(complex) = element.child(XSD, "complexType") {
            return Ok(TypeRef::Inline(Arc::new(Type::Complex(self.complex(complex)?))));
        }
        if let Some(simple) = element.child(XSD, "simpleType") {
            return Ok(TypeRef::Inline(Arc::new(Type::Simple(self.simple(simple)?))));
        }
        Ok(TypeRef::Named(Name::new(XSD, "anyType")))
    }

    fn complex(&self, at: &Element) -> Result<Complex, String> {
        let mixed = matches!(at.get("mixed"), Some("true" | "1"));
        let derived = at.child(XSD, "complexContent").map(|content| (content, false));
        let derived = derived.or(at.child(XSD, "simpleContent").map(|content| (content, true)));
        let Some((content, simple)) = derived else {
            let (content, attributes) = (self.content(at)?, self.attributes(at)?);
            return Ok(Complex { content, attributes, mixed, ..Complex::default() });
        };
        let extension = content.child(XSD, "extension");
        let by = extension
            .or(content.child(XSD, "restriction"))
            .ok_or("content without extension or restriction")?;
        let base = by.get("base").ok_or("a derivation without base")?;
        Ok(Complex {
            base: Some(TypeRef::Named(self.resolve(by, base)?)),
            simple,
            facets: facets(by)?,
            restriction: extension.is_none(),
            content: if simple { None } else { self.content(by)? },
            attributes: self.attributes(by)?,
            mixed,
        })
    }

    /// The sequence, choice, all or group inside.
    fn content(&self, at: &Element) -> Result<Option<Particle>, String> {
        let kinds = ["sequence", "choice", "all", "group"];
        let found = at
            .children
            .iter()
            .find(|child| *child.name.namespace == *XSD && kinds.contains(&&*child.name.local));
        found.map(|child| self.particle(child)).transpose()
    }

    fn particle(&self, at: &Element) -> Result<Particle, String> {
        let inside = || {
            at.children
                .iter()
                .filter(|child| *child.name.namespace == *XSD && &*child.name.local != "annotation")
        };
        let all = || inside().map(|child| self.particle(child)).collect::<Result<Vec<_>, _>>();
        let reference = at.get("ref").map(|name| self.resolve(at, name)).transpose()?;
        let term = match (&*at.name.local, reference) {
            ("element", Some(name)) => Term::Ref(name),
            ("element", None) => Term::Element(Arc::new(self.element(at, self.local(at, self.elements)?)?)),
            ("group", Some(name)) => Term::Group(name),
            ("sequence", _) => Term::Sequence(all()?),
            ("choice", _) => Term::Choice(all()?),
            ("all", _) => Term::All(all()?),
            ("any", _) => Term::Any,
            (other, _) => return Err(format!("{other} inside a content model")),
        };
        let min = at.get("minOccurs").map_or(Ok(1), number)?;
        let max = match at.get("maxOccurs") {
            None => Some(1),
            Some("unbounded") => None,
            Some(text) => Some(number(text)?),
        };
        Ok(Particle { min, max, term })
    }

    /// The name of a local declaration, in the target namespace where it is qualified.
    fn local(&self, at: &Element, default: bool) -> Result<Name, String> {
        let local = at.get("name").ok_or("a declaration without name or ref")?;
        let qualified = at.get("form").map_or(default, |form| form == "qualified");
        Ok(if qualified { self.global(local) } else { Name::new("", local) })
    }

    fn attributes(&self, at: &Element) -> Result<Attributes, String> {
        let mut attributes = Attributes::default();
        for child in at.children.iter().filter(|child| *child.name.namespace == *XSD) {
            let required = child.get("use") == Some("required");
            match (&*child.name.local, child.get("ref")) {
                ("attribute", Some(name)) => attributes.refs.push((self.resolve(child, name)?, required)),
                ("attribute", None) if child.get("use") != Some("prohibited") => {
                    let name = self.local(child, self.attributes)?;
                    attributes.own.push(self.attribute(child, name)?);
                }
                ("attributeGroup", Some(name)) => attributes.groups.push(self.resolve(child, name)?),
                ("anyAttribute", _) => attributes.any = true,
                _ => {}
            }
        }
        Ok(attributes)
    }

    fn attribute(&self, at: &Element, name: Name) -> Result<AttributeDecl, String> {
        let untyped = at.get("type").is_none() && at.child(XSD, "simpleType").is_none();
        let ty = if untyped { TypeRef::Named(Name::new(XSD, "string")) } else { self.type_of(at)? };
        let required = at.get("use") == Some("required");
        Ok(AttributeDecl { name, ty, required, fixed: at.get("fixed").map(str::to_owned) })
    }

    fn simple(&self, at: &Element) -> Result<Simple, String> {
        if let Some(list) = at.child(XSD, "list") {
            return Ok(Simple::List(self.one_type(list, "itemType")?));
        }
        if let Some(union) = at.child(XSD, "union") {
            let named = union.get("memberTypes").unwrap_or_default().split_whitespace();
            let mut members = named
                .map(|name| Ok(TypeRef::Named(self.resolve(union, name)?)))
                .collect::<Result<Vec<_>, String>>()?;
            for inline in union.children.iter().filter(|child| child.name.is(XSD, "simpleType")) {
                members.push(TypeRef::Inline(Arc::new(Type::Simple(self.simple(inline)?))));
            }
            return Ok(Simple::Union(members));
        }
        let by = at.child(XSD, "restriction").ok_or("a simple type without restriction, list or union")?;
        Ok(Simple::Restriction { base: self.one_type(by, "base")?, facets: facets(by)? })
    }

    fn one_type(&self, at: &Element, attribute: &str) -> Result<TypeRef, String> {
        if let Some(named) = at.get(attribute) {
            return Ok(TypeRef::Named(self.resolve(at, named)?));
        }
        let inline = at.child(XSD, "simpleType").ok_or_else(|| format!("no {attribute}"))?;
        Ok(TypeRef::Inline(Arc::new(Type::Simple(self.simple(inline)?))))
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("`{text}` is no count"))
}

fn facets(at: &Element) -> Result<Facets, String> {
    let mut facets = Facets::default();
    for facet in at.children.iter().filter(|child| *child.name.namespace == *XSD) {
        let Some(value) = facet.get("value") else { continue };
        match &*facet.name.local {
            "enumeration" => facets.enumeration.push(value.to_owned()),
            "pattern" => facets.add_pattern(value),
            "length" => facets.length = Some(number(value)?),
            "minLength" => facets.min_length = Some(number(value)?),
            "maxLength" => facets.max_length = Some(number(value)?),
            "minInclusive" => facets.low = Some((value.to_owned(), true)),
            "minExclusive" => facets.low = Some((value.to_owned(), false)),
            "maxInclusive" => facets.high = Some((value.to_owned(), true)),
            "maxExclusive" => facets.high = Some((value.to_owned(), false)),
            "totalDigits" => facets.total_digits = Some(number(value)?),
            "fractionDigits" => facets.fraction_digits = Some(number(value)?),
            _ => {}
        }
    }
    Ok(facets)
}
