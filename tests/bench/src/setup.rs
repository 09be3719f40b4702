//! Starts the bus and its peers for a benchmark, each on a free port and pinned to the proxy's core.
use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    Result,
    measure::Load,
    process::{LOAD_CORE, PROXY_CORE, Process},
};

/// The request every proxy gets.
const BODY: &str = r#"{"idNo":"310101199003074511","name":"张三"}"#;

/// A folder with everything a benchmark needs, and the upstream running.
pub struct Stage {
    pub folder: tempfile::TempDir,
    qiao: PathBuf,
    upstream_port: u16,
    _upstream: Process,
    /// Credentials of the bus's caller.
    headers: Vec<(String, String)>,
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn own() -> Result<String> {
    Ok(std::env::current_exe()?.display().to_string())
}

fn load(port: u16, path: &str, headers: &[(String, String)]) -> Load {
    Load { url: format!("http://127.0.0.1:{port}{path}"), headers: headers.to_vec(), body: BODY.to_owned() }
}

impl Stage {
    pub fn new(qiao: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let upstream_port = free_port()?;
        let upstream = Process::start(
            LOAD_CORE,
            &[&own()?, "upstream", &upstream_port.to_string()],
            folder.path(),
            upstream_port,
        )?;
        copy_routes(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("routes"),
            &folder.path().join("routes"),
            upstream_port,
        )?;
        fs::create_dir_all(folder.path().join("mocks"))?;
        let qiao = fs::canonicalize(qiao)?;
        let headers = make_keys(&qiao, folder.path())?;
        Ok(Self { folder, qiao, upstream_port, _upstream: upstream, headers })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The bus with one worker; `name` tells its data folder apart.
    pub fn bus(&self, name: &str, recorded: bool) -> Result<(Process, Load, Load)> {
        let (port, admin) = (free_port()?, free_port()?);
        let config = self.path().join(format!("{name}.yaml"));
        let text = format!(
            "data: {name}\ndefinitions: {{from: files, folder: routes, endpoints: mock, watch: false}}\n\
             gateway: {{listen: \"127.0.0.1:{port}\"}}\nadmin: {{listen: \"127.0.0.1:{admin}\"}}\n\
             vault: {{file: keys/vault.json, unsealKeyFile: keys/vault.key}}\nrecord: {{enabled: {recorded}}}\nworkers: 1\nintegrity: off\n"
        );
        fs::write(&config, text)?;
        let command = [&*self.qiao.display().to_string(), "serve", "--config", &config.display().to_string()];
        let process = Process::start(PROXY_CORE, &command, self.path(), port)?;
        let path = |path: &str| load(port, path, &self.headers);
        Ok((process, path("/bench/forward"), path("/bench/transform")))
    }

    pub fn peer_proxy(&self) -> Result<(Process, Load)> {
        let port = free_port()?;
        let upstream = format!("127.0.0.1:{}", self.upstream_port);
        let process = Process::start(
            PROXY_CORE,
            &[&own()?, "peer-proxy", &port.to_string(), &upstream],
            self.path(),
            port,
        )?;
        Ok((process, load(port, "/", &self.headers)))
    }

    pub fn peer_transform(&self) -> Result<(Process, Load)> {
        let port = free_port()?;
        let upstream = format!("127.0.0.1:{}", self.upstream_port);
        let command = [&*own()?, "peer-transform", &port.to_string(), &upstream, "peer.db"];
        Ok((Process::start(PROXY_CORE, &command, self.path(), port)?, load(port, "/", &self.headers)))
    }

    /// nginx with one worker: proxy_pass, and the transformation in Lua where the module is there.
    pub fn nginx(&self) -> Result<(Process, Load, Option<Load>)> {
        let port = free_port()?;
        let lua = Path::new("/usr/lib/nginx/modules/ngx_http_lua_module.so").exists();
        let text = nginx_settings(port, self.upstream_port, lua);
        let file = self.path().join("nginx.conf");
        fs::write(&file, text)?;
        let prefix = self.path().display().to_string();
        let command = ["nginx", "-p", &prefix, "-c", &file.display().to_string(), "-e", "stderr"];
        let mut process = Process::start(PROXY_CORE, &command, self.path(), port)?;
        process.count_worker()?;
        let path = |path: &str| load(port, path, &self.headers);
        Ok((process, path("/plain"), lua.then(|| path("/lua"))))
    }
}

fn copy_routes(from: &Path, to: &Path, upstream: u16) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_routes(&entry.path(), &target, upstream)?;
        } else {
            let text = fs::read_to_string(entry.path())?;
            fs::write(target, text.replace("http://127.0.0.1:1/", &format!("http://127.0.0.1:{upstream}")))?;
        }
    }
    Ok(())
}

