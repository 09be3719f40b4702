//! Whether a request's Body child is what its schema says: the first thing that is not, with its path.
use std::borrow::Cow;

use super::{
    names::{XSD, XSI},
    schema::{Complex, ElementDecl, Kind, Particle, Schemas, Simple, Term, TypeRef, builtin::Builtin},
    tree::{Element, Name},
};

/// Levels at most; the codec has bounded them already.
const MAX_DEPTH: usize = 80;

/// The first misfit: `submit/person/idNo: …`.
///
/// # Errors
/// What does not fit, without the value itself.
pub fn element(schemas: &Schemas, decl: &ElementDecl, found: &Element) -> Result<(), String> {
    Check { schemas }.element(decl, found, &found.name.local, 0)
}

struct Check<'s> {
    schemas: &'s Schemas,
}

impl<'s> Check<'s> {
    fn element(&self, decl: &ElementDecl, found: &Element, path: &str, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("{path}: more than {MAX_DEPTH} levels"));
        }
        let xsi = |local: &str| found.attributes.iter().find(|attribute| attribute.name.is(XSI, local));
        if xsi("nil").is_some_and(|nil| matches!(nil.value.trim(), "true" | "1")) {
            return if decl.nillable { Ok(()) } else { Err(format!("{path}: must not be nil")) };
        }
        if let Some(fixed) = &decl.fixed
            && *fixed != found.text
        {
            return Err(format!("{path}: must be {fixed}"));
        }
        let own = xsi("type").and_then(|ty| found.resolve(&ty.value)).map(TypeRef::Named);
        let known = |ty: &TypeRef| !matches!(self.schemas.kind(ty), Kind::Any);
        let ty = match own {
            Some(own) if known(&own) => Cow::Owned(own),
            Some(_) if known(&decl.ty) => {
                return Err(format!("{path}: the type named by xsi:type is not known"));
            }
            _ => Cow::Borrowed(&decl.ty),
        };
        match self.schemas.kind(&ty) {
            Kind::Any => Ok(()),
            Kind::Builtin(_) | Kind::Simple(_) => {
                if let Some(child) = found.children.first() {
                    return Err(format!("{path}/{}: the schema has no elements here", child.name.local));
                }
                self.foreign_attribute(found, None, path)?;
                self.text(&ty, &found.text, path)
            }
            Kind::Complex(complex) => self.complex(complex, found, path, depth),
        }
    }

    fn text(&self, ty: &TypeRef, text: &str, path: &str) -> Result<(), String> {
        simple(self.schemas, ty, text, 0).map(|_| ()).map_err(|error| format!("{path}: {error}"))
    }

    fn foreign_attribute(
        &self,
        found: &Element,
        complex: Option<&Complex>,
        path: &str,
    ) -> Result<(), String> {
        let (declared, any) = complex.map(|complex| self.schemas.attributes(complex)).unwrap_or_default();
        for attribute in found.attributes.iter().filter(|attribute| *attribute.name.namespace != *XSI) {
            let place = format!("{path}/@{}", attribute.name.local);
            match declared.iter().find(|decl| decl.name == attribute.name) {
                Some(decl) => self.text(&decl.ty, &attribute.value, &place)?,
                None if any || !attribute.name.namespace.is_empty() => {}
                None => return Err(format!("{place}: the schema has no such attribute")),
            }
        }
        let missing = declared.iter().find(|decl| {
            decl.required && !found.attributes.iter().any(|attribute| attribute.name == decl.name)
        });
        match missing {
            Some(decl) => Err(format!("{path}/@{}: is missing", decl.name.local)),
            None => Ok(()),
        }
    }

    fn complex(&self, complex: &'s Complex, found: &Element, path: &str, depth: usize) -> Result<(), String> {
        self.foreign_attribute(found, Some(complex), path)?;
        if let Some(ty) = self.schemas.text_type(complex) {
            if let Some(child) = found.children.first() {
                return Err(format!("{path}/{}: the schema has no elements here", child.name.local));
            }
            let builtin =
                simple(self.schemas, ty, &found.text, 0).map_err(|error| format!("{path}: {error}"))?;
            let misfit = complex.facets.misfit(&found.text, builtin);
            return misfit.map_or(Ok(()), |misfit| Err(format!("{path}: {misfit}")));
        }
        if !complex.mixed && !found.text.trim().is_empty() {
            return Err(format!("{path}: text where the schema has elements"));
        }
        let mut walk = Walk { check: self, children: &found.children, at: 0, path, depth };
        for particle in self.schemas.particles(complex) {
            walk.particle(particle, 0)?;
        }
        match found.children.get(walk.at) {
            Some(extra) => {
                let place = walk.place(walk.at);
                let why = if found.children[..walk.at].iter().any(|earlier| earlier.name == extra.name) {
                    "occurs too often"
                } else {
                    "the schema has no such element here"
                };
                Err(format!("{place}: {why}{}", self.namespace_hint(complex, extra)))
            }
            None => Ok(()),
        }
    }

    /// A right name in a wrong namespace is the commonest mistake: it is told.
    fn namespace_hint(&self, complex: &'s Complex, extra: &Element) -> String {
        let declared = super::write::lists(self.schemas, complex);
        let meant =
            declared.iter().find(|(decl, _)| decl.name.local == extra.name.local && decl.name != extra.name);
        match meant {
            Some((decl, _)) if decl.name.namespace.is_empty() => " (it is in no namespace)".into(),
            Some((decl, _)) => format!(" (it is in the namespace {})", decl.name.namespace),
            None => String::new(),
        }
    }
}

