//! The shared tables as a session sees them: looked at, looked up, written.
use axum::{
    Json,
    extract::{Path, Query, State},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Api, Refused};
use crate::{mask, tables::Change};

/// Rows in one answer at most.
const MAX_PAGE: usize = 500;

/// Whose rows, and which.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Wanted {
    /// The common session when left out.
    #[serde(default)]
    session: String,
    /// Only rows with `value` in this column, the key or an indexed one.
    column: Option<String>,
    value: Option<String>,
    /// Keys after this one.
    #[serde(default)]
    after: String,
    /// 50 when left out, 500 at most.
    limit: Option<usize>,
    /// Without masks.
    #[serde(default)]
    raw: bool,
}

/// Whose row.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Whose {
    /// The common session when left out.
    #[serde(default)]
    session: String,
    /// Without masks.
    #[serde(default)]
    raw: bool,
}

pub async fn list(State(shared): Api) -> Json<Value> {
    let tables = &shared.catalogue().tables;
    let view = tables.view();
    let each = tables.forms().iter().map(|form| {
        json!({"table": form.name, "title": form.title, "key": form.key(), "columns": form.columns, "indexes": form.indexes, "rows": view.base_len(form.name)})
    });
    Json(json!({"tables": each.collect::<Vec<_>>(), "written": view.written("")}))
}

pub async fn rows(
    State(shared): Api,
    Path(table): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refused> {
    let catalogue = shared.catalogue();
    catalogue.tables.form(&table).map_err(Refused::not_found)?;
    let view = catalogue.tables.view();
    let limit = wanted.limit.unwrap_or(50).clamp(1, MAX_PAGE);
    let (rows, next) = match (&wanted.column, &wanted.value) {
        (Some(column), Some(value)) => {
            (view.find(&wanted.session, &table, column, value).map_err(Refused::unfit)?, None)
        }
        (None, None) => view.page(&wanted.session, &table, &wanted.after, limit).map_err(Refused::unfit)?,
        _ => return Err(Refused::unfit("`column` and `value` go together")),
    };
    let rows: Vec<Value> = rows.into_iter().map(|row| shown(Value::Object(row), wanted.raw)).collect();
    Ok(Json(json!({"rows": rows, "next": next})))
}

pub async fn one(
    State(shared): Api,
    Path((table, key)): Path<(String, String)>,
    Query(whose): Query<Whose>,
) -> Result<Json<Value>, Refused> {
    let found =
        shared.catalogue().tables.view().row(&whose.session, &table, &key).map_err(Refused::not_found)?;
    let row = found.ok_or_else(|| Refused::not_found(format!("`{table}` has no row of this key")))?;
    Ok(Json(shown(Value::Object(row), whose.raw)))
}

/// Columns of the row, which is made when it is not there.
pub async fn put(
    State(shared): Api,
    Path((table, key)): Path<(String, String)>,
    Query(whose): Query<Whose>,
    Json(given): Json<Map<String, Value>>,
) -> Result<Json<Value>, Refused> {
    change(&shared, &whose, &table, &key, Change::Put(given))?;
    one(State(shared), Path((table, key)), Query(whose)).await
}

pub async fn remove(
    State(shared): Api,
    Path((table, key)): Path<(String, String)>,
    Query(whose): Query<Whose>,
) -> Result<Json<Value>, Refused> {
    change(&shared, &whose, &table, &key, Change::Remove)?;
    Ok(Json(json!({"removed": key})))
}

fn change(
    shared: &crate::server::Shared,
    whose: &Whose,
    table: &str,
    key: &str,
    change: Change,
) -> Result<(), Refused> {
    let catalogue = shared.catalogue();
    let form = catalogue.tables.form(table).map_err(Refused::not_found)?;
    let changes = vec![(form, key.to_owned(), change)];
    catalogue.tables.view().apply(&whose.session, changes, false).map_err(Refused::unfit)
}

fn shown(row: Value, raw: bool) -> Value {
    if raw { row } else { mask::document(&row) }
}
