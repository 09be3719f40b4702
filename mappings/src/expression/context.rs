//! The one CEL context every expression runs in, the variables it finds, and its errors without values.

use super::json;
use super::parts::{self, Parts};
use super::provided::{self, Functions};
use crate::document::Scope;
use crate::error::{EvalError, ExpressionError};
use crate::functions::{self, Call, Function};
use cel::common::types::{CelBool, CelInt, CelString, Kind};
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError, FunctionContext, IdedExpr};
use serde_json::Value;
use std::sync::{Arc, LazyLock};

/// A name no expression can write, under which functions find the present time.
const NOW: &str = "@now";
/// What the compiler turns `matches` with a literal pattern into.
pub(super) const MATCHES: &str = "@matches";

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
    let body: Body = Box::new(matches);
    context.add_function(MATCHES, body).expect("no standard function has an at sign in its name");
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
    pub parts: &'a Parts,
}

impl VariableResolver for Resolver<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        match name {
            parts::NAME => Some(CowVal::Borrowed(self.parts)),
            provided::NAME => {
                self.scope.functions().map(|functions| CowVal::owned(provided::Provided(functions)))
            }
            NOW => Some(CowVal::owned(CelInt::from(self.scope.now_millis()))),
            _ => self.scope.get(name).map(|value| CowVal::Owned(json::to_val(value))),
        }
    }
}

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
    let parts = if function.needs_table { call.ptx.get_variable(parts::NAME) } else { None };
    let table = parts
        .as_ref()
        .and_then(|parts| parts.downcast_ref::<Parts>())
        .zip(arguments.first().and_then(Value::as_str))
        .and_then(|(parts, name)| parts.0.tables.get(name));
    let now = || {
        let now = call.ptx.get_variable(NOW);
        now.and_then(|now| now.downcast_ref::<CelInt>().map(|now| *now.inner())).unwrap_or(0)
    };
    let result = (function.run)(&Call { input, arguments, table, now_millis: &now })
        .map_err(|error| ExecutionError::function_error(function.name, error))?;
    Ok(CowVal::Owned(json::into_val(result)))
}

/// `get(document, 'a.b[0]', default)`: read without converting the document; null counts as missing.
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
    for step in path.inner().split(['.', '[']) {
        let next = match (step.strip_suffix(']'), node.as_indexer()) {
            (Some(index), Some(list)) => {
                index.parse::<i64>().ok().and_then(|at| list.get(&CelInt::from(at)).ok())
            }
            (None, Some(object)) => object.get(&CelString::from(step)).ok(),
            (_, None) => None,
        }
        .map(CowVal::into_owned)
        .filter(|next| next.get_type().kind() != Kind::NullType);
        match next {
            Some(next) => node = CowVal::Owned(next),
            None => return Ok(default.clone()),
        }
    }
    Ok(node)
}

/// `text.matches('pattern')` with the pattern that was compiled with the expression.
fn matches<'c, 'v>(call: &mut FunctionContext<'c, 'v>) -> Result<CowVal<'c, 'v>, ExecutionError> {
    let parts = call.ptx.get_variable(parts::NAME);
    let parts = parts.as_ref().and_then(|parts| parts.downcast_ref::<Parts>());
    let [text, index] = call.args.as_slice() else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    let index = index.downcast_ref::<CelInt>().and_then(|index| usize::try_from(*index.inner()).ok());
    match (
        text.downcast_ref::<CelString>(),
        parts.zip(index).and_then(|(parts, at)| parts.0.patterns.get(at)),
    ) {
        (Some(text), Some(pattern)) => Ok(CowVal::owned(CelBool::from(pattern.is_match(text.inner())))),
        _ => Err(ExecutionError::function_error("matches", "the value is not text")),
    }
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
    matches!(function, "get" | "result" | "matches") || functions::find(function).is_some()
}