/// Children matched against a content model from left to right; models are deterministic (XSD Part 1 §3.8.6), so
/// looking at one child is enough.
struct Walk<'w, 's> {
    check: &'w Check<'s>,
    children: &'w [Element],
    at: usize,
    path: &'w str,
    depth: usize,
}

impl<'s> Walk<'_, 's> {
    fn place(&self, at: usize) -> String {
        let Some(child) = self.children.get(at) else { return self.path.to_owned() };
        let same = |other: &&Element| other.name == child.name;
        let before = self.children[..at].iter().filter(same).count();
        let several = self.children.iter().filter(same).count() > 1;
        let number = if several { format!("[{}]", before + 1) } else { String::new() };
        format!("{}/{}{number}", self.path, child.name.local)
    }

    fn particle(&mut self, particle: &'s Particle, nested: usize) -> Result<(), String> {
        if nested > MAX_DEPTH {
            return Err(format!("{}: groups nested too deep", self.path));
        }
        let mut count = 0;
        while particle.max.is_none_or(|max| count < max) {
            let fits = self.children.get(self.at).is_some_and(|child| self.starts(particle, &child.name, 0));
            if !fits {
                break;
            }
            let before = self.at;
            self.term(particle, nested)?;
            count += 1;
            if self.at == before {
                break;
            }
        }
        if count < particle.min && !self.empty(particle, 0) {
            return Err(self.missing(particle));
        }
        Ok(())
    }

    fn term(&mut self, particle: &'s Particle, nested: usize) -> Result<(), String> {
        let schemas = self.check.schemas;
        match &particle.term {
            Term::Element(_) | Term::Ref(_) => {
                let child = &self.children[self.at];
                let decl =
                    schemas.elements.get(&child.name).filter(|_| matches!(particle.term, Term::Ref(_)));
                let decl = decl.or(schemas.declaration(&particle.term));
                if let Some(decl) = decl {
                    self.check.element(decl, child, &self.place(self.at), self.depth + 1)?;
                }
                self.at += 1;
                Ok(())
            }
            Term::Any => {
                self.at += 1;
                Ok(())
            }
            Term::Group(name) => {
                schemas.groups.get(name).map_or(Ok(()), |group| self.particle(group, nested + 1))
            }
            Term::Sequence(parts) => parts.iter().try_for_each(|part| self.particle(part, nested + 1)),
            Term::Choice(parts) => {
                let name = &self.children[self.at].name;
                let chosen = parts.iter().find(|part| self.starts(part, name, 0));
                chosen.map_or(Ok(()), |part| self.particle(part, nested + 1))
            }
            Term::All(parts) => self.all(parts, nested),
        }
    }

    /// In any order, each at most once.
    fn all(&mut self, parts: &'s [Particle], nested: usize) -> Result<(), String> {
        let mut left: Vec<&Particle> = parts.iter().collect();
        while let Some(child) = self.children.get(self.at) {
            let Some(next) = left.iter().position(|part| self.starts(part, &child.name, 0)) else { break };
            let part = left.swap_remove(next);
            self.particle(part, nested + 1)?;
        }
        match left.iter().find(|part| part.min > 0) {
            Some(part) => Err(self.missing(part)),
            None => Ok(()),
        }
    }

    /// Whether a child of that name can begin the particle.
    fn starts(&self, particle: &Particle, name: &Name, nested: usize) -> bool {
        let schemas = self.check.schemas;
        if nested > MAX_DEPTH || particle.max == Some(0) {
            return false;
        }
        match &particle.term {
            Term::Element(decl) => decl.name == *name,
            Term::Ref(head) => {
                head == name || schemas.substitutes.get(head).is_some_and(|members| members.contains(name))
            }
            Term::Any => true,
            Term::Group(group) => {
                schemas.groups.get(group).is_some_and(|group| self.starts(group, name, nested + 1))
            }
            Term::Choice(parts) | Term::All(parts) => {
                parts.iter().any(|part| self.starts(part, name, nested + 1))
            }
            Term::Sequence(parts) => {
                for part in parts {
                    if self.starts(part, name, nested + 1) {
                        return true;
                    }
                    if part.min > 0 && !self.empty(part, nested + 1) {
                        return false;
                    }
                }
                false
            }
        }
    }

    /// Whether the particle may hold nothing.
    fn empty(&self, particle: &Particle, nested: usize) -> bool {
        let schemas = self.check.schemas;
        if particle.min == 0 || nested > MAX_DEPTH {
            return true;
        }
        match &particle.term {
            Term::Element(_) | Term::Ref(_) | Term::Any => false,
            Term::Group(name) => schemas.groups.get(name).is_none_or(|group| self.empty(group, nested + 1)),
            Term::Sequence(parts) | Term::All(parts) => parts.iter().all(|part| self.empty(part, nested + 1)),
            Term::Choice(parts) => parts.is_empty() || parts.iter().any(|part| self.empty(part, nested + 1)),
        }
    }

    fn missing(&self, particle: &Particle) -> String {
        let wanted = self.first(particle, 0);
        let seen =
            self.children.get(self.at).map(|child| format!(", before {}", child.name)).unwrap_or_default();
        match wanted.as_slice() {
            [one] => format!("{}/{}: is missing{seen}", self.path, one.local),
            many => {
                let names: Vec<&str> = many.iter().map(|name| &*name.local).collect();
                format!("{}: one of {} is missing{seen}", self.path, names.join(", "))
            }
        }
    }

    /// The names that could come first.
    fn first(&self, particle: &Particle, nested: usize) -> Vec<Name> {
        let schemas = self.check.schemas;
        match &particle.term {
            _ if nested > MAX_DEPTH => Vec::new(),
            Term::Element(decl) => vec![decl.name.clone()],
            Term::Ref(name) => vec![name.clone()],
            Term::Any => vec![Name::new("", "any element")],
            Term::Group(name) => {
                schemas.groups.get(name).map(|group| self.first(group, nested + 1)).unwrap_or_default()
            }
            Term::Choice(parts) => {
                parts.iter().flat_map(|part| self.first(part, nested + 1)).take(10).collect()
            }
            Term::Sequence(parts) | Term::All(parts) => {
                let first = parts.iter().find(|part| !self.empty(part, nested + 1)).or(parts.first());
                first.map(|part| self.first(part, nested + 1)).unwrap_or_default()
            }
        }
    }
}

