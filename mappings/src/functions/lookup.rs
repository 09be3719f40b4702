//! Functions that read code tables.

use super::{Call, FunctionError};
use crate::table::Table;
use serde_json::Value;

type Result<T> = std::result::Result<T, FunctionError>;

pub(super) fn lookup(call: &Call<'_>) -> Result<Value> {
    let code = call.text()?;
    table(call)?
        .lookup(&code)
        .map(Value::from)
        .ok_or_else(|| FunctionError::new("the code is not in its code table"))
}

pub(super) fn reverse_lookup(call: &Call<'_>) -> Result<Value> {
    let meaning = call.text()?;
    let code = table(call)?.reverse_lookup(&meaning).map(Value::from);
    code.ok_or_else(|| FunctionError::new("the meaning is not in its code table"))
}

fn table<'a>(call: &Call<'a>) -> Result<&'a Table> {
    call.table.ok_or_else(|| FunctionError::new("there is no such code table"))
}