/// Lets a demo make the keys, and asks it for the request headers of the bench's caller.
fn make_keys(qiao: &Path, folder: &Path) -> Result<Vec<(String, String)>> {
    let any = "127.0.0.1:0";
    let mut demo = Command::new(qiao)
        .args([
            "demo",
            "--no-trickle",
            "--data",
            "keys",
            "--gateway",
            any,
            "--admin",
            any,
            "--mock-address",
            any,
        ])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()?;
    let output = demo.stdout.take().ok_or("piped")?;
    let greeted = BufReader::new(output)
        .lines()
        .map_while(std::result::Result::ok)
        .any(|line| line.starts_with("Calls, as they come"));
    let shown = Command::new(qiao)
        .args(["call", "bench.forward", "--dry-run", "--json", "--node", "keys"])
        .current_dir(folder)
        .output()?;
    Command::new("kill").arg(demo.id().to_string()).status()?;
    demo.wait()?;
    if !greeted {
        return Err("the demo that makes the keys did not start".into());
    }
    let request: Value = serde_json::from_slice(&shown.stdout)?;
    let headers = request["headers"].as_object().ok_or("no headers")?;
    Ok(headers
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect())
}

fn nginx_settings(port: u16, upstream: u16, lua: bool) -> String {
    let modules = "/usr/lib/nginx/modules";
    let (load_modules, location) = if lua {
        (
            format!(
                "load_module {modules}/ndk_http_module.so;\nload_module {modules}/ngx_http_lua_module.so;"
            ),
            format!(
                "location = /lua {{ default_type application/json; content_by_lua_block {{\n{LUA}\n}} }}"
            ),
        )
    } else {
        (String::new(), String::new())
    };
    format!(
        "{load_modules}\nworker_processes 1;\ndaemon off;\npid nginx.pid;\nerror_log stderr error;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n  access_log off;\n  keepalive_requests 100000000;\n  client_body_temp_path body; proxy_temp_path proxy;\n  \
         fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n  \
         upstream partner {{ server 127.0.0.1:{upstream}; keepalive 2000; keepalive_requests 100000000; }}\n  \
         server {{\n    listen 127.0.0.1:{port} backlog=4096;\n    \
         location / {{ proxy_pass http://partner; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}\n    \
         location = /soap {{ internal; proxy_pass http://partner; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}\n    \
         {location}\n  }}\n}}\n"
    )
}

/// The transformation as an nginx user would write it.
const LUA: &str = r#"
local cjson = require "cjson.safe"
ngx.req.read_body()
local request = cjson.decode(ngx.req.get_body_data())
local function escape(text) return (text:gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;")) end
local soap = '<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><b:cardQuery xmlns:b="urn:bench"><b:idType>01</b:idType><b:idNo>'
  .. escape(request.idNo) .. '</b:idNo><b:name>' .. escape(request.name) .. '</b:name></b:cardQuery></soap:Body></soap:Envelope>'
ngx.req.set_header("Content-Type", "text/xml; charset=utf-8")
local answer = ngx.location.capture("/soap", {method = ngx.HTTP_POST, body = soap})
local fields = {}
for name, text in answer.body:gmatch("<b:(%w+)>([^<]*)</b:") do fields[name] = text end
ngx.print(cjson.encode({code = fields.code, msg = "ok", data = {cardNo = fields.cardNo, status = fields.status, bankCode = fields.bankCode, name = fields.name}}))
"#;
