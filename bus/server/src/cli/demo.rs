//! `qiao demo`: the whole product in one process on embedded storage, with mock partners and a trickle of calls.
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{Failed, client, out::say};
use crate::{
    config::{
        AdminConfig, Config, DefinitionsConfig, DefinitionsFrom, EndpointSet, GatewayConfig, IntegrityConfig,
        MocksConfig, RecordConfig, VaultConfig,
    },
    demo_keys, examples,
    live_lines::LiveLines,
    needed_keys::{mock_keys, node_keys},
    running,
    serve::{Running, Signals},
    unseal,
};

/// Data folder of the demo, and where other commands look for a node.
pub const DATA: &str = "qiao-data";

#[derive(clap::Args, Clone)]
pub struct Arguments {
    /// Folder for everything the demo keeps
    #[arg(long, value_name = "DIR", default_value = DATA)]
    pub data: PathBuf,
    /// Definitions to run
    #[arg(long, value_name = "DIR", default_value = "routes")]
    pub definitions: PathBuf,
    /// Mock partners to run
    #[arg(long, value_name = "DIR", default_value = "mocks")]
    pub mocks: PathBuf,
    /// Address of the gateway
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub gateway: SocketAddr,
    /// Address of the admin API, health and metrics
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub admin: SocketAddr,
    /// Address of the mock partners
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    pub mock_address: SocketAddr,
    /// Send no calls of its own
    #[arg(long)]
    pub no_trickle: bool,
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    if !arguments.definitions.is_dir() {
        return Err(Failed(format!(
            "{} is not a folder: run `qiao demo` where `routes/` and `mocks/` are, or name them with --definitions and --mocks",
            arguments.definitions.display()
        )));
    }
    quiet_logging();
    let runtime = super::runtime(None)?;
    runtime.block_on(async {
        let signals = Signals::new()?;
        let keys = prepare(&arguments)?;
        let running = Running::start(config(&arguments), Some(Arc::new(LiveLines::default()))).await?;
        greet(&arguments, &running, keys);
        let trickle = (!arguments.no_trickle).then(|| tokio::spawn(trickle(arguments.data.clone())));
        running.run(signals).await?;
        if let Some(trickle) = trickle {
            trickle.abort();
        }
        Ok(())
    })
}

/// The demo shows a live line per call instead of logs, unless a level is asked for.
fn quiet_logging() {
    if std::env::var_os("QIAO_LOG").is_some() {
        crate::logging::start();
    } else {
        crate::logging::start_at("error");
    }
}

/// Makes the vault and every key that the definitions name.
pub fn prepare(arguments: &Arguments) -> Result<usize, Failed> {
    std::fs::create_dir_all(&arguments.data)
        .map_err(|error| Failed(format!("{}: {error}", arguments.data.display())))?;
    let (vault, _) = unseal::open_or_make(&vault_config(&arguments.data))?;
    let loaded = qiao_engine::load::load(&arguments.definitions);
    if !loaded.mistakes.is_empty() {
        return Err(Failed(super::show::mistakes(&loaded.mistakes)));
    }
    let mut made = demo_keys::generate_missing(&vault, &loaded.definitions)?;
    let of_node = node_keys(&config(arguments)).into_iter().chain(mock_keys(&arguments.mocks));
    for needed in of_node.filter(|needed| !vault.exists(&needed.key)) {
        demo_keys::generate(&vault, &needed)?;
        made += 1;
    }
    Ok(made)
}

fn vault_config(data: &Path) -> VaultConfig {
    VaultConfig::with_key_file(data.join("vault.json"), data.join("vault.key"))
}

/// The settings a demo runs with.
pub fn config(arguments: &Arguments) -> Config {
    Config {
        data: arguments.data.clone(),
        definitions: DefinitionsConfig {
            from: DefinitionsFrom::Files,
            folder: arguments.definitions.clone(),
            endpoints: EndpointSet::Mock,
            mock_base: None,
            watch: true,
        },
        gateway: GatewayConfig { listen: arguments.gateway, ..GatewayConfig::default() },
        admin: AdminConfig { listen: arguments.admin, ..AdminConfig::default() },
        vault: vault_config(&arguments.data),
        record: RecordConfig::default(),
        mocks: Some(MocksConfig {
            folder: arguments.mocks.clone(),
            listen: arguments.mock_address,
            push_to: Vec::new(),
            bus: None,
            broker: None,
            journal: None,
        }),
        workers: None,
        grace: None,
        integrity: Some(IntegrityConfig::OFF),
        time_stamps: None,
        file: None,
    }
}

fn greet(arguments: &Arguments, running: &Running, keys: usize) {
    // As this command was typed, so that the lines below can be pasted.
    let qiao = std::env::args().next().unwrap_or_else(|| "qiao".to_owned());
    let data = arguments.data.display();
    let mocks = running.mocks.as_ref().map(|mocks| mocks.addr().to_string()).unwrap_or_default();
    let node = if arguments.data == Path::new(DATA) { String::new() } else { format!(" --node {data}") };
    say!("Qiao 桥 demo");
    say!("  gateway        http://{}", running.gateway);
    say!(
        "  admin          http://{}   /healthz /readyz /metrics, /api with the token in {data}/admin-token",
        running.admin
    );
    say!("  mock partners  http://{mocks}");
    say!("  data           {data}   ({keys} new key(s))");
    say!(
        "The vault is unsealed with a key generated in {data}/vault.key: a demo only, never do so in production."
    );
    say!("");
    say!("Try, in another terminal:");
    say!("  {qiao} call permit.registration-upload{node}");
    say!("  {qiao} call ems.order-create{node}");
    say!("  {qiao} call apps.one-screen{node}");
    say!("  {qiao} selftest{node}");
    say!("  {qiao} call card.card-query --dry-run{node}   # the same as a curl command, with its key");
    say!("Stop a mock partner and see the fallback:");
    say!(
        "  curl -s -X POST -H \"Authorization: Bearer $(cat {data}/admin-token)\" http://{}/api/mocks/partners/hrss/stop",
        running.admin
    );
    say!("  {qiao} call permit.registration-upload{node}");
    say!("");
    say!("Calls, as they come (Ctrl-C ends the demo):");
}

/// One example after the other, every two seconds, so that there is something to see.
async fn trickle(data: PathBuf) {
    let Ok(node) = running::find(&data) else { return };
    let Ok(callers) = client::callers(&node) else { return };
    let interfaces: Vec<String> = callers.definitions().interfaces.keys().cloned().collect();
    let mut pace = tokio::time::interval(Duration::from_secs(2));
    for interface in interfaces.iter().cycle() {
        pace.tick().await;
        drop(examples::run(&callers, Some(interface)).await);
    }
}
