//! A function call written in a rule, `padLeft(10, 0)`, compiled once.

use super::{Call, Function, FunctionError};
use crate::document::Scope;
use crate::error::ExpressionError;
use crate::table::{Table, Tables};
use serde_json::Value;

/// A compiled call: the function, its literal arguments and its code table.
#[derive(Debug, Clone)]
pub struct Applied {
    function: &'static Function,
    arguments: Vec<Value>,
    table: Option<Table>,
}

impl Applied {
    /// Compiles `name` or `name(argument, ...)`. An argument is bare text, or quoted with `'` or `"` to keep blanks,
    /// commas and parentheses; a quote is doubled inside quotes.
    ///
    /// # Errors
    /// An unknown function or code table, a wrong number of arguments, an argument the function refuses.
    pub fn parse(text: &str, tables: &dyn Tables) -> Result<Applied, ExpressionError> {
        let (name, arguments) = split(text)?;
        let Some(function) = super::find(name) else {
            return Err(ExpressionError::new(format!("there is no function {name}(){}", super::hint(name))));
        };
        if arguments.len() < function.min_arguments || arguments.len() > function.max_arguments {
            let given = arguments.len();
            let signature = function.signature;
            return Err(ExpressionError::new(format!(
                "{signature} was given {given} arguments after the value; in a rule the value itself is left out"
            )));
        }
        let arguments: Vec<Value> = arguments.into_iter().map(Value::from).collect();
        let table = match arguments.first().and_then(Value::as_str) {
            Some(table) if function.needs_table => Some(
                tables
                    .table(table)
                    .cloned()
                    .ok_or_else(|| ExpressionError::new(format!("there is no code table `{table}`")))?,
            ),
            _ => None,
        };
        (function.check)(&arguments).map_err(|error| ExpressionError::new(format!("{name}: {error}")))?;
        Ok(Applied { function, arguments, table })
    }

    /// The function it calls.
    pub fn function(&self) -> &'static Function {
        self.function
    }

    /// Runs the call on a value.
    ///
    /// # Errors
    /// The function refuses the value; the message does not hold it.
    pub fn run(&self, input: &Value, scope: &dyn Scope) -> Result<Value, FunctionError> {
        let now_millis = || scope.now_millis();
        let call =
            Call { input, arguments: &self.arguments, table: self.table.as_ref(), now_millis: &now_millis };
        (self.function.run)(&call)
    }
}

fn split(text: &str) -> Result<(&str, Vec<String>), ExpressionError> {
    let text = text.trim();
    let Some((name, rest)) = text.split_once('(') else { return Ok((text, Vec::new())) };
    let Some(inside) = rest.strip_suffix(')') else {
        return Err(ExpressionError::new(format!("the call of {name} lacks its closing parenthesis")));
    };
    if inside.trim().is_empty() {
        return Ok((name.trim(), Vec::new()));
    }
    let mut arguments = Vec::new();
    let mut rest = inside;
    loop {
        let (argument, after) = argument(rest)?;
        arguments.push(argument);
        match after {
            Some(after) => rest = after,
            None => return Ok((name.trim(), arguments)),
        }
    }
}

/// The first argument, and what follows its comma.
fn argument(text: &str) -> Result<(String, Option<&str>), ExpressionError> {
    let start = text.trim_start();
    let Some(quote) = start.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
        return Ok(match start.split_once(',') {
            Some((argument, rest)) => (argument.trim().to_owned(), Some(rest)),
            None => (start.trim().to_owned(), None),
        });
    };
    let mut argument = String::new();
    let mut rest = &start[1..];
    loop {
        let Some((part, after)) = rest.split_once(quote) else {
            return Err(ExpressionError::new("an argument lacks its closing quote"));
        };
        argument.push_str(part);
        match after.strip_prefix(quote) {
            Some(more) => {
                argument.push(quote);
                rest = more;
            }
            None => {
                let after = after.trim_start();
                return match after.strip_prefix(',') {
                    Some(rest) => Ok((argument, Some(rest))),
                    None if after.is_empty() => Ok((argument, None)),
                    None => Err(ExpressionError::new("a comma is missing after a quoted argument")),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::NoTables;
    use serde_json::json;

    fn run(text: &str, input: Value) -> Result<Value, String> {
        let applied = Applied::parse(text, &NoTables).map_err(|error| error.to_string())?;
        applied.run(&input, &json!({})).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_bare_and_quoted_arguments() {
        assert_eq!(run("replace( a , 'b, ''c''' )", json!("xay")), Ok(json!("xb, 'c'y")));
        assert_eq!(run("padLeft(5,0)", json!(42)), Ok(json!("00042")));
        assert_eq!(run("trim", json!(" a ")), Ok(json!("a")));
        assert_eq!(run("trim()", json!(" a ")), Ok(json!("a")));
        assert_eq!(run("split(\",\")", json!("a,b")), Ok(json!(["a", "b"])));
    }

    #[test]
    fn refuses_what_cannot_be_called_and_says_why() {
        for (text, part) in [
            ("trimm", "did you mean trim()"),
            ("padLeft", "padLeft(text, width"),
            ("padLeft(x)", "whole number"),
            ("date(yyyyMMdd, yyyy-QQ)", "pattern"),
            ("lookup(gender)", "no code table `gender`"),
            ("trim(", "closing parenthesis"),
            ("replace('a, b)", "closing quote"),
            ("replace('a' b)", "comma"),
        ] {
            let message = run(text, json!("x")).expect_err(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
