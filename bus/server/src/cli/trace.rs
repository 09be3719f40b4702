//! `qiao trace CALL_ID`: the waterfall of a call, from the running node or from its data folder.
use qiao_core::{CallId, CallRecord, Outcome, Span, Store, fault_codes};
use qiao_store::SqliteStore;

use super::{Failed, NodeArguments, client, out::say, show};
use crate::running;

#[derive(clap::Args)]
pub struct Arguments {
    /// The id in the answer's X-Qiao-Call-Id header
    call_id: CallId,
    #[command(flatten)]
    node: NodeArguments,
    /// For machines: the whole record as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    let record = super::runtime(Some(1))?.block_on(find(&arguments, arguments.call_id))?;
    if arguments.json {
        say!("{}", serde_json::to_string_pretty(&record)?);
    } else {
        say!("{}", waterfall(&record));
    }
    Ok(())
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
    format!("{head}\n{table}")
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
