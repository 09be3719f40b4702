//! Templates: a YAML or JSON value whose texts may hold `${CEL}`, compiled once, for requests, answers and events.

mod json;

use crate::document::{Scope, scalar_text, type_name};
use crate::error::{EvalError, EvalErrorKind, ExpressionError, join_path};
use crate::expression::Expression;
use crate::table::{NoTables, Tables};
pub use json::JsonText;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The most bytes of text one rendering may produce.
pub const MAX_TEXT: usize = 16 << 20;

/// A compiled template.
///
/// A text that is exactly one `${…}` keeps the type of its value; inside longer text null is empty and a list or object
/// is refused. `$${` stands for `${`.
#[derive(Debug)]
pub struct Template {
    node: Node,
    roots: Vec<String>,
}

#[derive(Debug)]
enum Node {
    /// A subtree without expressions, copied whole.
    Constant(Value),
    Value(Arc<Expression>),
    Text(Vec<Part>),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

#[derive(Debug)]
enum Part {
    Literal(String),
    Value(Arc<Expression>),
}

impl Template {
    /// Compiles a template whose expressions look up no code table.
    ///
    /// # Errors
    /// Every mistake, each with its path in the value: `a.b[2]`.
    pub fn compile(value: &Value) -> Result<Template, Vec<(String, ExpressionError)>> {
        Template::compile_with(value, &NoTables)
    }

    /// Compiles a template whose expressions may look up `tables`.
    ///
    /// # Errors
    /// As [`Template::compile`].
    pub fn compile_with(
        value: &Value,
        tables: &dyn Tables,
    ) -> Result<Template, Vec<(String, ExpressionError)>> {
        let mut compiler = Compiler { tables, roots: Vec::new(), errors: Vec::new() };
        let node = compiler.node(value, "");
        if compiler.errors.is_empty() {
            Ok(Template { node, roots: compiler.roots })
        } else {
            Err(compiler.errors)
        }
    }

    /// The value of the template for the documents of `scope`.
    ///
    /// # Errors
    /// The first expression that fails, and a result beyond [`MAX_TEXT`].
    pub fn render(&self, scope: &dyn Scope) -> Result<Value, EvalError> {
        let mut left = MAX_TEXT;
        render(&self.node, scope, &mut left)
    }

    /// The same as JSON text, for where nothing but the text is wanted.
    pub fn json_text(&self) -> JsonText {
        JsonText::of(&self.node)
    }

    /// The names of the documents it reads.
    pub fn roots(&self) -> &[String] {
        &self.roots
    }

    /// Whether it has no expression.
    pub fn is_constant(&self) -> bool {
        matches!(self.node, Node::Constant(_))
    }
}

struct Compiler<'a> {
    tables: &'a dyn Tables,
    roots: Vec<String>,
    errors: Vec<(String, ExpressionError)>,
}

impl Compiler<'_> {
    fn node(&mut self, value: &Value, path: &str) -> Node {
        match value {
            Value::String(text) => self.text(text, path),
            Value::Array(elements) => {
                let place = |index: usize| format!("{path}[{index}]");
                let nodes: Vec<_> =
                    elements.iter().enumerate().map(|(i, e)| self.node(e, &place(i))).collect();
                if nodes.iter().all(is_constant) { constant(nodes.into_iter()) } else { Node::Array(nodes) }
            }
            Value::Object(members) => {
                let mut nodes = Vec::with_capacity(members.len());
                for (name, member) in members {
                    let place = join_path(path, name);
                    if name.contains("${") {
                        self.refuse(&place, ExpressionError::new("a name cannot hold ${…}"));
                    }
                    nodes.push((name.clone(), self.node(member, &place)));
                }
                if nodes.iter().all(|(_, node)| is_constant(node)) {
                    return Node::Constant(Value::Object(
                        nodes.into_iter().filter_map(|(name, node)| Some((name, value_of(node)?))).collect(),
                    ));
                }
                Node::Object(nodes)
            }
            other => Node::Constant(other.clone()),
        }
    }

    fn text(&mut self, text: &str, path: &str) -> Node {
        if !text.contains("${") {
            return Node::Constant(Value::from(text));
        }
        let mut parts = Vec::new();
        match parts_of(text) {
            Err(error) => self.refuse(path, error),
            Ok(found) => {
                for (literal, source) in found {
                    match source {
                        false => parts.push(Part::Literal(literal)),
                        true => match self.expression(&literal) {
                            Ok(expression) => {
                                self.add_roots(expression.roots());
                                parts.push(Part::Value(expression));
                            }
                            Err(error) => self.refuse(path, error),
                        },
                    }
                }
            }
        }
        match parts.pop() {
            None => Node::Constant(Value::from("")),
            Some(Part::Value(expression)) if parts.is_empty() => Node::Value(expression),
            Some(Part::Literal(literal)) if parts.is_empty() => Node::Constant(Value::from(literal)),
            Some(last) => {
                parts.push(last);
                Node::Text(parts)
            }
        }
    }

    fn expression(&self, text: &str) -> Result<Arc<Expression>, ExpressionError> {
        match self.tables.expressions() {
            Some(known) => known.get(text, self.tables),
            None => Expression::compile(text, self.tables).map(Arc::new),
        }
    }

    fn add_roots(&mut self, roots: &[String]) {
        for root in roots {
            if !self.roots.contains(root) {
                self.roots.push(root.clone());
            }
        }
    }

    fn refuse(&mut self, path: &str, error: ExpressionError) {
        self.errors.push((path.to_owned(), error));
    }
}

