//! What commands share that talk to a running node: its run file, its admin API, its callers.
use std::{
    path::Path,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue, Method, header};
use qiao_connectors::{Endpoint, HttpConfig, HttpConnector, HttpOperation};
use qiao_core::{
    Connector, Outbound,
    connector::{AnswerBody, OutboundBody},
};
use qiao_engine::load;

use super::Failed;
use crate::{
    caller::Callers,
    running::{self, RunFile},
    unseal,
};

/// A passphrase is stretched within it, on a slow machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// The run file of the node on this data folder.
pub fn node(data: &Path) -> Result<RunFile, Failed> {
    running::find(data).map_err(Failed)
}

/// The callers of a running node, with the keys in its vault.
pub fn callers(node: &RunFile) -> Result<Callers, Failed> {
    let loaded = load::load(&node.definitions);
    if !loaded.mistakes.is_empty() {
        let lines: Vec<_> = loaded.mistakes.iter().map(ToString::to_string).collect();
        return Err(Failed(lines.join("\n")));
    }
    let vault = unseal::open(&node.vault)?;
    Ok(Callers::new(loaded.definitions, vault, node)?)
}

/// One GET on the node's admin API: status and body.
pub async fn admin(node: &RunFile, path: &str) -> Result<(u16, Vec<u8>), Failed> {
    send(node, Method::GET, path, Vec::new()).await
}

/// One POST of a JSON document to the node's admin API: status and body.
pub async fn post(
    node: &RunFile,
    path: &str,
    document: &serde_json::Value,
) -> Result<(u16, Vec<u8>), Failed> {
    send(node, Method::POST, path, serde_json::to_vec(document)?).await
}

/// One request to the node's admin API, with a JSON body unless that is empty: status and body.
pub async fn send(
    node: &RunFile,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<(u16, Vec<u8>), Failed> {
    let mut config = HttpConfig::new("admin");
    config.endpoints.push(Endpoint::new(&node.admin));
    config.operations.push(HttpOperation::new("admin"));
    config.limits.answer_bytes = 64 << 20;
    let connector = HttpConnector::new(config)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {}", node.token))?);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let outbound = Outbound {
        operation: 0,
        path: path.to_owned(),
        changing: method != Method::GET,
        method,
        headers,
        body: OutboundBody::Whole(bytes::Bytes::from(body)),
        deadline: Instant::now() + PATIENCE,
        attempt: 0,
        idempotency_key: None,
        traceparent: None,
        avoid: None,
    };
    let answer = connector
        .call(outbound)
        .await
        .map_err(|fault| Failed(format!("the node's admin API at {} did not answer: {fault}", node.admin)))?;
    match answer.body {
        AnswerBody::Whole(body) => Ok((answer.status, body.to_vec())),
        AnswerBody::Stream(_) => Err(Failed("the admin API answered with a stream".to_owned())),
    }
}
