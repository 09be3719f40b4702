//! The API's own description: OpenAPI 3.1, written by hand in `docs/openapi/mocks.yaml` and compared with the routes by a test.
use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use qiao_mappings::strict::Source;

use super::Refused;

const WRITTEN: &str = include_str!("../../../docs/openapi/mocks.yaml");

/// As JSON, made once; none where the file is not YAML, which a test refuses.
static DOCUMENT: LazyLock<Option<Bytes>> = LazyLock::new(|| {
    let source = Source::read("docs/openapi/mocks.yaml", WRITTEN).ok()?;
    serde_json::to_vec(source.value()).ok().map(Bytes::from)
});

pub async fn openapi() -> Result<Response, Refused> {
    let document = DOCUMENT.clone().ok_or_else(|| Refused::broken("the description cannot be read"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], document).into_response())
}
