//! Forwarded interfaces: bodies larger than any buffer pass unread in both directions, whatever the method.
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
    time::Duration,
};

use qiao_tests::{
    bus::{Bus, Request, settings},
    http::Connection,
};

/// Larger by far than what the node may hold.
const BODY: usize = 192 << 20;
const MOST_MEMORY_KB: u64 = 96 << 10;

/// A partner that sends back what it gets while it gets it, one connection after the other. HEAD and GET get the target.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
                let mut writer = stream.try_clone().expect("a handle");
                let mut reader = BufReader::new(stream);
                while answer(&mut reader, &mut writer).is_some() {}
            });
        }
    });
    address
}

fn answer(reader: &mut BufReader<std::net::TcpStream>, writer: &mut std::net::TcpStream) -> Option<()> {
    let (mut first, mut line, mut length) = (String::new(), String::new(), None);
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse::<u64>().ok();
        }
    }
    let mut words = first.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    if method != "POST" {
        let body = if method == "HEAD" { "" } else { target };
        write!(
            writer,
            "HTTP/1.1 200 OK\r\nX-Target: {target}\r\nX-Qiao-Plan: 7\r\nContent-Length: {}\r\n\r\n{body}",
            target.len()
        )
        .ok()?;
        return Some(());
    }
    let length = length?;
    write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").ok()?;
    std::io::copy(&mut reader.by_ref().take(length), writer).ok()?;
    Some(())
}

/// A node whose only partner is this one, with one interface that passes everything below `/echo/` through.
fn start(partner: SocketAddr) -> Bus {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    };
    let text = settings("").replace("endpoints: mock", "endpoints: live");
    let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("mocks:")).collect();
    write("qiao.yaml", &(kept.join("\n") + "\n"));
    write(
        "routes/systems/echo.yaml",
        &format!(
            "system: echo\ntitle: 回声\nprotocol: http\nendpoints:\n  live: [{{url: \"http://{partner}/base\"}}]\ntimeout: 60s\n\
         operations:\n  echo: {{title: 回声, path: /echo, changing: false}}\n"
        ),
    );
    write(
        "routes/interfaces/echo/echo.yaml",
        "interface: echo.echo\ntitle: 回声\npattern: sync\ndeadline: 60s\nbodyBytes: 1GiB\n\
         expose: {path: \"/echo/*\", methods: [GET, POST]}\nforward: {system: echo, operation: echo}\n",
    );
    write(
        "routes/callers/card.yaml",
        "caller: card\ntitle: 社保卡管理系统\ncredential: {key: \"vault:caller/card\"}\n",
    );
    write("routes/grants/card-echo.yaml", "grant: card-echo\ncaller: card\ninterfaces: [echo.echo]\n");
    for action in [&["init", "--single-control"][..], &["generate", "--missing", "--stand-ins"]] {
        let arguments = [&["keys"], action, &["--config", "qiao.yaml"]].concat();
        let output = qiao_tests::bus::in_folder(folder.path(), &arguments, b"");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    Bus::serve_in(folder)
}

/// What `qiao call` would send, to a path of our own.
fn request(bus: &Bus, path: &str) -> Request {
    fs::write(bus.folder().join("empty"), "").expect("written");
    let (code, value) = bus.json(&["call", "echo.echo", "--data", "empty", "--dry-run"]);
    assert_eq!(code, 0, "{value}");
    let key = value["headers"]["x-app-key"].as_str().expect("a key").to_owned();
    let headers = vec![("X-App-Id".to_owned(), "card".to_owned()), ("X-App-Key".to_owned(), key)];
    Request { path: path.to_owned(), headers, body: Vec::new() }
}

/// The process's largest resident size so far.
fn memory_kb(bus: &Bus) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", bus.process())).expect("its status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn a_body_larger_than_the_nodes_memory_passes_both_ways_unchanged() {
    let bus = start(echo());
    let request = request(&bus, "/echo/large");
    let mut connection = Connection::open(bus.gateway).expect("open");
    let mut writer = connection.writer().expect("a handle");
    let mut head = format!("POST {} HTTP/1.1\r\nHost: bus\r\nContent-Length: {BODY}\r\n", request.path);
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let sender = thread::spawn(move || {
        writer.write_all(head.as_bytes()).expect("the head");
        let piece: Vec<u8> = (0..=250).cycle().take(251 * 512).collect();
        let mut left = BODY;
        while left > 0 {
            let now = left.min(piece.len());
            writer.write_all(&piece[..now]).expect("the body");
            left -= now;
        }
    });
    let answer = connection.read().expect("the whole answer");
    sender.join().expect("all was sent");
    assert_eq!((answer.status, answer.body.len()), (200, BODY));
    assert!(
        answer.body.iter().enumerate().all(|(index, byte)| *byte as usize == index % 251),
        "changed on its way"
    );
    assert!(memory_kb(&bus) < MOST_MEMORY_KB, "{} KiB were resident", memory_kb(&bus));
    let record = bus.trace(answer.one("x-qiao-call-id"));
    let size = Some(BODY as u64);
    assert_eq!((record["bytes_in"].as_u64(), record["bytes_out"].as_u64()), (size, size), "{record}");
}

#[test]
fn get_and_head_pass_with_their_query_and_reserved_headers_do_not() {
    let bus = start(echo());
    let request = request(&bus, "/echo/some/thing?a=1&b=%20");
    let headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut connection = Connection::open(bus.gateway).expect("open");
    let answer = connection.send("GET", &request.path, &headers, b"").expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "/base/echo/some/thing?a=1&b=%20"));
    assert_eq!(answer.one("x-qiao-plan"), "1", "the partner's own is stripped");
    // A HEAD's answer announces a length and has no body: read its head only.
    let mut head = format!("HEAD {} HTTP/1.1\r\nHost: bus\r\nConnection: close\r\n", request.path);
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut second = Connection::open(bus.gateway).expect("open");
    second.write(format!("{head}\r\n").as_bytes()).expect("sent");
    let mut text = String::new();
    second.writer().expect("a handle").read_to_string(&mut text).expect("an answer");
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("x-target: /base/echo/some/thing"), "{text}");
    let id = text.lines().find_map(|line| line.strip_prefix("x-qiao-call-id: ")).expect("an id");
    assert_eq!(bus.trace(id)["outcome"], "ok");
    let answer = connection.send("PUT", &request.path, &headers, b"").expect("an answer");
    assert_eq!((answer.status, answer.one("allow")), (405, "GET, POST, HEAD"));
}
