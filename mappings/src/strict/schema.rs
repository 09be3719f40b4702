//! The JSON Schema of a Rust type, and its validator, compiled once.
use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use schemars::JsonSchema;
use serde_json::Value;

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
    bound_integers(&mut schema);
    schema
}

/// The generator names the width of an integer as `format` only, which validators pass over.
fn bound_integers(schema: &mut Value) {
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
            members.values_mut().for_each(bound_integers);
        }
        Value::Array(items) => items.iter_mut().for_each(bound_integers),
        _ => {}
    }
}
