//! Compiles the small parts of one definition and gathers every mistake with its place.
use jsonschema::Validator;
use qiao_mappings::{
    Codec, CodecSpec, Expression, Mapping, MappingSpec, Selector, SpecError, Tables, Template,
};
use serde_json::Value;

use crate::mistake::{DefinitionId, PlanMistake};

/// One definition being compiled.
pub(crate) struct Draft<'a> {
    pub definition: DefinitionId,
    pub tables: &'a dyn Tables,
    pub mistakes: Vec<PlanMistake>,
}

impl<'a> Draft<'a> {
    pub fn new(definition: DefinitionId, tables: &'a dyn Tables) -> Self {
        Self { definition, tables, mistakes: Vec::new() }
    }

    /// Notes a mistake.
    pub fn wrong(&mut self, path: &str, message: impl Into<String>) {
        self.mistakes.push(PlanMistake::new(self.definition.clone(), path, message));
    }

    /// Notes a mistake together with what to do about it.
    pub fn wrong_so(&mut self, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let mistake = PlanMistake::new(self.definition.clone(), path, message);
        self.mistakes.push(mistake.with_remedy(remedy));
    }

    /// Notes a mistake when a part reads a document that is not there.
    pub fn reads(&mut self, path: &str, roots: &[String], known: &[&str]) {
        if let Some(root) = unknown_root(roots, &|root| known.contains(&root)) {
            self.wrong_so(
                path,
                format!("there is no document `{root}` here"),
                format!("known: {}", known.join(", ")),
            );
        }
    }

    pub fn expression(&mut self, path: &str, text: &str) -> Option<Expression> {
        match Expression::compile(text, self.tables) {
            Ok(expression) => Some(expression),
            Err(error) => {
                self.wrong(path, error.message);
                None
            }
        }
    }

    /// A condition that may be left out: `Some(None)` then.
    pub fn condition(&mut self, path: &str, text: Option<&String>) -> Option<Option<Expression>> {
        match text {
            None => Some(None),
            Some(text) => self.expression(path, text).map(Some),
        }
    }

    pub fn selector(&mut self, path: &str, text: &str) -> Option<Selector> {
        match Selector::parse(text) {
            Ok(selector) => Some(selector),
            Err(error) => {
                self.wrong(path, error.message);
                None
            }
        }
    }

    pub fn template(&mut self, path: &str, value: &Value) -> Option<Template> {
        match Template::compile_with(value, self.tables) {
            Ok(template) => Some(template),
            Err(errors) => {
                errors.into_iter().for_each(|(below, error)| self.wrong(&join(path, &below), error.message));
                None
            }
        }
    }

    pub fn text_template(&mut self, path: &str, text: &str) -> Option<Template> {
        self.template(path, &Value::from(text))
    }

    pub fn mapping(&mut self, path: &str, spec: &MappingSpec) -> Option<Mapping> {
        match Mapping::compile(spec, self.tables) {
            Ok(mapping) => Some(mapping),
            Err(errors) => {
                self.specs(path, errors);
                None
            }
        }
    }

    /// A mapping that may be left out: `Some(None)` then.
    pub fn optional_mapping(&mut self, path: &str, spec: Option<&MappingSpec>) -> Option<Option<Mapping>> {
        match spec {
            None => Some(None),
            Some(spec) => self.mapping(path, spec).map(Some),
        }
    }

    pub fn codec(&mut self, path: &str, spec: &CodecSpec) -> Option<Codec> {
        match Codec::compile(spec) {
            Ok(codec) => Some(codec),
            Err(errors) => {
                self.specs(path, errors);
                None
            }
        }
    }

    fn specs(&mut self, path: &str, errors: Vec<SpecError>) {
        for error in errors {
            let error = error.under(path);
            self.wrong(&error.path, error.message);
        }
    }

    pub fn schema(&mut self, path: &str, schema: &Value) -> Option<Validator> {
        match jsonschema::draft202012::new(schema) {
            Ok(validator) => Some(validator),
            Err(error) => {
                let place = error.instance_path().as_str().split('/').skip(1);
                let place = place.fold(path.to_owned(), |path, name| match name.parse::<usize>() {
                    Ok(index) => format!("{path}[{index}]"),
                    Err(_) => format!("{path}.{name}"),
                });
                self.wrong(&place, format!("not a JSON Schema 2020-12: {error}"));
                None
            }
        }
    }
}

/// `headers` and `[0].x` give `headers[0].x`; `static` and `a` give `static.a`.
pub(crate) fn join(path: &str, below: &str) -> String {
    match below {
        "" => path.to_owned(),
        _ if below.starts_with('[') => format!("{path}{below}"),
        _ => format!("{path}.{below}"),
    }
}

/// Checks that only documents are read that are there.
pub(crate) fn unknown_root<'r>(roots: &'r [String], known: &dyn Fn(&str) -> bool) -> Option<&'r str> {
    roots.iter().map(String::as_str).find(|root| !known(root))
}
