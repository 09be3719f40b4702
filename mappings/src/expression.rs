//! Conditions and computed values: CEL over a scope, compiled once, for `when`, `cel` and `${…}`.
//!
//! Documents are not converted: members are read as CEL asks for them, and strings stay where they are.

mod check;
mod context;
mod json;
mod parts;
mod provided;

use crate::document::{Scope, type_name};
use crate::error::{EvalError, ExpressionError};
use crate::table::{NoTables, Tables};
use cel::common::ast::{EntryExpr, Expr, LiteralValue};
use cel::{Context, ExecutionError, IdedExpr};
use context::Resolver;
use parts::Parts;
pub use provided::Functions;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

const MAX_TEXT: usize = 8_000;

/// A compiled CEL expression with the functions of [`crate::functions::FUNCTIONS`].
///
/// A missing member is an error; guard it with `has(a.b)`, `a.?b.orValue('')` or `get(a, 'b.c[0]', '')`, which gives its
/// last argument for null too. The pattern of `matches` is a literal, compiled with the expression.
pub struct Expression {
    text: String,
    program: Program,
    roots: Vec<String>,
    parts: Parts,
    functions: Option<Functions>,
}

enum Program {
    /// `request.person.name`: by far the most frequent form, walked without the interpreter.
    Path(Vec<String>),
    Cel(Box<IdedExpr>),
}

impl Expression {
    /// Compiles an expression that looks up no code table.
    ///
    /// # Errors
    /// A syntax error with its position, an unknown function, a wrong number of arguments.
    pub fn parse(text: &str) -> Result<Expression, ExpressionError> {
        Expression::compile(text, &NoTables)
    }

    /// Compiles an expression whose `lookup` and `reverseLookup` read `tables`.
    ///
    /// # Errors
    /// As [`Expression::parse`], and a code table that is unknown or not named by a literal.
    pub fn compile(text: &str, tables: &dyn Tables) -> Result<Expression, ExpressionError> {
        if text.len() > MAX_TEXT {
            return Err(ExpressionError::new(format!("an expression has at most {MAX_TEXT} bytes")));
        }
        let mut expr = context::parse(text)?;
        let found = check::check(&mut expr, tables)?;
        let program = match check::plain_path(&expr) {
            Some(path) => Program::Path(path),
            None => Program::Cel(Box::new(expr)),
        };
        let functions = tables.functions().filter(|_| found.provided).cloned();
        Ok(Expression {
            text: text.to_owned(),
            program,
            roots: found.roots,
            parts: Parts(Arc::new(found.parts)),
            functions,
        })
    }

    /// The value of the expression for the documents of `scope`.
    ///
    /// # Errors
    /// A missing document or member, or an operator or function that does not fit its values.
    pub fn eval(&self, scope: &dyn Scope) -> Result<Value, EvalError> {
        match &self.program {
            Program::Path(path) => walk(path, scope).cloned(),
            Program::Cel(expr) => self.run(scope, |context| ordered(expr, context)),
        }
    }

    /// The value of the expression, without a copy where it stands in a document.
    ///
    /// # Errors
    /// As [`Expression::eval`].
    pub fn eval_borrowed<'a>(&self, scope: &'a dyn Scope) -> Result<Cow<'a, Value>, EvalError> {
        match &self.program {
            Program::Path(path) => walk(path, scope).map(Cow::Borrowed),
            Program::Cel(_) => self.eval(scope).map(Cow::Owned),
        }
    }

    /// The value of a condition.
    ///
    /// # Errors
    /// As [`Expression::eval`], and a result that is not a boolean.
    pub fn eval_bool(&self, scope: &dyn Scope) -> Result<bool, EvalError> {
        let value = match &self.program {
            Program::Path(path) => walk(path, scope)?.as_bool(),
            Program::Cel(expr) => self.run(scope, |context| {
                let value = cel::Value::resolve_val(expr, context)?;
                Ok(value.downcast_ref::<cel::common::types::CelBool>().map(|bool| *bool.inner()))
            })?,
        };
        value.ok_or_else(|| EvalError::format("a condition must give true or false"))
    }

    /// The names of the documents it reads.
    pub fn roots(&self) -> &[String] {
        &self.roots
    }

    /// The text it was compiled from.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn run<T>(
        &self,
        scope: &dyn Scope,
        work: impl FnOnce(&Context<'_, '_>) -> Result<T, ExecutionError>,
    ) -> Result<T, EvalError> {
        let resolver = Resolver { scope, parts: &self.parts };
        let base = self.functions.as_ref().map_or_else(context::shared, Functions::context);
        let mut context = base.new_inner_scope();
        context.set_variable_resolver(&resolver);
        work(&context).map_err(|error| context::explain(&error, &self.text, self.functions.as_ref()))
    }
}

/// Expressions by their texts, so that equal ones are compiled once and share their memory. For one compilation: it forgets none.
#[derive(Default)]
pub struct Known(Mutex<HashMap<String, Arc<Expression>>>);

impl Known {
    /// The expression of that text, compiled when it is new. All must be of the same tables.
    ///
    /// # Errors
    /// As [`Expression::compile`].
    pub fn get(&self, text: &str, tables: &dyn Tables) -> Result<Arc<Expression>, ExpressionError> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known().get(text) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(Expression::compile(text, tables)?);
        Ok(Arc::clone(known().entry(text.to_owned()).or_insert(made)))
    }
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Expression").field(&self.text).finish()
    }
}

fn walk<'a>(path: &[String], scope: &'a dyn Scope) -> Result<&'a Value, EvalError> {
    let (root, members) = path.split_first().ok_or_else(|| EvalError::missing("an empty path"))?;
    let mut node =
        scope.get(root).ok_or_else(|| EvalError::missing(format!("there is no document `{root}`")))?;
    for name in members {
        let object = node
            .as_object()
            .ok_or_else(|| EvalError::format(format!("`{name}` is asked of {}", type_name(node))))?;
        node = object.get(name).ok_or_else(|| EvalError::missing(format!("there is no member `{name}`")))?;
    }
    Ok(node)
}

/// Evaluates map literals member by member, because CEL's own maps forget the order they were written in.
fn ordered(expr: &IdedExpr, context: &Context<'_, '_>) -> Result<Value, ExecutionError> {
    match &expr.expr {
        Expr::Map(map) if map.entries.iter().all(|entry| literal_entry(&entry.expr).is_some()) => {
            let mut object = Map::with_capacity(map.entries.len());
            for (name, value) in map.entries.iter().filter_map(|entry| literal_entry(&entry.expr)) {
                if object.insert(name.to_owned(), ordered(value, context)?).is_some() {
                    return Err(ExecutionError::DuplicateKey(cel::Value::Null));
                }
            }
            Ok(Value::Object(object))
        }
        Expr::List(list) if list.optional_indices.is_empty() => list
            .elements
            .iter()
            .map(|element| ordered(element, context))
            .collect::<Result<_, _>>()
            .map(Value::Array),
        _ => json::to_json(cel::Value::resolve_val(expr, context)?.as_ref()),
    }
}

fn literal_entry(entry: &EntryExpr) -> Option<(&str, &IdedExpr)> {
    match entry {
        EntryExpr::MapEntry(entry) if !entry.optional => match &entry.key.expr {
            Expr::Literal(LiteralValue::String(name)) => Some((name.inner(), &entry.value)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
