//! What a mocked answer costs: CPU time per request of the serving threads, beside a bare hyper service in the same run.
//!
//! `cargo run --release -p qiao-mocks --example mock_cost`. The times are those of the threads' own schedulers, so that
//! clients and other work on the machine do not count.
use std::{
    convert::Infallible,
    error::Error,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::Instant,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use qiao_mocks::{MockConfig, MockServer};
use qiao_vault::Vault;

const CONNECTIONS: usize = 16;
const REQUESTS: usize = 64_000;
const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let bare = bare()?;
    let mut rows = vec![("bare hyper".to_owned(), Vec::new(), bare, "bare", body(0), 0.0)];
    let mut servers = Vec::new();
    for stubs in [0, 500, 5_000, 50_000] {
        let folder = folder(stubs)?;
        let mut config = MockConfig::new(folder.path());
        config.threads = 1;
        let begun = Instant::now();
        let server = MockServer::start(config, Vault::in_memory()?)?;
        let name = if stubs == 0 { "static stub".to_owned() } else { format!("{stubs} stubs") };
        rows.push((
            name,
            Vec::new(),
            server.addr(),
            "qiao-mock",
            body(stubs / 2),
            begun.elapsed().as_secs_f64(),
        ));
        servers.push((server, folder));
    }
    for _ in 0..ROUNDS {
        for (_, times, addr, threads, body, _) in &mut rows {
            load(*addr, body, REQUESTS / 10);
            let before = on_cpu(threads)?;
            load(*addr, body, REQUESTS);
            #[allow(clippy::cast_precision_loss, reason = "a table for people")]
            times.push((on_cpu(threads)? - before) as f64 / REQUESTS as f64 / 1000.0);
        }
    }
    println!("{:<14} {:>12} {:>8} {:>8}", "", "CPU µs each", "ratio", "load s");
    let mut base = None;
    for (name, mut times, .., seconds) in rows {
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        let base = *base.get_or_insert(median);
        println!("{name:<14} {median:>12.1} {:>8.2} {seconds:>8.2}", median / base);
    }
    Ok(())
}

/// A partner with one static stub, or with that many told apart by a field of the body, whose answers are templates.
fn folder(stubs: usize) -> Result<tempfile::TempDir, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    fs::create_dir_all(folder.path().join("p/stubs"))?;
    let mut head = "mock: v1\npartner: p\ntitle: t\nlisten: [{id: r, proto: http, path: /p}]\n".to_owned();
    if stubs == 0 {
        head.push_str("stubs:\n  - {id: s, respond: {json: {code: \"0\", msg: ok}}}\n");
    }
    fs::write(folder.path().join("p/partner.yaml"), head)?;
    for file in 0..stubs.div_ceil(5_000) {
        let mut text = "stubs:\n".to_owned();
        for n in file * 5_000..stubs.min((file + 1) * 5_000) {
            text.push_str(&format!(
                "  - {{id: s{n}, when: {{method: POST, all: [{{json: $.request.body.idNo, equals: \"{n:08}\"}}]}}, respond: {{json: {{code: \"0\", n: {n}, id: \"${{request.body.idNo}}\"}}}}}}\n"
            ));
        }
        fs::write(folder.path().join(format!("p/stubs/{file:03}.yaml")), text)?;
    }
    Ok(folder)
}

fn body(n: usize) -> String {
    format!(
        r#"{{"header":{{"bizNo":"B{n}","itemCode":"MZ-0231"}},"body":{{"idNo":"{n:08}","name":"张三","age":70}}}}"#
    )
}

fn bare() -> Result<SocketAddr, Box<dyn Error>> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("bare")
        .enable_all()
        .build()?;
    thread::spawn(move || {
        runtime.block_on(async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            while let Ok((stream, _)) = listener.accept().await {
                let service = service_fn(|request: Request<Incoming>| async {
                    drop(request.into_body().collect().await);
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(
                        b"{\"code\":\"0\",\"msg\":\"ok\"}",
                    ))))
                });
                tokio::spawn(async move {
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
                });
            }
        });
    });
    Ok(addr)
}

/// Sends that many requests over the connections and waits for every answer.
fn load(addr: SocketAddr, body: &str, requests: usize) {
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(move || {
                client(addr, body, requests / CONNECTIONS).expect("every request is answered with 200")
            });
        }
    });
}

fn client(addr: SocketAddr, body: &str, requests: usize) -> Result<(), Box<dyn Error>> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    let request = format!(
        "POST /p HTTP/1.1\r\nhost: m\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut buffer = [0; 4096];
    for _ in 0..requests {
        stream.write_all(request.as_bytes())?;
        let mut read = 0;
        loop {
            let more = stream.read(&mut buffer[read..])?;
            if more == 0 {
                return Err("closed".into());
            }
            read += more;
            if whole(&buffer[..read])? {
                break;
            }
        }
    }
    Ok(())
}

fn whole(answer: &[u8]) -> Result<bool, Box<dyn Error>> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(false) };
    let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") {
        return Err(head.into());
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    Ok(answer.len() == end + 4 + length.unwrap_or("0").parse::<usize>()?)
}

/// Nanoseconds on a CPU of all threads of this name.
fn on_cpu(name: &str) -> Result<u64, Box<dyn Error>> {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim() == name {
            let schedule = fs::read_to_string(task.join("schedstat"))?;
            sum += schedule.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
    }
    Ok(sum)
}
