//! The real binary as a child: `qiao demo` on free ports and a folder of its own, ended with the test.
use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{folder, http};

/// A started bus must be ready within this time, and ended within it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test, built beside the tests.
pub fn binary() -> PathBuf {
    let tests = std::env::current_exe().expect("the test's own path");
    let profile = tests.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    let binary = profile.join("qiao");
    assert!(binary.exists(), "{} is not built: run `cargo build -p qiao`", binary.display());
    binary
}

/// Runs a command of the binary to its end.
pub fn qiao(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).current_dir(folder::project()).output().expect("the binary runs")
}

/// A request as a caller sends it.
#[derive(Clone)]
pub struct Request {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// Sends it on a connection.
    pub fn send(&self, connection: &mut http::Connection) -> std::io::Result<http::Answer> {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        connection.send("POST", &self.path, &headers, &self.body)
    }
}

/// A running demo.
pub struct Bus {
    child: Child,
    folder: TempDir,
    pub gateway: SocketAddr,
    pub admin: SocketAddr,
    pub token: String,
}

impl Bus {
    /// With the project's own definitions and mock partners, which the scenario may change in its copy.
    pub fn start() -> Self {
        Self::start_in(Self::prepare())
    }

    /// A folder with copies of the definitions and mock partners.
    pub fn prepare() -> TempDir {
        let temporary = tempfile::tempdir().expect("a folder");
        for name in ["routes", "mocks"] {
            folder::copy(&folder::project().join(name), &temporary.path().join(name)).expect("a copy");
        }
        for rust in ["src", "tests", "client", "Cargo.toml"] {
            let path = temporary.path().join("mocks").join(rust);
            drop(fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path)));
        }
        temporary
    }

    pub fn start_in(folder: TempDir) -> Self {
        let any = "127.0.0.1:0";
        let mut child = Command::new(binary())
            .args(["demo", "--no-trickle", "--gateway", any, "--admin", any, "--mock-address", any])
            .args(["--data", "data"])
            .current_dir(folder.path())
            .env("QIAO_LOG", "warn")
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.path().join("log")).expect("a log file"))
            .spawn()
            .expect("the binary starts");
        wait_for_greeting(&mut child, folder.path());
        Self::running(child, folder)
    }

    /// `qiao serve --config qiao.yaml` in this folder; its data folder is `data`.
    pub fn serve_in(folder: TempDir) -> Self {
        let mut child = Command::new(binary())
            .args(["serve", "--config", "qiao.yaml"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        wait_for_serving(&mut child, folder.path());
        Self::running(child, folder)
    }

    /// A folder with definitions, mock partners, settings for free ports, and a vault with every key.
    pub fn prepare_serve(gateway: &str) -> TempDir {
        let folder = Self::prepare();
        fs::write(folder.path().join("qiao.yaml"), settings(gateway)).expect("written");
        for action in [&["init", "--single-control"][..], &["generate", "--missing", "--stand-ins"]] {
            let output =
                in_folder(folder.path(), &[&["keys"], action, &["--config", "qiao.yaml"]].concat(), b"");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        folder
    }

    /// As [`Bus::prepare_serve`], for a node in production: grants and callers sealed, everything else signed.
    pub fn prepare_signed() -> TempDir {
        let folder = Self::prepare_serve("");
        let here = folder.path();
        let run = |arguments: &[&str]| {
            let output = in_folder(here, &[arguments, &["--config", "qiao.yaml"]].concat(), b"");
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        run(&["keys", "generate", "vault:release/sign", "--kind", "sm2-sign"]);
        let public = run(&["keys", "export-public", "vault:release/sign"]);
        let settings = fs::read_to_string(here.join("qiao.yaml")).expect("settings");
        let signed =
            format!("integrity: {{manifest: manifest.json, publicKey: \"{public}\", seals: seals.json}}");
        fs::write(here.join("qiao.yaml"), settings.replace("integrity: off", &signed)).expect("written");
        run(&["keys", "generate", "--missing"]);
        run(&["grants", "seal"]);
        run(&["manifest", "sign"]);
        folder
    }

    fn running(child: Child, folder: TempDir) -> Self {
        let text = fs::read_to_string(folder.path().join("data/node.json")).expect("a run file");
        let node: serde_json::Value = serde_json::from_str(&text).expect("a run file");
        let address = |name: &str| {
            let url = node[name].as_str().expect("an address");
            url.split("//").last().unwrap_or(url).parse().expect("an address")
        };
        let token = node["token"].as_str().expect("a token").to_owned();
        Self { gateway: address("gateway"), admin: address("admin"), token, child, folder }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Everything the node logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A command of the binary against this node.
    pub fn command(&self, arguments: &[&str]) -> Output {
        Command::new(binary())
            .args(arguments)
            .args(["--node", "data"])
            .current_dir(self.folder.path())
            .output()
            .expect("the binary runs")
    }

    /// A command with `--json`, its output parsed; the exit code is the scenario's to look at.
    pub fn json(&self, arguments: &[&str]) -> (i32, serde_json::Value) {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let output = self.command(&arguments);
        let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{arguments:?}: {error}\n{}\n{}", String::from_utf8_lossy(&output.stderr), self.log())
        });
        (output.status.code().unwrap_or(-1), value)
    }

    /// A request to the admin API, with the token.
    pub fn admin(&self, method: &str, path: &str, body: &[u8]) -> http::Answer {
        let authorization = format!("Bearer {}", self.token);
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        http::once(self.admin, method, path, &headers, body).expect("the admin API answers")
    }

    /// Asks until the answer is there; fails with `what` after a minute.
    pub fn until<T>(&self, what: &str, ask: impl Fn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask(self) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{what} did not come; the log:\n{}", self.log());
            std::thread::yield_now();
        }
    }

    /// The record of a call.
    pub fn trace(&self, id: &str) -> serde_json::Value {
        let (code, trace) = self.json(&["trace", id]);
        assert_eq!(code, 0, "{trace}");
        trace
    }

    /// Rewrites a definition in the scenario's copy.
    pub fn rewrite(folder: &Path, file: &str, change: impl FnOnce(String) -> String) {
        let path = folder.join("routes").join(file);
        let text = fs::read_to_string(&path).expect("a definition");
        let changed = change(text.clone());
        assert_ne!(text, changed, "{file} was not changed");
        fs::write(path, changed).expect("written");
    }

    /// Lets a sealed request be sent more than once, for scenarios that are about something else.
    pub fn let_repeat(folder: &Path) {
        Self::rewrite(folder, "systems/civil.yaml", |text| {
            text.replace("freshness: {nonce: cipher}", "freshness: {off: true}")
        });
    }

    /// The request that `qiao call` would send for an example (from 1): path, headers, body.
    pub fn request(&self, interface: &str, example: usize) -> Request {
        let (code, value) = self.json(&["call", interface, "--dry-run", "--example", &example.to_string()]);
        assert_eq!(code, 0, "{value}");
        let headers = value["headers"].as_object().expect("headers");
        let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        Request {
            path: text(&value["path"]),
            headers: headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            body: text(&value["body"]).into_bytes(),
        }
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, without waiting for its effect.
    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &command]).status().expect("a shell");
        assert!(status.success(), "kill -{name}");
    }

    /// Waits for the process to end by itself: its exit code and how long it took.
    pub fn wait(&mut self) -> (Option<i32>, Duration) {
        let started = Instant::now();
        let (sender, receiver) = std::sync::mpsc::channel();
        let process = self.child.id();
        // A watchdog instead of polling: it ends a process that does not end by itself.
        let watchdog = std::thread::spawn(move || {
            if receiver.recv_timeout(PATIENCE).is_err() {
                drop(Command::new("sh").args(["-c", &format!("kill -KILL {process}")]).status());
            }
        });
        let status = self.child.wait().expect("the process ends");
        // The watchdog may have ended already.
        sender.send(()).unwrap_or_default();
        drop(watchdog.join());
        (status.code(), started.elapsed())
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Settings of a node on free ports with mock partners; `gateway` is more YAML for the gateway, such as `, name: x`.
pub fn settings(gateway: &str) -> String {
    format!(
        "data: data\n\
         definitions: {{from: files, folder: routes, endpoints: mock, watch: false}}\n\
         gateway: {{listen: \"127.0.0.1:0\"{gateway}}}\n\
         admin: {{listen: \"127.0.0.1:0\"}}\n\
         vault: {{file: data/vault.json, unsealKeyFile: data/vault.key}}\n\
         mocks: {{folder: mocks, listen: \"127.0.0.1:0\"}}\n\
         integrity: off\n"
    )
}

/// Runs a command of the binary in a folder to its end, with this standard input.
pub fn in_folder(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    run_in(&binary(), folder, arguments, input)
}

/// As [`in_folder`], with a binary of the scenario's own.
pub fn run_in(binary: &Path, folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    use std::io::Write;
    let mut child = Command::new(binary)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // A command that does not read its input closes it.
    drop(child.stdin.take().expect("piped").write_all(input));
    child.wait_with_output().expect("the binary ends")
}

/// A node logs `serving` once every listener is open; all it logs goes to the file `log`.
fn wait_for_serving(child: &mut Child, folder: &Path) {
    use std::io::Write;
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut log = fs::File::create(folder.join("log")).expect("a log file");
    let mut keep = move |line: &str| writeln!(log, "{line}").expect("the log file");
    let serving = lines.by_ref().map_while(Result::ok).any(|line| {
        keep(&line);
        line.contains("\"message\":\"serving\"")
    });
    if !serving {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        panic!("the node ended before it was ready: {:?}\n{log}", child.wait());
    }
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| keep(&line)));
}

/// The demo prints its greeting once every listener is open; what follows on its standard output is read away.
fn wait_for_greeting(child: &mut Child, folder: &Path) {
    let output = child.stdout.take().expect("piped");
    let mut lines = BufReader::new(output).lines();
    let greeted = lines.by_ref().map_while(Result::ok).any(|line| line.starts_with("Calls, as they come"));
    if !greeted {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        panic!("the demo ended before it was ready: {:?}\n{log}", child.wait());
    }
    std::thread::spawn(move || lines.for_each(drop));
}
