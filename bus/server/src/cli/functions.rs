//! `qiao functions`: the functions of mappings, conditions and templates.
use super::{Failed, out::say, show};

#[derive(clap::Args)]
pub struct Arguments {
    /// For machines: one JSON array
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    let functions = qiao_mappings::functions::FUNCTIONS;
    if arguments.json {
        let rows: Vec<_> = functions
            .iter()
            .map(|function| serde_json::json!({"name": function.name, "signature": function.signature, "about": function.doc}))
            .collect();
        say!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    let rows = functions.iter().map(|function| vec![function.signature.to_owned(), function.doc.to_owned()]);
    say!("{}", show::table(&["FUNCTION", "WHAT IT DOES"], rows.collect()));
    Ok(())
}
