//! What is checked when an expression is compiled: its names, functions, argument counts and code tables.

use super::context::MATCHES;
use super::parts::Inner;
use crate::error::ExpressionError;
use crate::functions;
use crate::table::Tables;
use cel::IdedExpr;
use cel::common::ast::operators::{EQUALS, NOT_EQUALS};
use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue};
use cel::common::types::CelInt;
use regex::RegexBuilder;
use serde_json::Value;

const MAX_REGEX_BYTES: usize = 1 << 20;

/// The names an expression depends on.
pub(super) struct Found {
    pub roots: Vec<String>,
    pub parts: Inner,
    /// Whether it calls a function that the scope provides.
    pub provided: bool,
}

/// The functions of CEL's standard library that expressions may call.
pub(super) const STANDARD: &[&str] = &[
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "hasValue",
    "int",
    "matches",
    "none",
    "of",
    "ofNonZeroValue",
    "optMap",
    "optFlatMap",
    "or",
    "orValue",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
    "value",
];
const TYPES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "dyn",
    "int",
    "list",
    "map",
    "null_type",
    "optional",
    "string",
    "type",
    "uint",
];

/// Checks the names of `expr`; swaps the sides of `==` where only one of them can compare.
pub(super) fn check(expr: &mut IdedExpr, tables: &dyn Tables) -> Result<Found, ExpressionError> {
    let mut checker = Checker {
        found: Found { roots: Vec::new(), parts: Inner::default(), provided: false },
        bound: Vec::new(),
        tables,
    };
    checker.visit(expr)?;
    Ok(checker.found)
}

/// Whether CEL itself, or this crate's `get`, has a function of that name.
pub(super) fn is_standard(name: &str) -> bool {
    name == "get" || STANDARD.contains(&name)
}

/// The names of `a.b.c`, if the expression is nothing else.
pub(super) fn plain_path(expr: &IdedExpr) -> Option<Vec<String>> {
    match &expr.expr {
        Expr::Ident(name) if !TYPES.contains(&name.as_str()) && !name.starts_with('.') => {
            Some(vec![name.clone()])
        }
        Expr::Select(select) if !select.test => {
            let mut path = plain_path(&select.operand)?;
            path.push(select.field.clone());
            Some(path)
        }
        _ => None,
    }
}

struct Checker<'a> {
    found: Found,
    bound: Vec<String>,
    tables: &'a dyn Tables,
}