/// Checks a text against a simple type; the built-in type it comes down to.
fn simple(schemas: &Schemas, ty: &TypeRef, text: &str, depth: usize) -> Result<Builtin, String> {
    if depth > 32 {
        return Ok(Builtin::Text);
    }
    match schemas.kind(ty) {
        Kind::Any => Ok(Builtin::Text),
        Kind::Builtin(builtin) if builtin.allows(text) => Ok(builtin),
        Kind::Builtin(_) => Err(format!("is no {}", named(ty))),
        Kind::Simple(Simple::Restriction { base, facets }) => {
            let builtin = simple(schemas, base, text, depth + 1)?;
            let text = if builtin == Builtin::Text { text } else { text.trim() };
            facets.misfit(text, builtin).map_or(Ok(builtin), Err)
        }
        Kind::Simple(Simple::List(item)) => {
            text.split_whitespace().try_for_each(|one| simple(schemas, item, one, depth + 1).map(|_| ()))?;
            Ok(Builtin::Text)
        }
        Kind::Simple(Simple::Union(members)) => {
            let fits = members.iter().any(|member| simple(schemas, member, text, depth + 1).is_ok());
            if fits || members.is_empty() {
                Ok(Builtin::Text)
            } else {
                Err("fits none of the union's types".into())
            }
        }
        Kind::Complex(complex) => {
            schemas.text_type(complex).map_or(Ok(Builtin::Text), |ty| simple(schemas, ty, text, depth + 1))
        }
    }
}

fn named(ty: &TypeRef) -> String {
    match ty {
        TypeRef::Named(name) if *name.namespace == *XSD => format!("xs:{}", name.local),
        TypeRef::Named(name) => name.local.to_string(),
        TypeRef::Inline(_) => "value of its type".into(),
    }
}
