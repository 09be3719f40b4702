//! The one CEL context every expression runs in, the variables it finds, and its errors without values.

use super::json;
use super::provided::{self, Functions};
use crate::document::Scope;
use crate::error::{EvalError, ExpressionError};
use crate::functions::{self, Call, Function};
use crate::table::Table;
use cel::common::types::{CelString, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError, FunctionContext, IdedExpr};
use serde_json::Value;
use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// Names no expression can write, under which functions find what the call provides.
const TABLES: &str = "@tables";
const NOW: &str = "@now";

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

static SHARED: LazyLock<Context<'static, 'static>> = LazyLock::new(base);

/// A new context with the functions of every expression.
pub(super) fn base() -> Context<'static, 'static> {
    let mut context = Context::with_env(Arc::clone(&ENV));
    for function in functions::FUNCTIONS.iter().filter(|function| function.in_cel) {
        let body: Body = Box::new(move |call| run(function, call));
        context
            .add_function(function.name, body)
            .expect("no function in CEL bears a standard name, a test checks");
    }
    let body: Body = Box::new(get);
    context.add_function("get", body).expect("the standard library has no get");
    context
}

pub(super) type Body = Box<
    dyn for<'c, 'v> Fn(&mut FunctionContext<'c, 'v>) -> Result<CowVal<'c, 'v>, ExecutionError> + Send + Sync,
>;

/// The context with the functions and no variables.
pub(super) fn shared<'a>() -> &'a Context<'a, 'a> {
    &SHARED
}

/// Parses CEL text with the standard macros.
pub(super) fn parse(text: &str) -> Result<IdedExpr, ExpressionError> {
    ENV.parser().parse(text).map_err(|errors| match errors.errors.first() {
        Some(error) => ExpressionError::new(format!(
            "line {}, column {}: {}",
            error.pos.0,
            error.pos.1.max(1),
            error.msg
        )),
        None => ExpressionError::new("not a CEL expression"),
    })
}

/// Finds the documents of a scope as CEL variables.
pub(super) struct Resolver<'a> {
    pub scope: &'a dyn Scope,
    pub tables: &'a Arc<HashMap<String, Table>>,
}

impl VariableResolver for Resolver<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        match name {
            TABLES => Some(CowVal::owned(TablesVal(Arc::clone(self.tables)))),
            provided::NAME => {
                self.scope.functions().map(|functions| CowVal::owned(provided::Provided(functions)))
            }
            NOW => Some(CowVal::owned(cel::common::types::CelInt::from(self.scope.now_millis()))),
            _ => self.scope.get(name).map(|value| CowVal::Owned(json::to_val(value))),
        }
    }
}

/// The code tables of an expression, passed to `lookup` as a variable.
#[derive(Debug)]
struct TablesVal(Arc<HashMap<String, Table>>);

static TABLES_TYPE: Type = Type::new_unspecified_type("tables");

impl Val for TablesVal {
    fn get_type(&self) -> &Type {
        &TABLES_TYPE
    }

    fn cel_type() -> &'static Type {
        &TABLES_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(TablesVal(Arc::clone(&self.0)))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for TablesVal {}

fn run<'c, 'v>(
    function: &'static Function,
    call: &mut FunctionContext<'c, 'v>,
) -> Result<CowVal<'c, 'v>, ExecutionError> {
    let mut values = Vec::with_capacity(call.args.len() + 1);
    for argument in call.this.iter().chain(&call.args) {
        values.push(json::to_json(argument.as_ref())?);
    }
    let (input, arguments) = match values.split_first() {
        Some((input, arguments)) if function.takes_input => (input, arguments),
        _ => (&Value::Null, values.as_slice()),
    };
    let tables = if function.needs_table { call.ptx.get_variable(TABLES) } else { None };
    let table = tables
        .as_ref()
        .and_then(|tables| tables.downcast_ref::<TablesVal>())
        .zip(arguments.first().and_then(Value::as_str))
        .and_then(|(tables, name)| tables.0.get(name));
    let now = || {
        let now = call.ptx.get_variable(NOW);
        now.and_then(|now| now.downcast_ref::<cel::common::types::CelInt>().map(|now| *now.inner()))
            .unwrap_or(0)
    };
    let result = (function.run)(&Call { input, arguments, table, now_millis: &now })
        .map_err(|error| ExecutionError::function_error(function.name, error))?;
    Ok(CowVal::Owned(json::into_val(result)))
}

/// `get(document, 'a.b[0]', default)`: read without converting the document.
fn get<'c, 'v>(call: &mut FunctionContext<'c, 'v>) -> Result<CowVal<'c, 'v>, ExecutionError> {
    let mut arguments = call.this.iter().chain(&call.args);
    let (Some(document), Some(path), Some(default), None) =
        (arguments.next(), arguments.next(), arguments.next(), arguments.next())
    else {
        return Err(ExecutionError::function_error("get", "takes a document, a path and a default"));
    };
    let Some(path) = path.downcast_ref::<CelString>() else {
        return Err(ExecutionError::function_error("get", "the path must be text, as in 'a.b'"));
    };
    let mut node: CowVal<'c, 'v> = document.clone();
    for name in path.inner().split('.') {
        let next = match node.as_indexer() {
            Some(indexer) => indexer.get(&CelString::from(name)).ok().map(CowVal::into_owned),
            None => None,
        };
        match next {
            Some(next) => node = CowVal::Owned(next),
            None => return Ok(default.clone()),
        }
    }
    Ok(node)
}

/// What went wrong, in words that hold no value of a document.
pub(super) fn explain(error: &ExecutionError, text: &str, provided: Option<&Functions>) -> EvalError {
    match error {
        // A key may be computed from a document: only one that the author wrote is named.
        ExecutionError::NoSuchKey(name) if text.contains(name.as_str()) => {
            EvalError::missing(format!("there is no member `{name}`"))
        }
        ExecutionError::NoSuchKey(_) => EvalError::missing("there is no such member"),
        ExecutionError::UndeclaredReference(name) if text.contains(name.as_str()) => {
            EvalError::missing(format!("there is no document or function `{name}`"))
        }
        ExecutionError::IndexOutOfBounds(_) => EvalError::missing("there is no such element"),
        ExecutionError::NoSuchOverload(overload) => EvalError::format(overload.to_string()),
        ExecutionError::FunctionError { function, message }
            if ours(function) || provided.is_some_and(|functions| functions.has(function)) =>
        {
            EvalError::format(format!("{function}: {message}"))
        }
        ExecutionError::FunctionError { function, .. } if text.contains(function.as_str()) => {
            EvalError::format(format!("{function}() cannot work on this value"))
        }
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            EvalError::format(format!("a function takes {expected} arguments, {actual} given"))
        }
        ExecutionError::ValuesNotComparable(..) => {
            EvalError::format("the values compared are of different types")
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            EvalError::format("division by zero")
        }
        ExecutionError::Overflow(..) => EvalError::format("the result exceeds 64 bits"),
        _ => EvalError::format("an operator or function met a value of a type it cannot work on"),
    }
}

fn ours(function: &str) -> bool {
    function == "get" || function == "result" || functions::find(function).is_some()
}
