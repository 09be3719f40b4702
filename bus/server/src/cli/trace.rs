//! `qiao trace CALL_ID`: the waterfall of a call, from the running node or from its data folder.
use qiao_core::{BodyPart, CallId, CallRecord, Outcome, Span, Store, fault_codes};
use qiao_store::SqliteStore;
use serde_json::{Value, json};

use super::{Failed, NodeArguments, client, out::say, show};
use crate::running;

#[derive(clap::Args)]
pub struct Arguments {
    /// The id in the answer's X-Qiao-Call-Id header
    #[arg(required_unless_present = "find")]
    call_id: Option<CallId>,
    #[command(flatten)]
    node: NodeArguments,
    /// For machines: the whole record as JSON
    #[arg(long)]
    json: bool,
    /// Show the kept bodies in the clear: needs a running node and a reason, and is recorded
    #[arg(long, requires = "reason")]
    reveal: bool,
    /// Why, 4 to 160 characters
    #[arg(long, value_name = "TEXT", requires = "reveal")]
    reason: Option<String>,
    /// List the calls with a business key of this name, whose value is read from standard input
    #[arg(long, value_name = "NAME", conflicts_with_all = ["call_id", "reveal"])]
    find: Option<String>,
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    let runtime = super::runtime(Some(1))?;
    let Some(id) = arguments.call_id else { return runtime.block_on(listed(&arguments)) };
    if let Some(reason) = &arguments.reason {
        return runtime.block_on(revealed(&arguments, id, reason));
    }
    let record = runtime.block_on(find(&arguments, id))?;
    if arguments.json {
        say!("{}", serde_json::to_string_pretty(&record)?);
    } else {
        say!("{}", waterfall(&record));
    }
    Ok(())
}

/// The calls with a business key.
async fn listed(arguments: &Arguments) -> Result<(), Failed> {
    let value = std::io::read_to_string(std::io::stdin())?;
    let asked = json!({"key": arguments.find, "value": value.trim()});
    let body = asked_of(arguments, "/api/calls/search", &asked).await?;
    if arguments.json {
        say!("{body}");
        return Ok(());
    }
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let rows: Vec<_> = body.as_array().into_iter().flatten().collect();
    let row = |row: &&Value| {
        vec![text(row, "id"), text(row, "interface"), text(row, "caller"), text(row, "outcome")]
    };
    say!("{}", show::table(&["CALL", "INTERFACE", "CALLER", "OUTCOME"], rows.iter().map(row).collect()));
    Ok(())
}

/// The kept bodies of a call.
async fn revealed(arguments: &Arguments, id: CallId, reason: &str) -> Result<(), Failed> {
    let body = asked_of(arguments, &format!("/api/calls/{id}/reveal"), &json!({"reason": reason})).await?;
    if arguments.json {
        say!("{}", serde_json::to_string_pretty(&body)?);
        return Ok(());
    }
    for part in ["request", "answer"] {
        if let Some(kept) = body.get(part) {
            let cut = if kept["cut"] == true { ", cut" } else { "" };
            say!("{part} ({} bytes{cut})\n{}", kept["bytes"], kept["text"].as_str().unwrap_or_default());
        }
    }
    Ok(())
}

async fn asked_of(arguments: &Arguments, path: &str, document: &Value) -> Result<Value, Failed> {
    let node = client::node(&arguments.node.node)?;
    let (status, body) = client::post(&node, path, document).await?;
    if status == 200 {
        return Ok(serde_json::from_slice(&body)?);
    }
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    Err(Failed(told["error"].as_str().map_or_else(|| format!("the node answered {status}"), str::to_owned)))
}

