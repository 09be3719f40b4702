//! `qiao call ID`: one call, signed and sealed as the caller would, its answer opened and shown.
use std::{io::Read, path::PathBuf};

use bytes::Bytes;
use serde_json::json;

use super::{Failed, NodeArguments, client, out::say};
use crate::caller::{CallerRequest, Callers, Reply};

/// A request from standard input or a file is at most this large.
const MOST: u64 = 64 << 20;

#[derive(clap::Args)]
pub struct Arguments {
    /// Interface id, for instance permit.registration-upload
    id: String,
    /// Caller id; the first that is granted the interface when left out
    #[arg(long = "as", value_name = "CALLER")]
    caller: Option<String>,
    /// File with the request, - for standard input; the interface's first example when left out
    #[arg(long, value_name = "FILE|-")]
    data: Option<String>,
    /// Use this example of the interface (a number from 1)
    #[arg(long, value_name = "N", conflicts_with = "data")]
    example: Option<usize>,
    /// Show the request as a curl command, with its credentials, instead of sending it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    node: NodeArguments,
    /// For machines: one JSON object with status, headers and body
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    let node = client::node(&arguments.node.node)?;
    super::runtime(Some(1))?.block_on(async {
        let callers = client::callers(&node)?;
        let (caller, body) = request(&callers, &arguments)?;
        let interface = callers.interface(&arguments.id)?;
        let caller = callers.caller(caller.as_deref(), &arguments.id)?;
        if arguments.dry_run {
            let request = callers.request(interface, caller, body)?;
            show_request(&node.gateway, &request, arguments.json);
            return Ok(());
        }
        let reply = callers.call(interface, caller, body).await?;
        show(&arguments, &caller.caller, &reply)?;
        if reply.status.is_success() { Ok(()) } else { Err(Failed(String::new())) }
    })
}

/// Who calls and what is sent.
fn request(callers: &Callers, arguments: &Arguments) -> Result<(Option<String>, Bytes), Failed> {
    let interface = callers.interface(&arguments.id)?;
    if let Some(file) = &arguments.data {
        return Ok((arguments.caller.clone(), read(file)?));
    }
    let number = arguments.example.unwrap_or(1);
    let example = number.checked_sub(1).and_then(|index| interface.examples.get(index)).ok_or_else(|| {
        Failed(format!(
            "{} has {} example(s), not number {number}; give a request with --data FILE",
            arguments.id,
            interface.examples.len()
        ))
    })?;
    let caller = arguments.caller.clone().unwrap_or_else(|| example.caller.clone());
    Ok((Some(caller), Bytes::from(serde_json::to_vec(&example.request)?)))
}

fn read(file: &str) -> Result<Bytes, Failed> {
    let mut body = Vec::new();
    let source: Box<dyn Read> = match file {
        "-" => Box::new(std::io::stdin()),
        file => Box::new(
            std::fs::File::open(PathBuf::from(file)).map_err(|error| Failed(format!("{file}: {error}")))?,
        ),
    };
    source.take(MOST + 1).read_to_end(&mut body)?;
    if body.len() as u64 > MOST {
        return Err(Failed(format!("{file}: a request is at most {MOST} bytes")));
    }
    Ok(Bytes::from(body))
}

fn show(arguments: &Arguments, caller: &str, reply: &Reply) -> Result<(), Failed> {
    let body: Option<serde_json::Value> = serde_json::from_slice(&reply.body).ok();
    if arguments.json {
        let headers: serde_json::Map<_, _> = reply
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
            .collect();
        let body = body.unwrap_or_else(|| json!(String::from_utf8_lossy(&reply.body)));
        let row = json!({"status": reply.status.as_u16(), "caller": caller, "callId": reply.call_id(), "sealed": reply.sealed,
            "ms": reply.took.as_secs_f64() * 1000.0, "headers": headers, "body": body});
        say!("{}", serde_json::to_string_pretty(&row)?);
        return Ok(());
    }
    match body {
        Some(body) => say!("{}", serde_json::to_string_pretty(&body)?),
        None => say!("{}", String::from_utf8_lossy(&reply.body)),
    }
    let sealed = if reply.sealed { ", answer was sealed" } else { "" };
    let id = reply.call_id().unwrap_or("-");
    super::complain(&format!(
        "{} as {caller}, {:.1} ms{sealed} - next: qiao trace {id}",
        reply.status,
        reply.took.as_secs_f64() * 1000.0
    ));
    Ok(())
}

fn show_request(gateway: &str, request: &CallerRequest, json: bool) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = request.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes())));
    if json {
        let headers: serde_json::Map<_, _> = headers.map(|(name, value)| (name, json!(value))).collect();
        say!(
            "{}",
            json!({"method": request.method.as_str(), "path": request.path, "headers": headers, "body": text(&request.body)})
        );
        return;
    }
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let headers: Vec<_> =
        headers.map(|(name, value)| format!("-H {}", quoted(&format!("{name}: {value}")))).collect();
    let body = match request.body.is_empty() {
        true => String::new(),
        false => format!(" -d {}", quoted(&text(&request.body))),
    };
    say!("curl -s -X {} {gateway}{} {}{body}", request.method, request.path, headers.join(" "));
}
