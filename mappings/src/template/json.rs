//! Templates written straight as JSON text: what is constant was encoded once, only the expressions are evaluated.

use super::{MAX_TEXT, Node, Part, spend};
use crate::document::{Scope, scalar_text};
use crate::error::EvalError;
use crate::expression::Expression;
use serde_json::Value;
use std::sync::Arc;

/// The JSON text of a template's documents.
#[derive(Debug)]
pub struct JsonText {
    /// All that is constant, one piece after another.
    literals: String,
    slots: Vec<Slot>,
    /// What is left of [`MAX_TEXT`] for the expressions.
    left: usize,
}

#[derive(Debug)]
struct Slot {
    /// Where the literal before it ends.
    end: usize,
    expression: Arc<Expression>,
    /// Inside the quotes of a longer text.
    in_text: bool,
}

impl JsonText {
    pub(super) fn of(node: &Node) -> Self {
        let mut text = Self { literals: String::new(), slots: Vec::new(), left: MAX_TEXT };
        text.add(node);
        text
    }

    fn add(&mut self, node: &Node) {
        match node {
            // As serde_json writes it: the JSON codec writes so too.
            Node::Constant(value) => self.literals.push_str(&value.to_string()),
            Node::Value(expression) => self.slot(expression, false),
            Node::Text(parts) => {
                self.literals.push('"');
                for part in parts {
                    match part {
                        Part::Literal(literal) => {
                            // Longer than a text may be: every rendering fails, as that of the template does.
                            self.left = self.left.saturating_sub(literal.len());
                            push_escaped(&mut self.literals, literal);
                        }
                        Part::Value(expression) => self.slot(expression, true),
                    }
                }
                self.literals.push('"');
            }
            Node::Array(nodes) => {
                self.literals.push('[');
                for (number, node) in nodes.iter().enumerate() {
                    if number > 0 {
                        self.literals.push(',');
                    }
                    self.add(node);
                }
                self.literals.push(']');
            }
            Node::Object(members) => {
                self.literals.push('{');
                for (number, (name, node)) in members.iter().enumerate() {
                    if number > 0 {
                        self.literals.push(',');
                    }
                    self.literals.push('"');
                    push_escaped(&mut self.literals, name);
                    self.literals.push_str("\":");
                    self.add(node);
                }
                self.literals.push('}');
            }
        }
    }

    fn slot(&mut self, expression: &Arc<Expression>, in_text: bool) {
        self.slots.push(Slot { end: self.literals.len(), expression: Arc::clone(expression), in_text });
    }

    /// What the template renders, as JSON text.
    ///
    /// # Errors
    /// As [`super::Template::render`].
    pub fn render(&self, scope: &dyn Scope) -> Result<String, EvalError> {
        let mut out = String::with_capacity(self.literals.len() + 32 * self.slots.len());
        let (mut written, mut left) = (0, self.left);
        for slot in &self.slots {
            out.push_str(&self.literals[written..slot.end]);
            written = slot.end;
            let value = slot.expression.eval_borrowed(scope)?;
            if slot.in_text {
                let text = scalar_text(&value).ok_or_else(|| super::not_text(&value, &slot.expression))?;
                spend(&mut left, text.len())?;
                push_escaped(&mut out, &text);
            } else {
                spend(&mut left, value.as_str().map_or(0, str::len))?;
                push_value(&mut out, &value);
            }
        }
        out.push_str(&self.literals[written..]);
        Ok(out)
    }
}

fn push_value(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => {
            out.push('"');
            push_escaped(out, text);
            out.push('"');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// The text as it stands between quotes.
fn push_escaped(out: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        return out.push_str(text);
    }
    let quoted = Value::from(text).to_string();
    out.push_str(&quoted[1..quoted.len() - 1]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::Template;

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof!["[ -~]{0,8}", "\\PC{0,8}", any::<String>()].prop_map(|text| text.replace('{', "["))
    }

    fn templates() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            texts().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            prop::sample::select(vec![
                "${request.a}",
                "${request}",
                "${request.a}${request.n}",
                "${missing}"
            ])
            .prop_map(Value::from),
            (texts(), texts())
                .prop_map(|(before, after)| Value::from(format!("{before} ${{request.a}}{after}"))),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((texts(), inner), 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_text_is_that_of_the_rendered_document(template in templates(), a in texts(), n in any::<f64>()) {
            let template = Template::compile(&template).expect("nothing but what compiles");
            let documents = json!({"request": {"a": a, "n": n}});
            let whole = template.render(&documents).map(|document| document.to_string());
            let text = template.json_text().render(&documents);
            prop_assert_eq!(text.map_err(|error| error.to_string()), whole.map_err(|error| error.to_string()));
        }
    }

    #[test]
    fn texts_are_bounded_as_those_of_documents_are() {
        let half = "x".repeat(MAX_TEXT / 2 + 1);
        let documents = json!({"a": half});
        for template in [json!(["${a}", "${a}"]), json!(format!("{half} ${{a}}"))] {
            let template = Template::compile(&template).expect("valid");
            let message = template.json_text().render(&documents).expect_err("too long").to_string();
            assert!(message.contains("exceeds"), "{message}");
            assert_eq!(template.render(&documents).expect_err("too long").to_string(), message);
        }
    }
}
