//! A draft partner made of others' files, given and given back as texts; nothing is written.
use std::collections::BTreeMap;

use axum::Json;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Refused;
use crate::import::{self, Files, Format};

/// What is imported.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Given {
    format: Format,
    /// Id of the partner that is made.
    partner: String,
    /// Texts by name: `mappings/a.json`, `__files/a.xml`.
    files: BTreeMap<String, String>,
}

/// The draft's files as texts, those that are none as `{base64}`, and the report.
pub async fn import(Json(given): Json<Given>) -> Result<Json<Value>, Refused> {
    let files: Files = given.files.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
    // Compiling the draft may take a moment: not on a thread that serves.
    let made =
        tokio::task::spawn_blocking(move || import::import(given.format, &files, &given.partner)).await;
    let draft = match made {
        Ok(Ok(draft)) => draft,
        Ok(Err(why)) => return Err(Refused::unfit(why)),
        Err(_) => return Err(Refused::unfit("the import broke off")),
    };
    let files = super::exporting::shown(draft.files);
    Ok(Json(json!({"partner": draft.partner, "files": files, "report": draft.report})))
}