fn is_constant(node: &Node) -> bool {
    matches!(node, Node::Constant(_))
}

fn value_of(node: Node) -> Option<Value> {
    match node {
        Node::Constant(value) => Some(value),
        _ => None,
    }
}

fn constant(nodes: impl Iterator<Item = Node>) -> Node {
    Node::Constant(Value::Array(nodes.filter_map(value_of).collect()))
}

/// Cuts text into literals (`false`) and expressions (`true`).
fn parts_of(text: &str) -> Result<Vec<(String, bool)>, ExpressionError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            literal.push_str(&rest[..at - 1]);
            literal.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        literal.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let end = closing_brace(inside).ok_or_else(|| ExpressionError::new("${ lacks its closing brace"))?;
        if !literal.is_empty() {
            parts.push((std::mem::take(&mut literal), false));
        }
        parts.push((inside[..end].to_owned(), true));
        rest = &inside[end + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push((literal, false));
    }
    Ok(parts)
}

/// The brace that closes an expression: not one in a text or of a map.
fn closing_brace(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'{') => depth += 1,
            (None, b'}') if depth == 0 => return Some(at),
            (None, b'}') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

fn render(node: &Node, scope: &dyn Scope, left: &mut usize) -> Result<Value, EvalError> {
    Ok(match node {
        Node::Constant(value) => value.clone(),
        Node::Value(expression) => {
            let value = expression.eval(scope)?;
            spend(left, value.as_str().map_or(0, str::len))?;
            value
        }
        Node::Text(parts) => Value::String(text(parts, scope, left)?),
        Node::Array(nodes) => nodes.iter().map(|node| render(node, scope, left)).collect::<Result<_, _>>()?,
        Node::Object(nodes) => {
            let mut object = Map::with_capacity(nodes.len());
            for (name, node) in nodes {
                object.insert(name.clone(), render(node, scope, left)?);
            }
            Value::Object(object)
        }
    })
}

fn text(parts: &[Part], scope: &dyn Scope, left: &mut usize) -> Result<String, EvalError> {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Literal(literal) => {
                spend(left, literal.len())?;
                out.push_str(literal);
            }
            Part::Value(expression) => {
                let value = expression.eval(scope)?;
                let text = scalar_text(&value).ok_or_else(|| not_text(&value, expression))?;
                spend(left, text.len())?;
                out.push_str(&text);
            }
        }
    }
    Ok(out)
}

fn not_text(value: &Value, expression: &Expression) -> EvalError {
    let (given, text) = (type_name(value), expression.text());
    EvalError::format(format!("${{{text}}} gives {given}, which cannot stand inside text"))
}

fn spend(left: &mut usize, bytes: usize) -> Result<(), EvalError> {
    *left = left.checked_sub(bytes).ok_or_else(|| EvalError {
        kind: EvalErrorKind::Limit,
        message: format!("the rendered text exceeds {MAX_TEXT} bytes"),
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rendered(template: Value, documents: Value) -> Result<Value, String> {
        let template = Template::compile(&template).map_err(|errors| format!("{errors:?}"))?;
        template.render(&documents).map_err(|error| error.to_string())
    }

    #[test]
    fn keeps_the_type_of_a_lone_expression_and_joins_text_otherwise() {
        let documents = json!({"request": {"n": 5, "list": [1], "none": null}});
        assert_eq!(
            rendered(
                json!({"n": "${request.n}", "list": "${request.list}", "text": "n=${request.n};${request.none}"}),
                documents
            ),
            Ok(json!({"n": 5, "list": [1], "text": "n=5;"}))
        );
    }

    #[test]
    fn reads_braces_and_quotes_inside_an_expression() {
        let documents = json!({"a": 1});
        assert_eq!(rendered(json!("${{'}': a}['}']}"), documents.clone()), Ok(json!(1)));
        assert_eq!(rendered(json!("$${a} costs $5 ${a}"), documents), Ok(json!("${a} costs $5 1")));
    }

    #[test]
    fn names_the_place_of_every_mistake() {
        let errors =
            Template::compile(&json!({"a": {"b": ["x", "${1 +}"]}, "c": "${nope(1)}", "d": "${open"}))
                .expect_err("three mistakes");
        let places: Vec<_> = errors.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(places, ["a.b[1]", "c", "d"]);
    }

    #[test]
    fn lists_the_documents_it_reads_once() {
        let template = Template::compile(&json!(["${request.a}", "${vars.b + request.c}"])).expect("valid");
        assert_eq!(template.roots(), ["request", "vars"]);
        assert!(!template.is_constant());
        assert!(Template::compile(&json!({"a": ["$${x}"]})).expect("valid").is_constant());
    }

    #[test]
    fn refuses_structures_inside_text_and_text_without_end() {
        let message =
            rendered(json!("a ${request}"), json!({"request": {"a": 1}})).expect_err("an object in text");
        assert!(message.contains("an object"), "{message}");
        let long = "x".repeat(MAX_TEXT / 2 + 1);
        assert!(
            rendered(json!(["${a}", "${a}"]), json!({"a": long})).expect_err("too long").contains("exceeds")
        );
    }
}
