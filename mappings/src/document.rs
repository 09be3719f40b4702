//! The document model: every message is a `serde_json::Value`, and a [`Scope`] names the documents of a call.

use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// The named documents that selectors and expressions may read: `request`, `caller`, `vars`, step ids, `item`.
pub trait Scope: Sync {
    /// The document of that name.
    fn get(&self, name: &str) -> Option<&Value>;

    /// The present time, in milliseconds since 1970-01-01T00:00:00Z, for `now()`.
    ///
    /// The system's clock, unless the scope pins another (tests, replays).
    fn now_millis(&self) -> i64 {
        let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }

    /// What runs the functions that expressions were compiled with beside those of [`crate::functions::FUNCTIONS`].
    fn functions(&self) -> Option<Arc<dyn ScopeFunctions>> {
        None
    }
}

/// Functions that a scope provides, such as a mock partner's generators; declared by [`crate::Functions`].
pub trait ScopeFunctions: Send + Sync {
    /// Calls the function of that name.
    ///
    /// # Errors
    /// Why it cannot: without any value of the message.
    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, String>;
}

impl Scope for Map<String, Value> {
    fn get(&self, name: &str) -> Option<&Value> {
        Map::get(self, name)
    }
}

/// The members of an object are the documents; any other value names none.
impl Scope for Value {
    fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.get(name)
    }
}

/// One more named document over a parent scope, which it shadows.
pub struct Layer<'a> {
    /// Where every other name is looked up.
    pub parent: &'a dyn Scope,
    /// The added name.
    pub name: &'a str,
    /// The added document.
    pub value: &'a Value,
}

impl Scope for Layer<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        if name == self.name { Some(self.value) } else { self.parent.get(name) }
    }

    fn now_millis(&self) -> i64 {
        self.parent.now_millis()
    }

    fn functions(&self) -> Option<Arc<dyn ScopeFunctions>> {
        self.parent.functions()
    }
}

/// A value's JSON type, for messages.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A scalar as text: strings as they are, numbers and booleans in JSON form, null empty; `None` for others.
pub(crate) fn scalar_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => Some(Cow::Borrowed("")),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether two documents are equal, numbers by their value: 1 equals 1.0.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            compare_numbers(left, right) == Some(std::cmp::Ordering::Equal)
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, left)| right.get(name).is_some_and(|right| same(left, right)))
        }
        (left, right) => left == right,
    }
}

/// Orders two numbers; integers exactly, also beyond the 53 bits of a double.
pub(crate) fn compare_numbers(
    left: &serde_json::Number,
    right: &serde_json::Number,
) -> Option<std::cmp::Ordering> {
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn integer(number: &serde_json::Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_layer_shadows_its_parent() {
        let documents = json!({"item": 1, "request": 2});
        let item = json!("inner");
        let layer = Layer { parent: &documents, name: "item", value: &item };
        assert_eq!(layer.get("item"), Some(&json!("inner")));
        assert_eq!(layer.get("request"), Some(&json!(2)));
        assert_eq!(layer.get("absent"), None);
    }

    #[test]
    fn compares_numbers_by_value_and_large_integers_exactly() {
        assert!(same(&json!([1, {"a": 2.0}]), &json!([1.0, {"a": 2}])));
        assert!(!same(&json!(9_007_199_254_740_993_i64), &json!(9_007_199_254_740_992_i64)));
    }
}
