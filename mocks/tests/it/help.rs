//! A folder of partners, a server over it, and a client that sees what really comes over the socket.
use std::{net::SocketAddr, time::Duration};

use qiao_mocks::{MockConfig, MockServer};
use qiao_mocks_client::MocksClient;
use qiao_vault::Vault;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Few people, for partners that look at shared tables.
pub const CITY: &str = "city: v1\nseed: 1\ncitizens: 10\n";

/// A running server and its folder.
pub struct Mocks {
    pub folder: TempDir,
    pub server: MockServer,
}

/// Serves one partner, named by its YAML, with an admin API.
pub fn serve(partner: &str, yaml: &str) -> Mocks {
    serve_with(&[(&format!("{partner}/partner.yaml"), yaml)], Vault::in_memory().expect("a vault"), |_| {})
}

pub fn serve_with(files: &[(&str, &str)], vault: Vault, adjust: impl FnOnce(&mut MockConfig)) -> Mocks {
    let folder = tempfile::tempdir().expect("a folder");
    files.iter().for_each(|(name, text)| write(&folder, name, text));
    let mut config = MockConfig::new(folder.path());
    config.admin = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    adjust(&mut config);
    let server = MockServer::start(config, vault).unwrap_or_else(|error| panic!("{error}"));
    Mocks { folder, server }
}

pub fn write(folder: &TempDir, name: &str, text: &str) {
    let path = folder.path().join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

impl Mocks {
    pub async fn connect(&self) -> Client {
        Client::to(self.server.addr()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.connect().await.send("POST", path, &[], &body.to_string()).await.expect("an answer")
    }

    /// The admin API.
    pub fn client(&self) -> MocksClient {
        MocksClient::at(self.server.admin_addr().expect("an admin API")).with_patience(PATIENCE)
    }

    /// The admin API, as it is on the wire.
    pub async fn admin(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let mut client = Client::to(self.server.admin_addr().expect("an admin API")).await;
        let body = body.map(Value::to_string).unwrap_or_default();
        client.send(method, path, &[("content-type", "application/json")], &body).await.expect("an answer")
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The stub that answered, without partner and hash.
    pub fn stub(&self) -> &str {
        self.header("x-mocked").and_then(|label| label.split(['/', '@']).nth(1)).unwrap_or("-")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why there was no whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The connection was reset.
    Reset,
    /// The connection ended before the answer did; what came of the body.
    Short { status: u16, body: Vec<u8>, announced: usize },
    /// The connection was closed without a byte.
    Closed,
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub async fn to(addr: SocketAddr) -> Self {
        let stream =
            timeout(PATIENCE, TcpStream::connect(addr)).await.expect("in time").expect("a connection");
        Self { stream, buffer: Vec::new() }
    }

    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Reply, Broken> {
        self.write(method, path, headers, body).await;
        timeout(PATIENCE, self.read()).await.expect("an answer in time")
    }

    pub async fn write(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let mut text =
            format!("{method} {path} HTTP/1.1\r\nhost: mock\r\ncontent-length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        text.push_str("\r\n");
        text.push_str(body);
        self.stream.write_all(text.as_bytes()).await.expect("written");
    }

    pub async fn read(&mut self) -> Result<Reply, Broken> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if self.more().await? == 0 {
                return Err(Broken::Closed);
            }
        };
        let head = String::from_utf8(self.buffer[..end].to_vec()).expect("a head");
        self.buffer.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let announced =
            headers.iter().find(|(name, _)| name == "content-length").map_or("0", |(_, length)| length);
        let announced: usize = announced.parse().expect("a length");
        while self.buffer.len() < announced {
            // A reset after a head is a broken body as well.
            if self.more().await.unwrap_or(0) == 0 {
                return Err(Broken::Short { status, body: std::mem::take(&mut self.buffer), announced });
            }
        }
        let body = self.buffer.drain(..announced).collect();
        Ok(Reply { status, headers, body })
    }

    async fn more(&mut self) -> Result<usize, Broken> {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece).await {
            Ok(count) => {
                self.buffer.extend_from_slice(&piece[..count]);
                Ok(count)
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Err(Broken::Reset),
            Err(error) => panic!("{error}"),
        }
    }
}
