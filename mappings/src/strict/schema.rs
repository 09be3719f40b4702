//! The JSON Schema of a Rust type, and its validator, compiled once.
use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use schemars::JsonSchema;
use serde_json::{Map, Value};

pub(super) struct Compiled {
    pub schema: Value,
    pub validator: jsonschema::Validator,
}

/// One entry per type that is ever decoded: bounded by the program.
static COMPILED: LazyLock<Mutex<HashMap<TypeId, Arc<Compiled>>>> = LazyLock::new(Mutex::default);

pub(super) fn compiled<T: JsonSchema + 'static>() -> Result<Arc<Compiled>, String> {
    let mut all = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = all.get(&TypeId::of::<T>()) {
        return Ok(found.clone());
    }
    let schema = schema_of::<T>();
    let validator = jsonschema::draft202012::new(&schema)
        .map_err(|error| format!("the schema of `{}` is broken: {error}", T::schema_name()))?;
    let new = Arc::new(Compiled { schema, validator });
    all.insert(TypeId::of::<T>(), new.clone());
    Ok(new)
}

/// The JSON Schema (draft 2020-12) of what `T` is read from; also what editors are given.
pub fn schema_of<T: JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_deserialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    tighten(&mut schema);
    head_first(schema)
}

/// Says what the generator leaves unsaid: the bounds of integers, which it names as `format` only, and that a key which may be
/// left out may not be left empty.
fn tighten(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let most = match members.get("format").and_then(Value::as_str) {
                Some("uint8") => Some(u64::from(u8::MAX)),
                Some("uint16") => Some(u64::from(u16::MAX)),
                Some("uint32") => Some(u64::from(u32::MAX)),
                _ => None,
            };
            if let Some(most) = most {
                members.entry("maximum").or_insert_with(|| most.into());
            }
            if let Some(Value::Object(properties)) = members.get_mut("properties") {
                properties.values_mut().filter_map(Value::as_object_mut).for_each(without_null);
            }
            members.values_mut().for_each(tighten);
        }
        Value::Array(items) => items.iter_mut().for_each(tighten),
        _ => {}
    }
}

/// An optional key without its alternative null.
fn without_null(property: &mut Map<String, Value>) {
    let is_null = |value: &Value| value.is_null() || value == "null" || value["type"] == "null";
    for keyword in ["type", "enum", "anyOf"] {
        if let Some(Value::Array(alternatives)) = property.get_mut(keyword) {
            alternatives.retain(|alternative| !is_null(alternative));
        }
    }
    if let Some(Value::Array(types)) = property.get_mut("type")
        && types.len() == 1
    {
        let only = types.remove(0);
        property.insert("type".to_owned(), only);
    }
    if let Some(Value::Array(branches)) = property.get_mut("anyOf")
        && branches.len() == 1
        && let Value::Object(only) = branches.remove(0)
    {
        property.remove("anyOf");
        only.into_iter().for_each(|(keyword, value)| {
            property.entry(keyword).or_insert(value);
        });
    }
    if property.get("default").is_some_and(Value::is_null) {
        property.remove("default");
    }
}

/// The schema with what names and explains it at its head.
fn head_first(schema: Value) -> Value {
    let Value::Object(mut members) = schema else { return schema };
    let mut ordered = Map::new();
    for keyword in ["$schema", "title", "description"] {
        ordered.extend(members.shift_remove(keyword).map(|value| (keyword.to_owned(), value)));
    }
    ordered.extend(members);
    Value::Object(ordered)
}
