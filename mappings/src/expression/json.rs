//! JSON documents as CEL values: objects are read lazily, arrays one level at a time, strings are borrowed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cel::ExecutionError;
use cel::common::traits::{self, Container, Indexer, Iterable, Sizer, Zeroer};
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelOptional, CelString,
    CelUInt, Kind, MAP_TYPE, Type,
};
use cel::common::value::{CowVal, Val};
use serde_json::{Map, Value};
use std::sync::OnceLock;

/// A JSON value as the CEL value of its kind.
pub(super) fn to_val<'v>(value: &'v Value) -> Box<dyn Val + 'v> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(bool) => Box::new(CelBool::from(*bool)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Box::new(CelInt::from(int)),
            (None, Some(uint)) => Box::new(CelUInt::from(uint)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(elements) => Box::new(CelList::from(elements.iter().map(to_val).collect::<Vec<_>>())),
        Value::Object(members) => Box::new(JsonMap::new(members)),
    }
}

/// A JSON value that no document holds, such as a function's result, as a CEL value owning its text.
pub(super) fn into_val<'v>(value: Value) -> Box<dyn Val + 'v> {
    match value {
        Value::String(text) => Box::new(CelString::from(text)),
        Value::Array(elements) => {
            Box::new(CelList::from(elements.into_iter().map(into_val).collect::<Vec<_>>()))
        }
        Value::Object(members) => {
            let entries = members
                .into_iter()
                .map(|(name, value)| (CelMapKey::String(CelString::from(name)), into_val(value)))
                .collect::<std::collections::HashMap<_, _>>();
            Box::new(CelMap::from(entries))
        }
        Value::Null => Box::new(CelNull),
        Value::Bool(bool) => Box::new(CelBool::from(bool)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Box::new(CelInt::from(int)),
            (None, Some(uint)) => Box::new(CelUInt::from(uint)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
    }
}

/// The JSON form of a CEL value. Bytes become base64; a map built by CEL lists its members by name.
pub(super) fn to_json(val: &dyn Val) -> Result<Value, ExecutionError> {
    if let Some(text) = val.downcast_ref::<CelString>() {
        return Ok(Value::from(text.inner()));
    }
    match val.get_type().kind() {
        Kind::NullType => Ok(Value::Null),
        Kind::Boolean => {
            Ok(val.downcast_ref::<CelBool>().map_or(Value::Null, |bool| Value::from(*bool.inner())))
        }
        Kind::Int => Ok(val.downcast_ref::<CelInt>().map_or(Value::Null, |int| Value::from(*int.inner()))),
        Kind::UInt => {
            Ok(val.downcast_ref::<CelUInt>().map_or(Value::Null, |uint| Value::from(*uint.inner())))
        }
        Kind::Double => val
            .downcast_ref::<CelDouble>()
            .and_then(|double| serde_json::Number::from_f64(*double.inner()))
            .map(Value::Number)
            .ok_or_else(|| ExecutionError::function_error("result", "not a finite number")),
        Kind::Bytes => Ok(val
            .downcast_ref::<CelBytes>()
            .map_or(Value::Null, |bytes| BASE64_STANDARD.encode(bytes.inner()).into())),
        Kind::List => list_to_json(val),
        Kind::Map => map_to_json(val),
        _ => match val.downcast_ref::<CelOptional>() {
            Some(optional) => optional.inner().map_or(Ok(Value::Null), to_json),
            None => Err(ExecutionError::function_error("result", "a value that JSON cannot hold")),
        },
    }
}

fn list_to_json(val: &dyn Val) -> Result<Value, ExecutionError> {
    let Some(iterable) = val.as_iterable() else { return Ok(Value::Array(Vec::new())) };
    let mut elements = Vec::new();
    let mut iterator = iterable.iter();
    while let Some(element) = iterator.next() {
        elements.push(to_json(element)?);
    }
    Ok(Value::Array(elements))
}

fn map_to_json(val: &dyn Val) -> Result<Value, ExecutionError> {
    let (Some(iterable), Some(indexer)) = (val.as_iterable(), val.as_indexer()) else {
        return Ok(Value::Object(Map::new()));
    };
    let mut members = Vec::new();
    let mut keys = iterable.iter();
    while let Some(key) = keys.next() {
        let name = match to_json(key)? {
            Value::String(name) => name,
            other => other.to_string(),
        };
        members.push((name, to_json(indexer.get(key)?.as_ref())?));
    }
    if val.downcast_ref::<CelMap>().is_some() {
        members.sort_by(|left, right| left.0.cmp(&right.0));
    }
    Ok(Value::Object(members.into_iter().collect()))
}

/// A JSON object as a CEL map that reads its members when asked.
pub(super) struct JsonMap<'v> {
    members: &'v Map<String, Value>,
    /// Filled only by a comprehension over the map.
    keys: OnceLock<Vec<CelString<'v>>>,
}

impl<'v> JsonMap<'v> {
    fn new(members: &'v Map<String, Value>) -> JsonMap<'v> {
        JsonMap { members, keys: OnceLock::new() }
    }

    fn find(&self, key: &dyn Val) -> Option<&'v Value> {
        self.members.get(key.downcast_ref::<CelString>()?.inner())
    }
}

/// Only the size, because the members may be personal data.
impl std::fmt::Debug for JsonMap<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "an object of {} members", self.members.len())
    }
}