async fn find(arguments: &Arguments, id: CallId) -> Result<CallRecord, Failed> {
    let data = &arguments.node.node;
    if let Ok(node) = running::find(data) {
        let (status, body) = client::admin(&node, &format!("/api/calls/{id}")).await?;
        return match status {
            200 => Ok(serde_json::from_slice(&body)?),
            404 => Err(Failed(format!("no call {id} is recorded by the node on {}", data.display()))),
            status => Err(Failed(format!("the node answered {status}: {}", String::from_utf8_lossy(&body)))),
        };
    }
    let file = data.join("calls.db");
    if !file.exists() {
        return Err(Failed(format!(
            "no node runs on {} and nothing is recorded there; name its data folder with --node DIR",
            data.display()
        )));
    }
    let store = SqliteStore::open_read_only(&file)?;
    store.call(id).await?.ok_or_else(|| Failed(format!("no call {id} is recorded in {}", file.display())))
}

const BAR: usize = 32;

/// The call as text: a head, then a line per span with its bar.
pub fn waterfall(record: &CallRecord) -> String {
    let rows = in_tree_order(&record.spans).into_iter().map(|(depth, span)| {
        vec![
            format!("{}{}", "  ".repeat(depth), span.name),
            bar(span, record.duration_us),
            millis(span.start_us),
            millis(span.duration_us),
            outcome(span.outcome, span.fault),
            bytes(span),
            span.note.as_deref().unwrap_or_default().to_owned(),
        ]
    });
    let head = format!(
        "call      {}\ninterface {}   caller {}   plan {}\nstatus    {}   {}   {} ms{}\n",
        record.id,
        or_dash(&record.interface),
        or_dash(&record.caller),
        record.plan,
        record.status,
        outcome(record.outcome, record.fault),
        millis(record.duration_us),
        if record.mocked { "   (a mock partner took part)" } else { "" },
    );
    let table =
        show::table(&["STEP", "", "START ms", "TOOK ms", "OUTCOME", "OUT/IN bytes", "NOTE"], rows.collect());
    format!("{head}{}\n{table}", kept(record))
}

/// Business keys masked, and what is kept of the bodies.
fn kept(record: &CallRecord) -> String {
    let keys = record.keys.iter().map(|key| format!("key       {} {}\n", key.name, key.masked));
    let bodies = record.bodies.iter().map(|body| {
        let part = if body.part == BodyPart::Request { "request" } else { "answer" };
        format!("kept      {part}, {} bytes, encrypted: --reveal --reason TEXT shows it\n", body.bytes)
    });
    keys.chain(bodies).collect()
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// Spans with their depth, each before its children. A parent stands before its child in the record; what a damaged record says
/// otherwise is shown at the top.
fn in_tree_order(spans: &[Span]) -> Vec<(usize, &Span)> {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
    let mut stack = Vec::new();
    for (index, span) in spans.iter().enumerate() {
        match span.parent.map(usize::from).filter(|parent| *parent < index) {
            Some(parent) => children[parent].push(index),
            None => stack.push((0, index)),
        }
    }
    stack.reverse();
    let mut ordered = Vec::with_capacity(spans.len());
    while let Some((depth, index)) = stack.pop() {
        ordered.push((depth, &spans[index]));
        stack.extend(children[index].iter().rev().map(|child| (depth + 1, *child)));
    }
    ordered
}

fn bar(span: &Span, whole_us: u64) -> String {
    let scale = |us: u64| usize::try_from(us.min(whole_us) * BAR as u64 / whole_us.max(1)).unwrap_or(BAR);
    let start = scale(span.start_us).min(BAR - 1);
    let length = scale(span.duration_us).clamp(1, BAR - start);
    format!("{}{}{}", "·".repeat(start), "█".repeat(length), "·".repeat(BAR - start - length))
}

fn millis(us: u64) -> String {
    format!("{}.{:03}", us / 1000, us % 1000)
}

fn outcome(outcome: Outcome, fault: Option<u16>) -> String {
    match fault.and_then(fault_codes::by_number) {
        Some(code) => format!("{} {code} {}", outcome.as_str(), code.name),
        None => outcome.as_str().to_owned(),
    }
}

fn bytes(span: &Span) -> String {
    match (span.bytes_out, span.bytes_in) {
        (0, 0) => String::new(),
        (out, back) => format!("{out}/{back}"),
    }
}
