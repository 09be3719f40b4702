//! Who may use an admin API: whoever brings a token that its listener knows. One door for nodes and for mock partners alone.
use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::acts::Who;

/// Tells by a token who somebody is.
type Knows = dyn Fn(&[u8]) -> Option<Who> + Send + Sync;

/// A listener's door.
pub struct Door {
    knows: Box<Knows>,
    /// Which tokens open it, for those who brought none.
    tokens: &'static str,
}

impl Door {
    /// Lets in whom `knows` tells by a token; `tokens` says where one is found.
    pub fn new(
        knows: impl Fn(&[u8]) -> Option<Who> + Send + Sync + 'static,
        tokens: &'static str,
    ) -> Arc<Self> {
        Arc::new(Self { knows: Box::new(knows), tokens })
    }
}

/// Lets in who brings a token, and tells handlers who that is.
pub async fn token_needed(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    if let Some(who) = bearer(request.headers()).and_then(|given| (door.knows)(given)) {
        request.extensions_mut().insert(who);
        return next.run(request).await;
    }
    let text = format!("the admin API needs `Authorization: Bearer <token>`: {}", door.tokens);
    (StatusCode::UNAUTHORIZED, Json(json!({"error": text}))).into_response()
}

/// The token of a request.
pub fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(header::AUTHORIZATION)?.as_bytes().strip_prefix(b"Bearer ")
}
