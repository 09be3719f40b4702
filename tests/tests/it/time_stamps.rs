//! Evidence with the time on it, stamped by the development authority and by one that is not ours: the `openssl` command behind HTTP.
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
};

use qiao_tests::{
    bus::{Bus, in_folder},
    http::Connection,
};

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A node with these `timeStamps` that answered a call and ended; the call's id.
fn ended(time_stamps: &str) -> (Bus, String) {
    let folder = Bus::prepare_serve("");
    let settings = folder.path().join("qiao.yaml");
    let text = fs::read_to_string(&settings).expect("settings");
    fs::write(settings, format!("{text}timeStamps: {time_stamps}\n")).expect("written");
    let mut bus = Bus::serve_in(folder);
    let request = bus.request("hrss.insurance-query", 1);
    let answer = request.send(&mut Connection::open(bus.gateway).expect("open")).expect("an answer");
    let id = answer.one("x-qiao-call-id").to_owned();
    bus.signal("TERM");
    assert_eq!(bus.wait().0, Some(0));
    (bus, id)
}

fn export(folder: &Path, id: &str) -> Output {
    let arguments =
        ["audit", "export", id, "--config", "qiao.yaml", "--time-stamp", "--out", "evidence.json"];
    in_folder(folder, &arguments, b"")
}

fn verify(folder: &Path, more: &[&str]) -> Output {
    in_folder(folder, &[&["audit", "verify", "--file", "evidence.json"], more].concat(), b"")
}

fn holds(output: &Output) {
    assert!(output.status.success() && text(output).contains("stamped at"), "{}", text(output));
}

fn refused(output: &Output, why: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", text(output));
    assert!(text(output).contains(why), "{why}: {}", text(output));
}

/// Rewrites the evidence; `from` stands in it.
fn rewrite(folder: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let file = folder.join("evidence.json");
    let mut evidence = serde_json::from_str(&fs::read_to_string(&file).expect("evidence")).expect("JSON");
    change(&mut evidence);
    fs::write(file, evidence.to_string()).expect("written");
}

#[test]
fn evidence_stamped_by_the_development_authority_is_verified_and_no_byte_of_the_stamp_can_be_changed() {
    let (bus, id) = ended("{}");
    let here = bus.folder();
    let output = export(here, &id);
    assert!(output.status.success() && text(&output).contains("stamped at"), "{}", text(&output));
    let with = ["--stamp-authorities", "data/time-stamp-root.cer"];
    holds(&verify(here, &["--config", "qiao.yaml"]));
    holds(&verify(here, &with));
    let unchecked = verify(here, &[]);
    assert!(
        unchecked.status.success() && text(&unchecked).contains("was not checked"),
        "{}",
        text(&unchecked)
    );

    let whole = fs::read(here.join("evidence.json")).expect("evidence");
    let put_back = || fs::write(here.join("evidence.json"), &whole).expect("written");
    rewrite(here, |evidence| {
        let token = evidence["timeStamp"]["token"].as_str().expect("a token").to_owned();
        let last = if token.ends_with('0') { "1" } else { "0" };
        evidence["timeStamp"]["token"] = format!("{}{last}", &token[..token.len() - 1]).into();
    });
    refused(&verify(here, &with), "time stamp");
    put_back();
    // The stamp of one call is not another's.
    rewrite(here, |evidence| evidence["timeStamp"]["hash"] = "sha256".into());
    refused(&verify(here, &with), "other data");
    put_back();
    rewrite(here, |evidence| drop(evidence.as_object_mut().expect("an object").remove("timeStamp")));
    refused(&verify(here, &with), "carries no time stamp");
    put_back();
    let stranger = Bus::prepare_serve("");
    fs::copy(here.join("evidence.json"), stranger.path().join("evidence.json")).expect("copied");
    refused(&verify(stranger.path(), &["--config", "qiao.yaml"]), "not a key of this vault");
    // Its certificates are made once.
    let root = fs::read(here.join("data/time-stamp-root.cer")).expect("a certificate");
    assert!(export(here, &id).status.success());
    assert_eq!(fs::read(here.join("data/time-stamp-root.cer")).expect("a certificate"), root);
}

/// A time-stamp authority of OpenSSL's in this folder.
struct Authority(PathBuf);

impl Authority {
    fn new(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).expect("a folder");
        let authority = Self(folder);
        let extensions =
            "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign";
        authority.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
        authority.run(&format!(
            "req -x509 -new -key ca.key -subj /CN=Root -days 30 -out ca.pem {extensions} -sha256"
        ));
        authority.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out tsa.key");
        authority.run("req -new -key tsa.key -subj /CN=tsa -out tsa.csr -sha256");
        let usage = "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping";
        fs::write(authority.0.join("extensions"), usage).expect("written");
        authority.run("x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -days 20 -extfile extensions -out tsa.pem -set_serial 7 -sha256");
        let settings = "[tsa]\ndefault_tsa=t\n[t]\nserial=serial\nsigner_digest=sha256\ndefault_policy=1.2.3.4.1\ndigests=sm3,sha256\ness_cert_id_alg=sha256\n";
        fs::write(authority.0.join("ts.cnf"), settings).expect("written");
        authority
    }

    fn run(&self, line: &str) {
        let output = Command::new("openssl")
            .args(line.split_whitespace())
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .output()
            .expect("the `openssl` command");
        assert!(output.status.success(), "openssl {line}: {}", text(&output));
    }

    /// Answers questions over HTTP (RFC 3161 §3.4) until the test ends.
    fn serve(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let (mut length, mut asked) = (0, false);
                for line in reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty())
                {
                    let line = line.to_ascii_lowercase();
                    asked |= line == "content-type: application/timestamp-query";
                    if let Some(value) = line.strip_prefix("content-length:") {
                        length = value.trim().parse().expect("a length");
                    }
                }
                let mut query = vec![0; length];
                reader.read_exact(&mut query).expect("the question");
                fs::write(self.0.join("query.tsq"), query).expect("written");
                self.run("ts -reply -config ts.cnf -section t -queryfile query.tsq -signer tsa.pem -inkey tsa.key -out answer.tsr");
                let answer = fs::read(self.0.join("answer.tsr")).expect("an answer");
                let status = if asked { "200 OK" } else { "415 Unsupported Media Type" };
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/timestamp-reply\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    answer.len()
                );
                let stream = reader.get_mut();
                drop(stream.write_all(&[head.as_bytes(), &answer].concat()));
            }
        });
        address
    }
}

#[test]
fn an_authority_elsewhere_stamps_evidence_under_its_own_root() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path().join("authority"));
    let roots = folder.path().join("authority/ca.pem").display().to_string();
    let address = authority.serve();
    let (bus, id) = ended(&format!("{{url: \"http://{address}/tsa\", authorities: \"{roots}\", hash: sm3}}"));
    let here = bus.folder();
    let output = export(here, &id);
    assert!(output.status.success() && text(&output).contains("stamped at"), "{}", text(&output));
    holds(&verify(here, &["--config", "qiao.yaml"]));
    holds(&verify(here, &["--stamp-authorities", &roots]));
    // Another root, and a policy that the authority does not stamp under.
    Authority::new(folder.path().join("other"));
    let other = folder.path().join("other/ca.pem").display().to_string();
    refused(&verify(here, &["--stamp-authorities", &other]), "time stamp does not hold");
    let settings = fs::read_to_string(here.join("qiao.yaml")).expect("settings");
    fs::write(here.join("qiao.yaml"), settings.replace("hash: sm3", "hash: sm3, policy: 1.2.3.4.9"))
        .expect("written");
    refused(&export(here, &id), "time-stamp authority");
}
