//! Functions that a scope provides beside those of every expression: declared once by name, run by the scope of the call.

use super::{check, context, json};
use crate::document::ScopeFunctions;
use crate::error::ExpressionError;
use cel::common::types::Type;
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Context, ExecutionError, FunctionContext};
use std::any::Any;
use std::sync::Arc;

/// The name no expression can write under which the functions are found.
pub(super) const NAME: &str = "@functions";

/// Names of functions that a scope provides; cloning shares them. Handed to the compiler by [`crate::Tables::functions`].
#[derive(Clone)]
pub struct Functions(Arc<Declared>);

struct Declared {
    names: Vec<String>,
    context: Context<'static, 'static>,
}

impl Functions {
    /// Declares functions of any number of arguments. One named as in [`crate::functions::FUNCTIONS`] takes its place.
    ///
    /// # Errors
    /// A name of CEL's own.
    pub fn declare<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Functions, ExpressionError> {
        let mut declared = Declared { names: Vec::new(), context: context::base() };
        for name in names {
            let owned = name.to_owned();
            let body: context::Body = Box::new(move |call| run(&owned, call));
            if check::is_standard(name) || declared.context.add_function(name, body).is_err() {
                return Err(ExpressionError::new(format!("there already is a function {name}()")));
            }
            declared.names.push(name.to_owned());
        }
        Ok(Functions(Arc::new(declared)))
    }

    /// Whether a function of that name is declared.
    pub fn has(&self, name: &str) -> bool {
        self.0.names.iter().any(|known| known == name)
    }

    pub(super) fn context<'a>(&'a self) -> &'a Context<'a, 'a> {
        &self.0.context
    }
}

impl std::fmt::Debug for Functions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Functions").field(&self.0.names).finish()
    }
}

fn run<'c, 'v>(name: &str, call: &mut FunctionContext<'c, 'v>) -> Result<CowVal<'c, 'v>, ExecutionError> {
    let mut arguments = Vec::with_capacity(call.args.len() + 1);
    for argument in call.this.iter().chain(&call.args) {
        arguments.push(json::to_json(argument.as_ref())?);
    }
    let provided = call.ptx.get_variable(NAME);
    let Some(provided) = provided.as_ref().and_then(|provided| provided.downcast_ref::<Provided>()) else {
        return Err(ExecutionError::function_error(name, "is not provided here"));
    };
    let result =
        provided.0.call(name, &arguments).map_err(|error| ExecutionError::function_error(name, error))?;
    Ok(CowVal::Owned(json::into_val(result)))
}

/// What runs the functions, passed to them as a variable.
pub(super) struct Provided(pub Arc<dyn ScopeFunctions>);

static PROVIDED_TYPE: Type = Type::new_unspecified_type("functions");

impl std::fmt::Debug for Provided {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("functions")
    }
}

impl Val for Provided {
    fn get_type(&self) -> &Type {
        &PROVIDED_TYPE
    }

    fn cel_type() -> &'static Type {
        &PROVIDED_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(Provided(Arc::clone(&self.0)))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Provided {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Expression, Scope, Table, Tables};
    use serde_json::{Value, json};

    struct Doubling(Functions);

    impl Tables for Doubling {
        fn table(&self, _: &str) -> Option<&Table> {
            None
        }

        fn functions(&self) -> Option<&Functions> {
            Some(&self.0)
        }
    }

    struct Doubler;

    impl ScopeFunctions for Doubler {
        fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, String> {
            match (name, arguments) {
                ("doubled", [Value::Number(n)]) => Ok(json!(n.as_i64().unwrap_or(0) * 2)),
                _ => Err("takes one number".into()),
            }
        }
    }

    struct WithDoubler(Value);

    impl Scope for WithDoubler {
        fn get(&self, name: &str) -> Option<&Value> {
            self.0.get(name)
        }

        fn functions(&self) -> Option<Arc<dyn ScopeFunctions>> {
            Some(Arc::new(Doubler))
        }
    }

    #[test]
    fn expressions_call_what_their_scope_provides() {
        let tables = Doubling(Functions::declare(["doubled", "upper"]).expect("new names"));
        let expression =
            Expression::compile("doubled(n) + size(string(doubled(1)))", &tables).expect("compiles");
        assert_eq!(expression.eval(&WithDoubler(json!({"n": 20}))).map_err(|e| e.message), Ok(json!(41)));
        let message = expression.eval(&WithDoubler(json!({"n": "x"}))).expect_err("a text").message;
        assert!(message.contains("doubled: takes one number"), "{message}");
        assert!(expression.eval(&json!({"n": 1})).is_err(), "a scope without functions");
        let upper = Expression::compile("upper('a')", &tables).expect("compiles");
        assert!(upper.eval(&WithDoubler(json!({}))).is_err(), "the scope's own takes the place of ours");
        assert!(Expression::compile("doubled(1)", &crate::NoTables).is_err());
    }

    #[test]
    fn names_of_cels_own_are_refused() {
        for name in ["size", "get", "matches"] {
            assert!(Functions::declare([name]).is_err(), "{name}");
        }
    }
}
