//! Where the running mock partners are, and the token for their admin API: never on the command line, where other users see it.
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use http::Method;
use qiao_mappings::strict::Source;
use qiao_mocks_client::{ClientError, MocksClient};
use serde_json::Value;

use crate::{
    cli::{Failed, demo, out::say},
    config::{AdminConfig, Config, MocksOnlyConfig},
    running,
};

/// Where a node or a mock server listens unless told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8081";
/// The environment's name for the token.
const TOKEN: &str = "QIAO_ADMIN_TOKEN";

/// What every command takes that talks to running mock partners.
#[derive(clap::Args, Clone, Debug)]
pub struct Place {
    /// Admin API of the mock partners [default: of --config, of the node in --node, http://127.0.0.1:8081]
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "node"])]
    url: Option<String>,
    /// File with the admin token [default: QIAO_ADMIN_TOKEN in the environment, then what --config or --node name]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Settings that the mock partners, or the node that they are in, run by
    #[arg(long, value_name = "FILE", conflicts_with = "node")]
    config: Option<PathBuf>,
    /// Data folder of the running node that they are in [default: qiao-data, where a node runs on it]
    #[arg(long, value_name = "DIR")]
    node: Option<PathBuf>,
    /// For machines: JSON
    #[arg(long)]
    pub json: bool,
}

impl Place {
    /// The client, with its token where one is found.
    pub fn client(&self) -> Result<MocksClient, Failed> {
        let (url, known) = self.found()?;
        let client = MocksClient::new(&url)?;
        let given = match &self.token_file {
            Some(file) => Some(token(file)?),
            None => std::env::var(TOKEN).ok().filter(|token| !token.is_empty()),
        };
        Ok(match given.or(known) {
            Some(token) => client.with_token(token),
            None => client,
        })
    }

    /// The URL, and the token that stands beside it. A URL given by hand gets no token but one given by hand.
    fn found(&self) -> Result<(String, Option<String>), Failed> {
        if let Some(url) = &self.url {
            return Ok((url.clone(), None));
        }
        if let Some(file) = &self.config {
            let (admin, data) = settings(file)?;
            let token = self.token_file.is_none().then(|| token(&data.join("admin-token"))).transpose();
            return Ok((reached(&admin, file)?, token.unwrap_or_default()));
        }
        let node = match &self.node {
            Some(data) => Some(running::find(data).map_err(Failed)?),
            None => running::find(Path::new(demo::DATA)).ok(),
        };
        Ok(node.map_or_else(|| (DEFAULT_URL.to_owned(), None), |node| (node.admin, Some(node.token))))
    }

    /// One request whose answer is a document.
    pub async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, Failed> {
        self.client()?.ask(method, path, body).await.map_err(failed)
    }

    /// Prints a document for machines, or as `people` want it.
    pub fn show(&self, document: &Value, people: impl FnOnce(&Value) -> String) -> Result<(), Failed> {
        if self.json {
            say!("{}", serde_json::to_string_pretty(document)?);
        } else {
            say!("{}", people(document));
        }
        Ok(())
    }
}

/// A refusal in words; one for want of a token says how to give one.
pub fn failed(error: ClientError) -> Failed {
    let hint = match error.status() {
        Some(401) => format!(
            "\ngive it with --token-file FILE, or as {TOKEN} in the environment; or name the node with --node DIR, the settings with --config FILE"
        ),
        _ => String::new(),
    };
    Failed(format!("{error}{hint}"))
}

fn token(file: &Path) -> Result<String, Failed> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| Failed(format!("the token in {}: {error}", file.display())))?;
    Ok(text.trim().to_owned())
}

/// The admin listener and the data folder of a node's settings, or of mock partners' alone.
fn settings(file: &Path) -> Result<(AdminConfig, PathBuf), Failed> {
    let text =
        std::fs::read_to_string(file).map_err(|error| Failed(format!("{}: {error}", file.display())))?;
    let of_node = Source::read(&file.display().to_string(), &text)
        .is_ok_and(|source| source.value().get("definitions").is_some());
    if of_node {
        let config = Config::read(file)?;
        return Ok((config.admin, config.data));
    }
    let config = MocksOnlyConfig::read(file)?;
    Ok((config.admin, config.data))
}

/// The URL under which a listener of this machine is reached.
fn reached(admin: &AdminConfig, file: &Path) -> Result<String, Failed> {
    let mut address = admin.listen;
    if address.port() == 0 {
        let text = "admin.listen takes a free port, which the settings cannot tell: name it with --url, or the node's data folder with --node";
        return Err(Failed(format!("{}: {text}", file.display())));
    }
    if address.ip().is_unspecified() {
        let here: IpAddr =
            if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        address.set_ip(here);
    }
    Ok(format!("http://{address}"))
}
