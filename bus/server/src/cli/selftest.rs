//! `qiao selftest`: every example of every interface through the running bus against its mock partners.
use super::{Failed, NodeArguments, client, show};
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
            callers.interface(only)?;
        }
        let results = examples::run(&callers, arguments.only.as_deref()).await;
        report(&results, arguments.json)
    })
}

/// Prints a row per interface and fails when one did not pass.
pub fn report(results: &[InterfaceResult], json: bool) -> Result<(), Failed> {
    if json {
        println!("{}", serde_json::to_string_pretty(results)?);
    } else {
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
        println!("{}", show::table(&["INTERFACE", "RESULT", "EXAMPLES", "TITLE"], rows.collect()));
        for (result, example) in
            results.iter().flat_map(|result| result.examples.iter().map(move |example| (result, example)))
        {
            for wrong in &example.wrong {
                println!(
                    "{}: {}: {wrong} (qiao trace {})",
                    result.interface,
                    example.name,
                    example.call_id.as_deref().unwrap_or("-")
                );
            }
        }
    }
    let failed = results.iter().filter(|result| !result.passed()).count();
    if failed > 0 {
        return Err(Failed(format!("{failed} of {} interface(s) failed", results.len())));
    }
    if !json {
        println!("{} interface(s), all passing", results.len());
    }
    Ok(())
}
