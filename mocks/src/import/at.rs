//! A place in a JSON document that is imported: it knows its pointer (RFC 6901), so that a refusal names it.
use serde_json::Value;

/// Why a file cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Refusal {
    pub pointer: String,
    pub reason: String,
}

pub type Try<T> = Result<T, Refusal>;

#[derive(Clone)]
pub struct At<'v> {
    pub value: &'v Value,
    pub pointer: String,
}

impl<'v> At<'v> {
    pub fn root(value: &'v Value) -> Self {
        Self { value, pointer: String::new() }
    }

    pub fn refuse<T>(&self, reason: impl Into<String>) -> Try<T> {
        Err(Refusal { pointer: self.pointer.clone(), reason: reason.into() })
    }

    fn below(&self, name: &str, value: &'v Value) -> Self {
        let name = name.replace('~', "~0").replace('/', "~1");
        Self { value, pointer: format!("{}/{name}", self.pointer) }
    }

    /// A member that is there and not null.
    pub fn get(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(self.below(name, value))
    }

    pub fn text(&self) -> Try<&'v str> {
        match self.value {
            Value::String(text) => Ok(text),
            _ => self.refuse("must be a text"),
        }
    }

    pub fn number(&self) -> Try<u64> {
        self.value.as_u64().map_or_else(|| self.refuse("must be a whole number"), Ok)
    }

    pub fn flag(&self) -> Try<bool> {
        self.value.as_bool().map_or_else(|| self.refuse("must be true or false"), Ok)
    }

    pub fn items(&self) -> Try<Vec<Self>> {
        let Value::Array(values) = self.value else { return self.refuse("must be a list") };
        Ok(values.iter().enumerate().map(|(at, value)| self.below(&at.to_string(), value)).collect())
    }

    pub fn members(&self) -> Try<Vec<(&'v str, Self)>> {
        let Value::Object(members) = self.value else { return self.refuse("must be an object") };
        Ok(members.iter().map(|(name, value)| (name.as_str(), self.below(name, value))).collect())
    }

    /// Refuses members that are neither understood nor without effect.
    pub fn only(&self, understood: &[&str]) -> Try<()> {
        for (name, member) in self.members()? {
            let empty = match member.value {
                Value::Null => true,
                Value::Array(values) => values.is_empty(),
                Value::Object(members) => members.is_empty(),
                _ => false,
            };
            if !empty && !understood.contains(&name) {
                return member.refuse(format!("`{name}` is not supported"));
            }
        }
        Ok(())
    }
}
