//! The subset of XML Schema 1.0 that service descriptions use: elements, complex and simple types, groups, extension.
pub mod builtin;
pub mod facets;
pub mod read;

use std::{collections::HashMap, sync::Arc};

use super::{names::XSD, tree::Name};
use builtin::Builtin;
use facets::Facets;

/// How far a chain of base types is followed.
const MAX_CHAIN: usize = 32;

/// All components, by name.
#[derive(Debug, Default)]
pub struct Schemas {
    pub elements: HashMap<Name, Arc<ElementDecl>>,
    pub types: HashMap<Name, Arc<Type>>,
    pub groups: HashMap<Name, Particle>,
    pub attributes: HashMap<Name, AttributeDecl>,
    pub attribute_groups: HashMap<Name, Attributes>,
    /// Members of substitution groups, by their head.
    pub substitutes: HashMap<Name, Vec<Name>>,
}

#[derive(Clone, Debug)]
pub struct ElementDecl {
    /// Without namespace where the element is local and unqualified.
    pub name: Name,
    pub ty: TypeRef,
    pub nillable: bool,
    pub fixed: Option<String>,
    pub default: Option<String>,
}

#[derive(Clone, Debug)]
pub enum TypeRef {
    Named(Name),
    Inline(Arc<Type>),
}

#[derive(Debug)]
pub enum Type {
    Simple(Simple),
    Complex(Complex),
}

#[derive(Debug)]
pub enum Simple {
    Restriction { base: TypeRef, facets: Facets },
    List(TypeRef),
    Union(Vec<TypeRef>),
}

#[derive(Debug, Default)]
pub struct Complex {
    /// The base of an extension; a restriction says everything itself, but for the text of simple content.
    pub base: Option<TypeRef>,
    /// Text with attributes only.
    pub simple: bool,
    /// Restricts the text of simple content.
    pub facets: Facets,
    pub restriction: bool,
    pub content: Option<Particle>,
    pub attributes: Attributes,
    pub mixed: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Attributes {
    pub own: Vec<AttributeDecl>,
    pub groups: Vec<Name>,
    pub refs: Vec<(Name, bool)>,
    pub any: bool,
}

#[derive(Clone, Debug)]
pub struct AttributeDecl {
    pub name: Name,
    pub ty: TypeRef,
    pub required: bool,
    pub fixed: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Particle {
    pub min: u32,
    /// None without a bound.
    pub max: Option<u32>,
    pub term: Term,
}

#[derive(Clone, Debug)]
pub enum Term {
    Element(Arc<ElementDecl>),
    Ref(Name),
    Group(Name),
    Sequence(Vec<Particle>),
    Choice(Vec<Particle>),
    All(Vec<Particle>),
    /// Elements of any name.
    Any,
}

/// What a type comes down to.
pub enum Kind<'s> {
    Builtin(Builtin),
    Simple(&'s Simple),
    Complex(&'s Complex),
    /// `anyType`, or a type that is not there.
    Any,
}

impl Schemas {
    pub fn kind<'s>(&'s self, ty: &'s TypeRef) -> Kind<'s> {
        let ty = match ty {
            TypeRef::Inline(ty) => &**ty,
            TypeRef::Named(name) if *name.namespace == *XSD => {
                return Builtin::named(&name.local).map_or(Kind::Any, Kind::Builtin);
            }
            TypeRef::Named(name) => match self.types.get(name) {
                Some(ty) => ty,
                None => return Kind::Any,
            },
        };
        match ty {
            Type::Simple(simple) => Kind::Simple(simple),
            Type::Complex(complex) => Kind::Complex(complex),
        }
    }

    /// The declaration that a particle's element has.
    pub fn declaration<'s>(&'s self, term: &'s Term) -> Option<&'s Arc<ElementDecl>> {
        match term {
            Term::Element(element) => Some(element),
            Term::Ref(name) => self.elements.get(name),
            _ => None,
        }
    }

    /// What a complex type holds: the particles of its bases, then its own.
    pub fn particles<'s>(&'s self, complex: &'s Complex) -> Vec<&'s Particle> {
        let chain = self.chain(complex);
        chain.into_iter().rev().filter_map(|complex| complex.content.as_ref()).collect()
    }

    /// A complex type and the complex types it extends.
    fn chain<'s>(&'s self, complex: &'s Complex) -> Vec<&'s Complex> {
        let mut chain = vec![complex];
        let mut at = complex;
        while chain.len() < MAX_CHAIN && !at.restriction {
            let Some(Kind::Complex(base)) = at.base.as_ref().map(|base| self.kind(base)) else { break };
            chain.push(base);
            at = base;
        }
        chain
    }

    /// The attributes of a complex type, and whether any other is allowed.
    pub fn attributes<'s>(&'s self, complex: &'s Complex) -> (Vec<&'s AttributeDecl>, bool) {
        let (mut found, mut any) = (Vec::new(), false);
        // A restriction inherits the attributes it does not name.
        let mut at = Some(complex);
        for _ in 0..MAX_CHAIN {
            let Some(complex) = at else { break };
            any |= self.gather(&complex.attributes, 0, &mut found);
            at = match complex.base.as_ref().map(|base| self.kind(base)) {
                Some(Kind::Complex(base)) => Some(base),
                _ => None,
            };
        }
        (found, any)
    }

    fn gather<'s>(
        &'s self,
        attributes: &'s Attributes,
        depth: usize,
        found: &mut Vec<&'s AttributeDecl>,
    ) -> bool {
        let add = |found: &mut Vec<&'s AttributeDecl>, decl: &'s AttributeDecl| {
            if !found.iter().any(|known| known.name == decl.name) {
                found.push(decl);
            }
        };
        attributes.own.iter().for_each(|decl| add(found, decl));
        for (name, _) in &attributes.refs {
            if let Some(decl) = self.attributes.get(name) {
                add(found, decl);
            }
        }
        let mut any = attributes.any;
        if depth < MAX_CHAIN {
            for group in attributes.groups.iter().filter_map(|name| self.attribute_groups.get(name)) {
                any |= self.gather(group, depth + 1, found);
            }
        }
        any
    }

    /// The text of a complex type with simple content, where it has one.
    pub fn text_type<'s>(&'s self, complex: &'s Complex) -> Option<&'s TypeRef> {
        let mut at = complex;
        for _ in 0..MAX_CHAIN {
            if !at.simple {
                return None;
            }
            let base = at.base.as_ref()?;
            match self.kind(base) {
                Kind::Complex(next) => at = next,
                _ => return Some(base),
            }
        }
        None
    }
}
