//! How long the first page of a full journal takes, over the admin API: `cargo run --release -p qiao-mocks --example journal_page [ENTRIES]`.
//!
//! A million entries unless told otherwise, filled by real requests; then pages without a filter, with one that every entry
//! fits, and with one that none fits, which looks at as many entries as a page ever does.
use std::{
    error::Error,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use qiao_mocks::{MockConfig, MockServer};
use qiao_mocks_client::{JournalQuery, MocksClient, wait};
use qiao_vault::Vault;

const CONNECTIONS: usize = 4;
/// Requests sent before their answers are read.
const PIPELINED: usize = 50;
const PATIENCE: Duration = Duration::from_secs(30);
const PARTNER: &str = "mock: v1\npartner: civil\ntitle: 民政\nlisten: [{id: rest, proto: http, path: /mz}]\n\
                       select: $.request.item\nstubs: [{id: ok, item: A, respond: {json: {code: \"0000\"}}}]\n";

type Failed = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failed> {
    let entries: usize = std::env::args().nth(1).map_or(Ok(1_000_000), |count| count.parse())?;
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("civil"))?;
    fs::write(folder.path().join("civil/partner.yaml"), PARTNER)?;
    let mut config = MockConfig::new(folder.path());
    config.journal_bytes = qiao_mocks::MAX_JOURNAL_BYTES;
    config.admin = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let server = MockServer::start(config, Vault::in_memory()?)?;
    let begun = Instant::now();
    let addr = server.addr();
    let each = entries.div_ceil(CONNECTIONS * PIPELINED);
    let fill = || (0..each).try_fold(TcpStream::connect(addr)?, batch).map(drop);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(fill)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread ended")?)
    })?;
    println!("filled in {:.1} s", begun.elapsed().as_secs_f64());
    let admin = server.admin_addr().ok_or("no admin API")?;
    let mocks = MocksClient::at(admin);
    let newest = wait(mocks.next_entry())? - 1;
    println!("entries {newest}");
    for (what, query) in [
        ("first page of 50", mocks.journal().limit(50)),
        ("first page of 500", mocks.journal().limit(500)),
        ("filter that all fit", mocks.journal().item("A").limit(50)),
        ("filter that none fits", mocks.journal().item("B").limit(50)),
    ] {
        println!("{what:<24}{:>8.2} ms", median(&query)?);
    }
    Ok(())
}

/// The median of eleven pages, in milliseconds; each over a connection of its own.
fn median(query: &JournalQuery) -> Result<f64, Failed> {
    let mut times = Vec::new();
    for _ in 0..11 {
        let begun = Instant::now();
        wait(query.page())?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Requests behind one another, and all their answers.
fn batch(mut stream: TcpStream, _number: usize) -> Result<TcpStream, Failed> {
    const BODY: &str = r#"{"item":"A","bizNo":"B1","name":"张三"}"#;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("POST /mz HTTP/1.1\r\nhost: m\r\ncontent-length: {}\r\n\r\n{BODY}", BODY.len());
    stream.write_all(request.repeat(PIPELINED).as_bytes())?;
    let (mut seen, mut buffer, mut answered) = (Vec::new(), [0; 16 << 10], 0);
    while answered < PIPELINED {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err("the connection ended".into());
        }
        seen.extend_from_slice(&buffer[..count]);
        // Each answer ends with the same document.
        const END: &[u8] = br#"{"code":"0000"}"#;
        while let Some(end) = seen.windows(END.len()).position(|window| window == END) {
            seen.drain(..end + END.len());
            answered += 1;
        }
    }
    Ok(stream)
}
