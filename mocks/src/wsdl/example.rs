//! Skeleton answers: a document with an example of everything an element may hold.
use serde_json::{Map, Value, json};

use super::schema::{ElementDecl, Kind, Particle, Schemas, Simple, Term, TypeRef};

/// Levels of a skeleton at most; what is optional is left out below, what must be there is empty.
const MAX_DEPTH: usize = 16;
/// Elements of a skeleton at most.
const MAX_ELEMENTS: usize = 1_000;
/// Copies of one element at most, whatever its minOccurs.
const MAX_COPIES: u32 = 20;

/// The content of an element. What is optional is shown once unless that would recurse; of a choice the first is taken.
pub fn element(schemas: &Schemas, decl: &ElementDecl) -> Value {
    let mut example = Example { schemas, open: Vec::new(), left: MAX_ELEMENTS };
    example.element(decl)
}

struct Example<'s> {
    schemas: &'s Schemas,
    /// The complex types being written, by address: seeing one again is recursion.
    open: Vec<*const super::schema::Complex>,
    left: usize,
}

impl Example<'_> {
    fn element(&mut self, decl: &ElementDecl) -> Value {
        self.left = self.left.saturating_sub(1);
        match decl.fixed.as_ref().or(decl.default.as_ref()) {
            Some(text) => Value::from(text.as_str()),
            None => self.value(&decl.ty),
        }
    }

    fn value(&mut self, ty: &TypeRef) -> Value {
        let complex = match self.schemas.kind(ty) {
            Kind::Builtin(_) | Kind::Simple(_) => return simple(self.schemas, ty, 0),
            Kind::Any => return json!(""),
            Kind::Complex(complex) => complex,
        };
        if self.open.len() >= MAX_DEPTH {
            return json!("");
        }
        self.open.push(std::ptr::from_ref(complex));
        let mut members = Map::new();
        let (attributes, _) = self.schemas.attributes(complex);
        for attribute in attributes {
            let value = match &attribute.fixed {
                Some(fixed) => Value::from(fixed.as_str()),
                None => simple(self.schemas, &attribute.ty, 0),
            };
            members.insert(format!("@{}", attribute.name.local), value);
        }
        if let Some(text) = self.schemas.text_type(complex) {
            let base = simple(self.schemas, text, 0);
            members.insert("#text".into(), complex.facets.example(base));
        }
        for particle in self.schemas.particles(complex) {
            self.particle(particle, &mut members, 0);
        }
        self.open.pop();
        // Text alone is a text in documents, nothing at all an empty one.
        match members.len() {
            0 => json!(""),
            1 if members.contains_key("#text") => members.swap_remove("#text").unwrap_or_default(),
            _ => Value::Object(members),
        }
    }

    fn particle(&mut self, particle: &Particle, members: &mut Map<String, Value>, depth: usize) {
        if particle.max == Some(0) || depth > MAX_DEPTH || self.left == 0 {
            return;
        }
        let copies = particle.min.clamp(1, MAX_COPIES);
        match &particle.term {
            Term::Element(_) | Term::Ref(_) => {
                let Some(decl) = self.schemas.declaration(&particle.term) else { return };
                if particle.min == 0 && self.recurs(&decl.ty) {
                    return;
                }
                let list = particle.max.is_none_or(|max| max > 1);
                let copies: Vec<Value> = (0..copies).map(|_| self.element(decl)).collect();
                for value in copies {
                    add(members, &decl.name.local, value, list);
                }
            }
            Term::Group(name) => {
                if let Some(group) = self.schemas.groups.get(name) {
                    self.particle(group, members, depth + 1);
                }
            }
            Term::Sequence(parts) | Term::All(parts) => {
                for _ in 0..copies {
                    parts.iter().for_each(|part| self.particle(part, members, depth + 1));
                }
            }
            Term::Choice(parts) => {
                // The first that ends: one that holds its own type again would not.
                let first = parts.iter().find(|part| !self.particle_recurs(part)).or(parts.first());
                for _ in 0..copies {
                    first.into_iter().for_each(|part| self.particle(part, members, depth + 1));
                }
            }
            Term::Any => {}
        }
    }

    fn recurs(&self, ty: &TypeRef) -> bool {
        match self.schemas.kind(ty) {
            Kind::Complex(complex) => {
                self.open.contains(&std::ptr::from_ref(complex)) || self.open.len() + 1 >= MAX_DEPTH
            }
            _ => false,
        }
    }

    fn particle_recurs(&self, particle: &Particle) -> bool {
        self.schemas.declaration(&particle.term).is_some_and(|decl| self.recurs(&decl.ty))
    }
}

fn add(members: &mut Map<String, Value>, name: &str, value: Value, list: bool) {
    match members.get_mut(name) {
        None => {
            members.insert(name.to_owned(), if list { Value::Array(vec![value]) } else { value });
        }
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

/// An example of a simple type.
fn simple(schemas: &Schemas, ty: &TypeRef, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return json!("");
    }
    match schemas.kind(ty) {
        Kind::Builtin(builtin) => builtin.example(),
        Kind::Simple(Simple::Restriction { base, facets }) => {
            facets.example(simple(schemas, base, depth + 1))
        }
        Kind::Simple(Simple::List(item)) => simple(schemas, item, depth + 1),
        Kind::Simple(Simple::Union(members)) => {
            members.first().map_or(json!(""), |member| simple(schemas, member, depth + 1))
        }
        Kind::Complex(complex) => {
            schemas.text_type(complex).map_or(json!(""), |ty| simple(schemas, ty, depth + 1))
        }
        Kind::Any => json!("string"),
    }
}