impl<'v> Val for JsonMap<'v> {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn Indexer + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_iterable<'b, 'w>(&'b self) -> Option<&'b (dyn Iterable + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn as_zeroer(&self) -> Option<&dyn Zeroer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        let (Some(sizer), Some(indexer)) = (other.as_sizer(), other.as_indexer()) else { return false };
        other.get_type().kind() == Kind::Map
            && usize::try_from(*sizer.size().inner()) == Ok(self.members.len())
            && self.members.iter().all(|(name, value)| {
                indexer
                    .get(&CelString::from(name.as_str()))
                    .is_ok_and(|other| to_val(value).equals(other.as_ref()))
            })
    }

    fn clone_as_boxed<'w>(&self) -> Box<dyn Val + 'w>
    where
        Self: 'w,
    {
        Box::new(JsonMap::new(self.members))
    }
}

impl Container for JsonMap<'_> {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.find(key).is_some())
    }
}

impl Indexer for JsonMap<'_> {
    fn get<'b, 'w>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'w>, ExecutionError>
    where
        Self: 'w,
    {
        let value = self.find(key).ok_or_else(|| {
            ExecutionError::no_such_key(key.downcast_ref::<CelString>().map_or("", |name| name.inner()))
        })?;
        Ok(CowVal::Owned(to_val(value)))
    }

    fn steal<'w>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'w>, ExecutionError>
    where
        Self: 'w,
    {
        self.get(key).map(CowVal::into_owned)
    }
}

impl Iterable for JsonMap<'_> {
    fn iter<'b, 'w>(&'b self) -> Box<dyn traits::Iterator<'b, 'w> + 'b>
    where
        Self: 'w,
    {
        let keys = self
            .keys
            .get_or_init(|| self.members.keys().map(|name| CelString::from(name.as_str())).collect());
        Box::new(Keys(keys.iter()))
    }
}

struct Keys<'b, 'v>(std::slice::Iter<'b, CelString<'v>>);

impl<'b, 'v: 'w, 'w> traits::Iterator<'b, 'w> for Keys<'b, 'v> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'w)> {
        self.0.next().map(|key| key as &(dyn Val + 'w))
    }
}

impl Sizer for JsonMap<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.members.len()).unwrap_or(i64::MAX))
    }
}

impl Zeroer for JsonMap<'_> {
    fn is_zero_value(&self) -> bool {
        self.members.is_empty()
    }
}
