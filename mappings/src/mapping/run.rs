//! Applying compiled rules to the documents of one call.

use super::{Each, Rule, Source};
use crate::document::{Scope, ScopeFunctions};
use crate::error::{EvalError, EvalErrorKind, MapError, MapErrorKind, join_path};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// Elements one `each` may repeat for.
const MAX_ELEMENTS: usize = 100_000;

pub(super) fn rules(rules: &[Rule], scope: &dyn Scope, outer: &str) -> Result<Value, MapError> {
    let mut result = Value::Object(Map::with_capacity(rules.len()));
    for rule in rules {
        if let Some(value) = rule.value(scope, outer)? {
            rule.to.set(&mut result, value);
        }
    }
    Ok(result)
}

/// The documents around an element of `each`.
struct Loop<'a> {
    parent: &'a dyn Scope,
    item: &'a str,
    element: &'a Value,
    index: Value,
}

impl Scope for Loop<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            _ if name == self.item => Some(self.element),
            "index" => Some(&self.index),
            _ => self.parent.get(name),
        }
    }

    fn now_millis(&self) -> i64 {
        self.parent.now_millis()
    }

    fn functions(&self) -> Option<Arc<dyn ScopeFunctions>> {
        self.parent.functions()
    }
}

impl Rule {
    fn value(&self, scope: &dyn Scope, outer: &str) -> Result<Option<Value>, MapError> {
        if let Some(when) = &self.when
            && !when.eval_bool(scope).map_err(|error| self.failed(outer, &error))?
        {
            return Ok(None);
        }
        let value = match &self.each {
            Some(each) => self.repeated(each, scope, outer)?,
            None => self.single(scope, outer)?,
        };
        let value = match value {
            Some(Value::Null) | None if self.default.is_some() => self.default.clone(),
            value => value,
        };
        let lacking = value.as_ref().is_none_or(|value| value.is_null() || value.as_str() == Some(""));
        if self.required && lacking {
            return Err(self.error(outer, MapErrorKind::Missing, "a required value is missing"));
        }
        Ok(value)
    }

    fn repeated(&self, each: &Each, scope: &dyn Scope, outer: &str) -> Result<Option<Value>, MapError> {
        let elements: Cow<'_, [&Value]> = match each.selector.select(scope).as_slice() {
            [] => return Ok(None),
            [Value::Null] if each.selector.is_singular() => return Ok(None),
            [Value::Array(elements)] if each.selector.is_singular() => Cow::Owned(elements.iter().collect()),
            found => Cow::Owned(found.to_vec()),
        };
        if elements.len() > MAX_ELEMENTS {
            return Err(self.error(
                outer,
                MapErrorKind::Format,
                format!("a list has at most {MAX_ELEMENTS} elements"),
            ));
        }
        let mut out = Vec::with_capacity(elements.len());
        let place = self.place(outer);
        for (index, element) in elements.iter().enumerate() {
            let scope = Loop { parent: scope, item: &each.item, element, index: Value::from(index) };
            let value = match &self.source {
                // Built only here, where nested rules may need it for their errors.
                Source::Rules(nested) => Some(rules(nested, &scope, &format!("{place}[{index}]"))?),
                _ => self.single(&scope, outer).map_err(|mut error| {
                    error.to = format!("{place}[{index}]");
                    error
                })?,
            };
            out.extend(value);
        }
        Ok(Some(Value::Array(out)))
    }

    /// The value of the source with the functions applied, for one element or outside `each`.
    fn single(&self, scope: &dyn Scope, outer: &str) -> Result<Option<Value>, MapError> {
        let found = match &self.source {
            Source::From(selector) if selector.is_singular() => selector.first(scope).map(Cow::Borrowed),
            Source::From(selector) => match selector.select(scope) {
                found if found.is_empty() => None,
                found => Some(Cow::Owned(found.into_iter().cloned().collect())),
            },
            Source::Value(value) => Some(Cow::Borrowed(value)),
            Source::Cel(cel) => match cel.eval(scope) {
                Ok(value) => Some(Cow::Owned(value)),
                Err(error) if error.kind == EvalErrorKind::Missing && self.default.is_some() => None,
                Err(error) => return Err(self.failed(outer, &error)),
            },
            Source::Text(template) => {
                let value = template.render(scope).map_err(|error| self.failed(outer, &error))?;
                Some(Cow::Owned(self.as_text(value, outer)?))
            }
            Source::Rules(nested) => Some(Cow::Owned(rules(nested, scope, &self.place(outer))?)),
        };
        found.map(|value| self.applied(value, scope, outer)).transpose()
    }

    fn applied(&self, value: Cow<'_, Value>, scope: &dyn Scope, outer: &str) -> Result<Value, MapError> {
        let mut value = value;
        for call in &self.apply {
            if value.is_null() {
                break;
            }
            let result = call.run(&value, scope).map_err(|error| {
                self.error(outer, MapErrorKind::Format, format!("{}: {error}", call.function().name))
            })?;
            value = Cow::Owned(result);
        }
        Ok(value.into_owned())
    }

    fn as_text(&self, value: Value, outer: &str) -> Result<Value, MapError> {
        match crate::document::scalar_text(&value) {
            Some(Cow::Owned(text)) => Ok(text.into()),
            Some(Cow::Borrowed(_)) if value.is_string() => Ok(value),
            Some(Cow::Borrowed(text)) => Ok(text.into()),
            None => {
                Err(self.error(outer, MapErrorKind::Format, "the expression gives neither text nor number"))
            }
        }
    }

    fn failed(&self, outer: &str, error: &EvalError) -> MapError {
        let kind = match error.kind {
            EvalErrorKind::Missing => MapErrorKind::Missing,
            EvalErrorKind::Format | EvalErrorKind::Limit => MapErrorKind::Format,
        };
        self.error(outer, kind, error.message.as_str())
    }

    fn error(&self, outer: &str, kind: MapErrorKind, message: impl Into<String>) -> MapError {
        MapError { to: self.place(outer), kind, message: message.into() }
    }

    fn place(&self, outer: &str) -> String {
        if self.to.is_whole() && !outer.is_empty() {
            outer.to_owned()
        } else {
            join_path(outer, self.to.text())
        }
    }
}
