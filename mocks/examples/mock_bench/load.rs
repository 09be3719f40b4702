//! The clients: one event loop over connections that stay open, each request to another stub. It costs less per request than any
//! server here, so that each server is what limits the rate, and all pay alike for waking it.
use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::{Builder, Runtime},
    task::JoinSet,
    time::timeout,
};

use crate::{Result, stubs};

const CONNECTIONS: usize = 16;
/// How long a connection may take, and how much longer for each request: WireMock takes 300 ms for each with 5000 stubs behind one path.
const DEADLINE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_millis(500);

/// CPU microseconds per request of all threads of this name in this process.
pub fn cost(addr: SocketAddr, stubs: usize, requests: usize, threads: &str) -> Result<f64> {
    run(addr, stubs, requests / 10)?;
    let before = on_cpu(threads)?;
    run(addr, stubs, requests)?;
    #[allow(clippy::cast_precision_loss, reason = "a table for people")]
    Ok((on_cpu(threads)? - before) as f64 / requests as f64 / 1000.0)
}

/// Sends that many requests over the connections and waits for every answer, which must be a 200.
pub fn run(addr: SocketAddr, stubs: usize, requests: usize) -> Result<()> {
    event_loop()?.block_on(async {
        let mut clients = JoinSet::new();
        for client in 0..CONNECTIONS {
            let sent = async move {
                let sent = send_all(addr, stubs, client, requests / CONNECTIONS).await;
                sent.map_err(|error| error.to_string())
            };
            clients.spawn(sent);
        }
        while let Some(ended) = clients.join_next().await {
            ended??;
        }
        Ok(())
    })
}

fn event_loop() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// Seconds until a request that misses is explained: the shortest of some, each over a connection of its own.
pub fn explanation(admin: SocketAddr) -> Result<f64> {
    let question =
        r#"{"partner":"p","listener":"r","method":"POST","path":"","document":{"body":{"idNo":"none"}}}"#;
    event_loop()?.block_on(async {
        let mut best = f64::INFINITY;
        for _ in 0..20 {
            let mut stream = connect(admin).await?;
            let begun = Instant::now();
            stream.write_all(post("/api/mocks/try", question).as_bytes()).await?;
            let mut buffer = vec![0; 1 << 20];
            let answer = read_answer(&mut stream, &mut buffer).await?;
            best = best.min(begun.elapsed().as_secs_f64());
            if !answer.contains("nearest") {
                return Err(format!("the explanation names no stub: {answer}").into());
            }
        }
        Ok(best)
    })
}

async fn connect(addr: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: m\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn send_all(addr: SocketAddr, stubs: usize, client: usize, requests: usize) -> Result<()> {
    let mut stream = connect(addr).await?;
    let mut buffer = [0; 4096];
    let all = async {
        for request in 0..requests {
            // A prime stride, so that neighbours in time are not neighbours in the file.
            let stub = (client + request * 7_919) % stubs.max(1);
            stream.write_all(post("/p", &stubs::body(stub)).as_bytes()).await?;
            let answer = read_answer(&mut stream, &mut buffer).await?;
            if !answer.starts_with("HTTP/1.1 200") {
                return Err(format!("stub {stub} answered {answer}").into());
            }
        }
        Ok(())
    };
    // Of all its requests: a timer for each would cost the loop more than it sends.
    timeout(DEADLINE + PATIENCE * u32::try_from(requests)?, all).await?
}

async fn read_answer<'a>(stream: &mut TcpStream, buffer: &'a mut [u8]) -> Result<&'a str> {
    let mut read = 0;
    loop {
        let more = stream.read(&mut buffer[read..]).await?;
        if more == 0 {
            return Err("the server closed, or the answer is larger than the buffer".into());
        }
        read += more;
        if whole(&buffer[..read])? {
            return Ok(std::str::from_utf8(&buffer[..read])?);
        }
    }
}

fn whole(answer: &[u8]) -> Result<bool> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(false) };
    let head = std::str::from_utf8(&answer[..end])?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("content-length").then_some(value));
    Ok(answer.len() == end + 4 + length.unwrap_or("0").trim().parse::<usize>()?)
}

/// Nanoseconds on a CPU of all threads of this name.
fn on_cpu(name: &str) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        // A thread may end meanwhile.
        let Ok(comm) = fs::read_to_string(task.join("comm")) else { continue };
        if comm.trim() == name {
            let schedule = fs::read_to_string(task.join("schedstat"))?;
            sum += schedule.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
    }
    Ok(sum)
}
