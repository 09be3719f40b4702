//! The interfaces as rows: for `qiao interfaces` and the admin API.
use qiao_engine::definitions::InterfaceDefinition;
use serde::{Deserialize, Serialize};

/// One interface of the catalogue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    pub interface: String,
    pub title: String,
    pub pattern: String,
    pub path: String,
    /// `on`, or `off` where its definition switches it off.
    pub status: String,
    /// Named in no source: the partner has yet to confirm it.
    pub assumed: bool,
    pub examples: usize,
}

/// Rows in the order given.
pub fn rows<'a>(interfaces: impl Iterator<Item = &'a InterfaceDefinition>) -> Vec<Row> {
    interfaces.map(row).collect()
}

fn row(interface: &InterfaceDefinition) -> Row {
    let pattern = serde_json::to_value(interface.pattern).ok();
    Row {
        interface: interface.interface.clone(),
        title: interface.title.clone(),
        pattern: pattern.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default(),
        path: exposed_path(interface),
        status: if interface.off { "off" } else { "on" }.to_owned(),
        assumed: interface.assumed,
        examples: interface.examples.len(),
    }
}

/// The path callers use: the one declared, or `/<provider>/<name>`.
pub fn exposed_path(interface: &InterfaceDefinition) -> String {
    let default = || format!("/{}", interface.interface.replacen('.', "/", 1));
    interface.expose.path.clone().unwrap_or_else(default)
}
