//! `qiao selftest`: every example of every interface through the running bus against its mock partners.
use super::{Failed, NodeArguments, client, out::say, show};
use crate::examples::{self, InterfaceResult};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    node: NodeArguments,
    /// Only this interface
    #[arg(long, value_name = "ID")]
    only: Option<String>,
    /// For machines: one JSON array
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    let node = client::node(&arguments.node.node)?;
    super::runtime(Some(1))?.block_on(async {
        let callers = client::callers(&node)?;
        if let Some(only) = &arguments.only {
            let interface = callers.interface(only)?;
            if interface.off {
                return Err(Failed(format!("{only} is switched off in its definition: nothing to test")));
            }
        }
        let results = examples::run(&callers, arguments.only.as_deref()).await;
        if arguments.json {
            say!("{}", serde_json::to_string_pretty(&results)?);
        } else {
            report(&results);
        }
        verdict(&results)
    })
}

/// Prints a row per interface, and what was wrong.
pub fn report(results: &[InterfaceResult]) {
    let rows = results.iter().map(|result| {
        let verdict = if result.passed() { "pass" } else { "FAIL" };
        let passed = result.examples.iter().filter(|example| example.wrong.is_empty()).count();
        vec![
            result.interface.clone(),
            verdict.to_owned(),
            format!("{passed}/{}", result.examples.len()),
            result.title.clone(),
        ]
    });
    say!("{}", show::table(&["INTERFACE", "RESULT", "EXAMPLES", "TITLE"], rows.collect()));
    for (result, example) in
        results.iter().flat_map(|result| result.examples.iter().map(move |example| (result, example)))
    {
        for wrong in &example.wrong {
            say!(
                "{}: {}: {wrong} (qiao trace {})",
                result.interface,
                example.name,
                example.call_id.as_deref().unwrap_or("-")
            );
        }
    }
    if results.iter().all(InterfaceResult::passed) {
        say!("{} interface(s), all passing", results.len());
    }
}

/// Fails when an interface did not pass, or when there was none.
pub fn verdict(results: &[InterfaceResult]) -> Result<(), Failed> {
    if results.is_empty() {
        return Err(Failed("there is no interface to test".to_owned()));
    }
    let failed = results.iter().filter(|result| !result.passed()).count();
    if failed > 0 {
        return Err(Failed(format!("{failed} of {} interface(s) failed", results.len())));
    }
    Ok(())
}
