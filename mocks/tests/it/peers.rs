//! Clients of others: installed once by `scripts/peers.sh`, then run against the mock partners.
use std::{path::PathBuf, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{process::Command, time::timeout};

/// Installing takes a minute where nothing is cached.
const INSTALL: Duration = Duration::from_secs(400);
const RUN: Duration = Duration::from_secs(120);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Installs what `scripts/peers.sh` knows by that name, once, and gives its folder.
pub async fn install(kind: &str) -> PathBuf {
    let mut install = Command::new("bash");
    install.arg(root().join("scripts/peers.sh")).arg(kind).stderr(Stdio::inherit()).kill_on_drop(true);
    let installed = timeout(INSTALL, install.output()).await.expect("installed in time").expect("bash runs");
    assert!(installed.status.success(), "scripts/peers.sh {kind} failed");
    PathBuf::from(String::from_utf8(installed.stdout).expect("a path").trim())
}

/// Runs a script of `tests/peers` and gives the JSON it prints.
pub async fn run(kind: &str, script: &str, arguments: &[&str]) -> Value {
    let folder = install(kind).await;
    let script = root().join("tests/peers").join(script);
    let mut command = match kind {
        "python" => Command::new(folder.join("bin/python")),
        _ => {
            let mut node = Command::new("node");
            node.env("NODE_PATH", folder.join("node_modules"));
            node
        }
    };
    // A proxy of the machine has nothing to do with loopback.
    command
        .arg(script)
        .args(arguments)
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .kill_on_drop(true);
    let output = timeout(RUN, command.output()).await.expect("an answer in time").expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}
