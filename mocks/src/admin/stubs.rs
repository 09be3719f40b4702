//! A partner's stubs, searched and in pages, with an `ETag` that holds until its files change.
use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Refused};
use crate::partner::{Partner, Stub};

/// Stubs in one answer at most.
const MAX_PAGE: usize = 1000;

/// Which stubs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Wanted {
    /// Part of the id, title, item or path, in whatever case.
    q: Option<String>,
    item: Option<String>,
    /// Stubs for this method, and those for any.
    method: Option<String>,
    /// Stubs of this listener, and those of any.
    listener: Option<String>,
    /// The stubs that an open session lays over the partner, in place of the partner's own.
    session: Option<String>,
    /// Stubs that are tried after this one: `next` of the page before.
    after: Option<String>,
    /// 100 when left out, 1000 at most.
    limit: Option<usize>,
}

pub async fn list(
    State(shared): Api,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let partner = super::partner(&shared, &id)?;
    let Some(name) = &wanted.session else {
        let version = format!("\"{:016x}\"", partner.origin.hash);
        let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
        let known = known.is_some_and(|known| known.split(',').any(|known| known.trim() == version));
        // The version is made of hexadecimal digits in quotes.
        let tag = HeaderValue::from_str(&version).map_err(|_| Refused::broken("no version"))?;
        if known {
            return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
        }
        let page = page(&partner, &partner.stubs, &wanted)?;
        return Ok(([(header::ETAG, tag)], Json(page)).into_response());
    };
    let session = super::sessions::session(&shared, name)?;
    let overlay = session.overlay(&partner.id).unwrap_or_default();
    Ok(Json(page(&partner, &overlay.stubs, &wanted)?).into_response())
}

fn page(partner: &Arc<Partner>, stubs: &[Stub], wanted: &Wanted) -> Result<Value, Refused> {
    let limit = wanted.limit.unwrap_or(100).clamp(1, MAX_PAGE);
    let start = match &wanted.after {
        None => 0,
        Some(after) => {
            let found = stubs.iter().position(|stub| *stub.id == **after);
            1 + found.ok_or_else(|| {
                Refused::unfit(format!("after: there is no stub `{after}` any more: begin anew"))
            })?
        }
    };
    let listener = wanted.listener.as_ref().map(|id| {
        let found = partner.listeners.iter().position(|listener| *listener.id == **id);
        found.ok_or_else(|| Refused::not_found(format!("`{}` has no listener `{id}`", partner.id)))
    });
    let listener = listener.transpose()?;
    let words = wanted.q.as_ref().map(|words| words.to_lowercase());
    let fits = |stub: &&Stub| {
        let conditions = &stub.conditions;
        let of_method = |wanted: &str| {
            conditions.method.as_ref().is_none_or(|method| method.as_str().eq_ignore_ascii_case(wanted))
        };
        wanted.item.as_deref().is_none_or(|item| stub.item.as_deref() == Some(item))
            && wanted.method.as_deref().is_none_or(of_method)
            && listener.is_none_or(|wanted| stub.listener.is_none_or(|only| only == wanted))
            && words.as_deref().is_none_or(|words| holds(stub, words))
    };
    let mut found: Vec<&Stub> = stubs[start..].iter().filter(fits).take(limit + 1).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let next = more.then(|| found.last().map(|stub| &*stub.id)).flatten();
    let shown: Vec<Value> = found.iter().map(|stub| view(partner, stub)).collect();
    Ok(json!({"stubs": shown, "next": next, "total": stubs.len()}))
}

/// Whether one of the texts that people know a stub by holds these words, which are in small letters.
fn holds(stub: &Stub, words: &str) -> bool {
    let path = stub.conditions.path.as_ref().map(|path| path.text());
    let texts = [Some(&*stub.id), stub.title.as_deref(), stub.item.as_deref(), path];
    texts.into_iter().flatten().any(|text| text.to_lowercase().contains(words))
}

fn view(partner: &Partner, stub: &Stub) -> Value {
    json!({
        "id": &*stub.id,
        "label": &*stub.label,
        "title": stub.title,
        "listener": stub.listener.map(|number| &*partner.listeners[number].id),
        "item": stub.item,
        "method": stub.conditions.method.as_ref().map(|method| method.as_str()),
        "path": stub.conditions.path.as_ref().map(|path| path.text()),
    })
}