impl Checker<'_> {
    fn visit(&mut self, expr: &mut IdedExpr) -> Result<(), ExpressionError> {
        match &mut expr.expr {
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => self.visit(&mut select.operand)?,
            Expr::Call(call) => self.call(call)?,
            Expr::List(list) => list.elements.iter_mut().try_for_each(|element| self.visit(element))?,
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.visit(&mut entry.key)?;
                        self.visit(&mut entry.value)?;
                    }
                }
            }
            Expr::Comprehension(loops) => {
                self.visit(&mut loops.iter_range)?;
                self.visit(&mut loops.accu_init)?;
                let outer = self.bound.len();
                self.bound.extend([loops.iter_var.clone(), loops.accu_var.clone()]);
                self.bound.extend(loops.iter_var2.clone());
                self.visit(&mut loops.loop_cond)?;
                self.visit(&mut loops.loop_step)?;
                self.visit(&mut loops.result)?;
                self.bound.truncate(outer);
            }
            Expr::Struct(object) => {
                return Err(ExpressionError::new(format!(
                    "there are no types such as {} here",
                    object.type_name
                )));
            }
            Expr::Literal(_) | Expr::Unspecified => {}
        }
        Ok(())
    }

    fn name(&mut self, name: &str) {
        let name = name.strip_prefix('.').unwrap_or(name);
        let known = |names: &[String]| names.iter().any(|known| known == name);
        if !known(&self.bound) && !known(&self.found.roots) && !TYPES.contains(&name) {
            self.found.roots.push(name.to_owned());
        }
    }

    fn call(&mut self, call: &mut CallExpr) -> Result<(), ExpressionError> {
        if let Some(target) = &mut call.target {
            self.visit(target)?;
        }
        call.args.iter_mut().try_for_each(|argument| self.visit(argument))?;
        // An operator is spelled with underscores around or an at sign before: `_+_`, `!_`, `@in`.
        if !call.func_name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            swap_literal(call);
            return Ok(());
        }
        if call.func_name == "matches" { self.matches(call) } else { self.function(call) }
    }

    /// Compiles the pattern now, because CEL's own `matches` compiles it at every evaluation.
    fn matches(&mut self, call: &mut CallExpr) -> Result<(), ExpressionError> {
        call.args.splice(0..0, call.target.take().map(|target| *target));
        let pattern = call.args.get(1).and_then(literal);
        let (2, Some(Value::String(pattern))) = (call.args.len(), pattern) else {
            return Err(ExpressionError::new("matches(text, pattern) takes a text and a literal pattern"));
        };
        let pattern = RegexBuilder::new(&pattern).size_limit(MAX_REGEX_BYTES).build().map_err(|error| {
            let reason = error.to_string();
            ExpressionError::new(format!(
                "not a regular expression: {}",
                reason.lines().last().unwrap_or_default()
            ))
        })?;
        let index = i64::try_from(self.found.parts.patterns.len()).unwrap_or(i64::MAX);
        self.found.parts.patterns.push(pattern);
        call.func_name = MATCHES.to_owned();
        call.args[1].expr = Expr::Literal(LiteralValue::Int(CelInt::from(index)));
        Ok(())
    }

    fn function(&mut self, call: &CallExpr) -> Result<(), ExpressionError> {
        let name = call.func_name.as_str();
        let given = call.args.len() + usize::from(call.target.is_some());
        if name == "get" {
            return if given == 3 { Ok(()) } else { Err(wrong_count("get(document, path, default)", given)) };
        }
        if self.tables.functions().is_some_and(|functions| functions.has(name)) {
            self.found.provided = true;
            return Ok(());
        }
        let Some(function) = functions::find(name).filter(|function| function.in_cel) else {
            if STANDARD.contains(&name) {
                return Ok(());
            }
            return Err(ExpressionError::new(format!(
                "there is no function {name}(){}",
                functions::hint(name)
            )));
        };
        let own = usize::from(function.takes_input);
        if given < function.min_arguments + own || given > function.max_arguments.saturating_add(own) {
            return Err(wrong_count(function.signature, given));
        }
        let all: Vec<_> = call.target.as_deref().into_iter().chain(&call.args).collect();
        let arguments = all.get(own..).unwrap_or_default();
        if function.needs_table {
            self.table(name, arguments)?;
        }
        if let Some(literals) = arguments.iter().map(|argument| literal(argument)).collect::<Option<Vec<_>>>()
        {
            (function.check)(&literals).map_err(|error| ExpressionError::new(format!("{name}: {error}")))?;
        }
        Ok(())
    }

    fn table(&mut self, function: &str, arguments: &[&IdedExpr]) -> Result<(), ExpressionError> {
        let Some(Value::String(table)) = arguments.first().and_then(|argument| literal(argument)) else {
            return Err(ExpressionError::new(format!("{function}() names its code table by a text literal")));
        };
        let Some(found) = self.tables.table(&table) else {
            return Err(ExpressionError::new(format!("there is no code table `{table}`")));
        };
        self.found.parts.tables.insert(table, found.clone());
        Ok(())
    }
}

/// The value of a text or integer literal.
fn literal(expr: &IdedExpr) -> Option<Value> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().into()),
        Expr::Literal(LiteralValue::Int(int)) => Some((*int.inner()).into()),
        _ => None,
    }
}

fn wrong_count(signature: &str, given: usize) -> ExpressionError {
    ExpressionError::new(format!("{signature} was given {given} arguments, the value itself included"))
}

/// A map that CEL builds does not know how to compare itself with a document, but a document does.
fn swap_literal(call: &mut CallExpr) {
    if matches!(call.func_name.as_str(), EQUALS | NOT_EQUALS)
        && let [left, right] = call.args.as_mut_slice()
        && matches!(left.expr, Expr::Map(_) | Expr::List(_))
    {
        std::mem::swap(left, right);
    }
}
