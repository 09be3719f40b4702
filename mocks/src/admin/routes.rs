//! The operations of the admin API: one table, of which the router is made and against which its OpenAPI document is tested.
use std::sync::Arc;

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, Request},
    handler::Handler,
    http::{Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, any, on},
};
use serde_json::json;

use super::Refused;
use crate::server::Shared;

/// Bytes of a request unless it is a large one.
const BODY: usize = 1 << 20;
/// Bytes of a request that brings a partner's files.
const LARGE_BODY: usize = 16 << 20;
/// Bytes of a refusal that is put into the one shape.
const REFUSAL: usize = 64 << 10;

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminOperation {
    pub method: Method,
    /// With its parameters in braces: `/api/mocks/journal/{id}`.
    pub path: &'static str,
    /// Whether it takes a query; one that does not refuses any.
    pub asks: bool,
}

/// The table, and the router made of it.
#[derive(Default)]
pub struct Routes {
    pub operations: Vec<AdminOperation>,
    router: Router<Arc<Shared>>,
}

impl Routes {
    /// An operation without a query.
    pub fn on<H: Handler<T, Arc<Shared>>, T: 'static>(
        self,
        method: Method,
        path: &'static str,
        handler: H,
    ) -> Self {
        let route = on(filter(&method), handler).layer(middleware::from_fn(no_query));
        self.add(AdminOperation { method, path, asks: false }, route)
    }

    /// An operation with a query.
    pub fn asking<H: Handler<T, Arc<Shared>>, T: 'static>(
        self,
        method: Method,
        path: &'static str,
        handler: H,
    ) -> Self {
        let route = on(filter(&method), handler);
        self.add(AdminOperation { method, path, asks: true }, route)
    }

    /// As [`Self::on`], for requests of up to 16 MiB.
    pub fn large<H: Handler<T, Arc<Shared>>, T: 'static>(
        self,
        method: Method,
        path: &'static str,
        handler: H,
    ) -> Self {
        let route = on(filter(&method), handler).layer(DefaultBodyLimit::max(LARGE_BODY));
        self.add(AdminOperation { method, path, asks: false }, route.layer(middleware::from_fn(no_query)))
    }

    /// As [`Self::asking`], for requests of up to 16 MiB.
    pub fn large_asking<H: Handler<T, Arc<Shared>>, T: 'static>(
        self,
        method: Method,
        path: &'static str,
        handler: H,
    ) -> Self {
        let route = on(filter(&method), handler).layer(DefaultBodyLimit::max(LARGE_BODY));
        self.add(AdminOperation { method, path, asks: true }, route)
    }

    fn add(mut self, operation: AdminOperation, route: MethodRouter<Arc<Shared>>) -> Self {
        self.router = self.router.route(operation.path, route);
        self.operations.push(operation);
        self
    }

    /// The router; what it does not know below `/api/mocks` is refused in the one shape too.
    pub fn router(self, shared: Arc<Shared>) -> Router {
        self.router
            .route("/api/mocks/{*rest}", any(unknown))
            .layer(DefaultBodyLimit::max(BODY))
            .layer(middleware::map_response(one_shape))
            .with_state(shared)
    }
}

fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).expect("the table holds standard methods only")
}

async fn unknown(uri: Uri) -> Refused {
    let text = format!("there is no `{}` here: see /api/mocks/openapi.json", uri.path());
    Refused::not_found(text)
}

/// Misspelt filters are told, not passed over.
async fn no_query(uri: Uri, request: Request, next: Next) -> Response {
    match uri.query() {
        None | Some("") => next.run(request).await,
        Some(query) => Refused::bad(format!("this takes no query: leave `?{query}` out")).into_response(),
    }
}

/// Refusals made by the library are texts: every refusal is `{"error": …}`.
async fn one_shape(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let shaped = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if shaped || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, REFUSAL).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let text = match parts.status {
        _ if !text.is_empty() => text.into_owned(),
        StatusCode::METHOD_NOT_ALLOWED => {
            "this path knows other methods: see /api/mocks/openapi.json".to_owned()
        }
        status => status.to_string(),
    };
    let mut shaped = (parts.status, Json(json!({"error": text}))).into_response();
    if let Some(allow) = parts.headers.get(header::ALLOW) {
        shaped.headers_mut().insert(header::ALLOW, allow.clone());
    }
    shaped.map(Body::new)
}
