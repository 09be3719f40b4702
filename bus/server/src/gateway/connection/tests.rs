//! Tests of the connection state: body flow, timers and hang-ups, for developers of the gateway.
use std::sync::Mutex;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use proptest::prelude::*;
use qiao_core::{BoxFuture, Fault};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::super::{BodyError, GatewayBody, OnEnd, Refusal, ResponseBody};
use super::*;

/// Answers every request with what it saw of it, and keeps a list.
#[derive(Default)]
struct Echo {
    seen: Mutex<Vec<String>>,
    ends: Arc<Mutex<Vec<String>>>,
}

struct Tell(Arc<Mutex<Vec<String>>>);

impl OnEnd for Tell {
    fn finish(&mut self, sent: u64) -> BoxFuture<'static, ()> {
        let list = Arc::clone(&self.0);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            list.lock().expect("not poisoned").push(format!("finished {sent}"));
        })
    }

    fn abandon(&mut self, sent: u64) {
        self.0.lock().expect("not poisoned").push(format!("abandoned {sent}"));
    }
}

fn faulty(error: BodyError) -> Response<ResponseBody> {
    let fault = Fault::from(error);
    let mut response = Response::new(ResponseBody::full(fault.to_string()));
    *response.status_mut() = StatusCode::from_u16(fault.code().status).expect("a status");
    response
}

/// Takes a minute over every piece.
async fn patient(mut body: GatewayBody) -> Response<ResponseBody> {
    let mut length = 0;
    while let Some(piece) = body.frame().await {
        match piece {
            Ok(frame) => length += frame.data_ref().map_or(0, Bytes::len),
            Err(error) => return faulty(error),
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    Response::new(ResponseBody::full(format!("/patient {length}")))
}

async fn relay(stream: qiao_core::connector::StreamBody) -> Response<ResponseBody> {
    match stream.collect().await {
        Ok(whole) => Response::new(ResponseBody::full(format!("relayed {}", whole.to_bytes().len()))),
        Err(error) => Response::new(ResponseBody::full(error.to_string())),
    }
}

impl Handler for Echo {
    async fn handle(&self, request: Request<GatewayBody>, _peer: Peer) -> Response<ResponseBody> {
        let (parts, body) = request.into_parts();
        self.seen.lock().expect("not poisoned").push(parts.uri.path().to_owned());
        match parts.uri.path() {
            "/never" => std::future::pending().await,
            "/slow" => tokio::time::sleep(Duration::from_secs(200)).await,
            "/patient" => return patient(body).await,
            "/relay" => return relay(body.into_stream()).await,
            "/panic" => panic!("a defect"),
            "/large" => {
                return Response::new(
                    ResponseBody::full(vec![b'x'; 4 << 20]).on_end(Tell(Arc::clone(&self.ends))),
                );
            }
            "/hook" => {
                return Response::new(ResponseBody::full("hooked").on_end(Tell(Arc::clone(&self.ends))));
            }
            "/stream" => {
                let pieces = ["one", "two"].map(|piece| Ok(http_body::Frame::data(Bytes::from(piece))));
                let stream = StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync();
                return Response::new(ResponseBody::stream(stream).on_end(Tell(Arc::clone(&self.ends))));
            }
            "/short" => {
                let piece = Ok(http_body::Frame::data(Bytes::from("half")));
                let stream = StreamBody::new(futures_util::stream::iter([piece])).boxed_unsync();
                let body = ResponseBody::stream(stream).on_end(Tell(Arc::clone(&self.ends)));
                return Response::builder().header("content-length", 8).body(body).expect("valid");
            }
            "/broken" => {
                let broken = Err::<http_body::Frame<Bytes>, _>("the partner hung up".into());
                let stream = StreamBody::new(futures_util::stream::iter([broken])).boxed_unsync();
                return Response::new(ResponseBody::stream(stream).on_end(Tell(Arc::clone(&self.ends))));
            }
            _ => {}
        }
        match body.collect().await {
            Ok(bytes) => Response::new(ResponseBody::full(format!("{} {}", parts.uri.path(), bytes.len()))),
            Err(error) => faulty(error),
        }
    }
}

struct Fixture {
    context: Arc<Context<Echo>>,
    caller: DuplexStream,
    task: tokio::task::JoinHandle<End>,
}

fn connect(limits: GatewayLimits, buffer: usize) -> Fixture {
    let context = Arc::new(Context::new(Arc::default(), Arc::new(limits), Arc::default()));
    connect_again(context, buffer)
}

fn connect_again(context: Arc<Context<Echo>>, buffer: usize) -> Fixture {
    let (caller, io) = tokio::io::duplex(buffer);
    let peer = Peer {
        addr: ([127, 0, 0, 1], 1).into(),
        tls: None,
        http_version: http::Version::HTTP_11,
        accepted_at: std::time::Instant::now(),
    };
    let task = tokio::spawn(run(io, Arc::clone(&context), peer));
    Fixture { context, caller, task }
}

impl Fixture {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.caller.write_all(bytes.as_ref()).await.expect("the gateway reads");
    }

    async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        self.caller.read_to_end(&mut bytes).await.expect("the gateway closes");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    async fn until(&mut self, end: &str) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end.as_bytes()) {
            bytes.push(self.caller.read_u8().await.expect("more to come"));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn seen(&self) -> Vec<String> {
        self.context.handler.seen.lock().expect("not poisoned").clone()
    }

    fn ends(&self) -> Vec<String> {
        self.context.handler.ends.lock().expect("not poisoned").clone()
    }
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: bus\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_is_answered_408_after_its_time() {
    let mut it = connect(GatewayLimits::default(), 4096);
    let start = Instant::now();
    it.send("GET /a HTTP/1.1\r\nHo").await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        it.send("s").await;
    }
    let answer = it.rest().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    // A byte now and then does not buy time.
    assert!(start.elapsed() <= Duration::from_secs(11), "{:?}", start.elapsed());
    assert_eq!(it.seen(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_caller_that_sends_on_is_read_for_a_while_and_then_dropped() {
    let mut it = connect(GatewayLimits::default(), 4096);
    it.send("GET /a HTTP/1.1\r\n\r\n").await;
    it.until("}").await;
    let start = Instant::now();
    let mut sent = 0;
    while it.caller.write_all(&[b'x'; 4096]).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        sent += 1;
    }
    assert!(sent > 10, "{sent}");
    assert_eq!((&mut it.task).await.expect("no panic"), End::Stalled);
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_byte_is_closed_without_an_answer() {
    let mut it = connect(GatewayLimits::default(), 4096);
    let start = Instant::now();
    assert_eq!(it.rest().await, "");
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_the_keep_alive_time_and_not_while_a_request_is_under_way() {
    let mut it = connect(GatewayLimits::default(), 4096);
    it.send(GET).await;
    it.until("/a 0").await;
    it.send("GET /slow HTTP/1.1\r\nHost: bus\r\n\r\n").await;
    it.until("/slow 0").await;
    let start = Instant::now();
    assert_eq!(it.rest().await, "");
    assert_eq!(start.elapsed().as_secs(), 75);
    assert_eq!(it.task.await.expect("no panic"), End::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_is_a_timeout_and_one_that_trickles_is_not() {
    let mut it = connect(GatewayLimits::default(), 4096);
    it.send("POST /a HTTP/1.1\r\nHost: bus\r\nContent-Length: 5\r\n\r\n").await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_secs(29)).await;
        it.send("x").await;
    }
    let start = Instant::now();
    let answer = it.rest().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    // The wait for the body, and the lingering for a caller that keeps its side open.
    assert!((30..=36).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_slow_to_read_a_body_is_not_a_caller_that_stops() {
    let mut it = connect(GatewayLimits::default(), 4096);
    it.send("POST /patient HTTP/1.1\r\nHost: bus\r\nContent-Length: 400000\r\n\r\n").await;
    it.send(vec![b'x'; 400_000]).await;
    let head = it.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    it.until("/patient 400000").await;
}

#[tokio::test(start_paused = true)]
async fn a_streamed_body_keeps_its_limit_and_its_errors() {
    let limits = GatewayLimits { body_bytes: 10, ..Default::default() };
    let mut it = connect(limits, 4096);
    it.send("POST /relay HTTP/1.1\r\nHost: bus\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    it.send("6\r\n world\r\n0\r\n\r\n").await;
    it.until("larger than the 10 bytes this interface accepts").await;
    let mut it = connect_again(Arc::clone(&it.context), 4096);
    it.send("POST /relay HTTP/1.1\r\nHost: bus\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\rx").await;
    it.until("the chunked body is malformed (RFC 9112 §7.1)").await;
    let mut it = connect_again(Arc::clone(&it.context), 4096);
    it.send("POST /relay HTTP/1.1\r\nHost: bus\r\nContent-Length: 5\r\n\r\nhello").await;
    it.until("relayed 5").await;
}

#[tokio::test(start_paused = true)]
async fn a_head_begun_behind_a_slow_call_gets_its_time_and_its_answer_in_order() {
    let mut it = connect(GatewayLimits::default(), 4096);
    it.send("GET /slow HTTP/1.1\r\nHost: bus\r\n\r\nGET /a HTTP/1.1\r\nHo").await;
    it.until("/slow 0").await;
    assert!(it.rest().await.starts_with("HTTP/1.1 408 "));
    assert_eq!(it.seen(), ["/slow"]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_takes_nothing_is_dropped() {
    let mut it = connect(GatewayLimits::default(), 256);
    it.send("GET /large HTTP/1.1\r\nHost: bus\r\n\r\n").await;
    let start = Instant::now();
    assert_eq!((&mut it.task).await.expect("no panic"), End::Stalled);
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_the_limit_is_refused_whether_announced_or_not() {
    let limits = GatewayLimits { body_bytes: 10, ..Default::default() };
    for (framing, body) in [
        ("Content-Length: 11", "hello hello"),
        ("Transfer-Encoding: chunked", "6\r\nhello \r\n5\r\nhello\r\n0\r\n\r\n"),
    ] {
        let mut it = connect(limits.clone(), 4096);
        it.send(format!("POST /a HTTP/1.1\r\nHost: bus\r\n{framing}\r\n\r\n{body}")).await;
        let head = it.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    }
    let mut it = connect(limits, 4096);
    it.send("POST /a HTTP/1.1\r\nHost: bus\r\nContent-Length: 10\r\n\r\nhello hell").await;
    it.until("/a 10").await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_answer_waits_for_its_hook() {
    let mut it = connect(GatewayLimits::default(), 4096);
    it.send("GET /hook HTTP/1.1\r\nHost: bus\r\n\r\n").await;
    it.until("hooked").await;
    assert_eq!(it.ends(), ["finished 6"]);
    it.send("GET /stream HTTP/1.1\r\nHost: bus\r\n\r\n").await;
    let answer = it.until("0\r\n\r\n").await;
    assert!(answer.contains("3\r\none\r\n3\r\ntwo\r\n"), "{answer}");
    assert_eq!(it.ends(), ["finished 6", "finished 6"]);
    it.send("HEAD /hook HTTP/1.1\r\nHost: bus\r\n\r\n").await;
    let head = it.until("\r\n\r\n").await;
    assert!(head.contains("content-length: 6"), "{head}");
    assert_eq!(it.ends().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_during_the_answer_and_a_stream_that_breaks_are_reported() {
    let mut it = connect(GatewayLimits::default(), 256);
    it.send("GET /large HTTP/1.1\r\nHost: bus\r\n\r\n").await;
    it.until("xxx").await;
    let ends = Arc::clone(&it.context.handler.ends);
    drop(it.caller);
    it.task.await.expect("no panic");
    assert_eq!(ends.lock().expect("not poisoned").len(), 1);
    let mut it = connect(GatewayLimits::default(), 4096);
    it.send("GET /broken HTTP/1.1\r\nHost: bus\r\n\r\n").await;
    let answer = it.rest().await;
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
    assert_eq!(it.ends(), ["abandoned 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_shorter_than_announced_is_not_finished() {
    let mut it = connect(GatewayLimits::default(), 4096);
    it.send("GET /short HTTP/1.1\r\nHost: bus\r\n\r\n").await;
    // The connection ends before eight bytes, so the caller knows, too.
    assert!(!it.rest().await.ends_with("halfhalf"));
    assert_eq!(it.ends(), ["abandoned 4"]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_ends_the_handler() {
    let mut it = connect(GatewayLimits::default(), 4096);
    it.send("GET /never HTTP/1.1\r\nHost: bus\r\n\r\n").await;
    while it.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(it.caller);
    assert_eq!(it.task.await.expect("no panic"), End::Closed);
}

#[tokio::test(start_paused = true)]
async fn draining_closes_quiet_connections_and_answers_what_is_on_its_way() {
    let mut quiet = connect(GatewayLimits::default(), 4096);
    let context = Arc::clone(&quiet.context);
    let mut busy = connect_again(Arc::clone(&context), 4096);
    let mut late = connect_again(Arc::clone(&context), 4096);
    let mut fresh = connect_again(Arc::clone(&context), 4096);
    for it in [&mut quiet, &mut late] {
        it.send(GET).await;
        it.until("/a 0").await;
    }
    busy.send("GET /slow HTTP/1.1\r\nHost: bus\r\n\r\n").await;
    while busy.seen().len() < 3 {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    context.stage.drain();
    tokio::time::sleep(Duration::from_millis(200)).await;
    late.send(GET).await;
    let answer = late.rest().await;
    assert!(answer.contains("connection: close") && answer.ends_with("/a 0"), "{answer}");
    assert_eq!(quiet.rest().await, "");
    assert_eq!(fresh.rest().await, "");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let answer = busy.rest().await;
    assert!(answer.contains("connection: close") && answer.ends_with("/slow 0"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn forcing_cuts_off_what_is_still_under_way() {
    let mut it = connect(GatewayLimits::default(), 4096);
    it.send("GET /never HTTP/1.1\r\nHost: bus\r\n\r\n").await;
    while it.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    it.context.stage.drain();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!it.task.is_finished());
    it.context.stage.force();
    assert_eq!(it.task.await.expect("no panic"), End::Forced);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_is_answered_for_and_the_connection_goes_on() {
    let mut it = connect(GatewayLimits::default(), 4096);
    it.send("GET /panic HTTP/1.1\r\nHost: bus\r\n\r\n").await;
    let head = it.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    assert!(it.until("}").await.contains("QIAO-9001"));
    it.send(GET).await;
    it.until("/a 0").await;
    assert_eq!(it.context.stats.panics(), 1);
}

/// Requests, whole and damaged, as a caller might pipeline them.
fn pipeline() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(GET.to_owned()),
        2 => Just("POST /b HTTP/1.1\r\nHost: bus\r\nContent-Length: 5\r\n\r\nhello".to_owned()),
        2 => Just("POST /c HTTP/1.1\r\nHost: bus\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n".to_owned()),
        1 => Just("\r\n".to_owned()),
        1 => Just("GET /d HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned()),
        1 => Just("POST /e HTTP/1.1\r\nHost: bus\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi".to_owned()),
        1 => Just("GET http://bus/f HTTP/1.1\r\nHost: bus\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n".to_owned()),
    ];
    let damage = prop::collection::vec(
        (
            any::<prop::sample::Index>(),
            prop_oneof![Just(b'\n'), Just(b'\r'), Just(b' '), Just(b':'), Just(b'0'), any::<u8>()],
        ),
        0..3,
    );
    (prop::collection::vec(piece, 1..6), damage).prop_map(|(pieces, damage)| {
        let mut wire = pieces.concat().into_bytes();
        for (at, byte) in damage {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        wire
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// hyper never finds a request where the guard saw none, and the handler gets exactly those the guard let through.
    #[test]
    fn the_guard_and_hyper_agree_on_every_boundary(
        wire in pipeline(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        at.extend([0, wire.len()]);
        at.sort_unstable();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (seen, out_of_step, answers) = runtime.block_on(async {
            let mut it = connect(GatewayLimits::default(), 64 << 10);
            for pair in at.windows(2) {
                // The gateway may have closed already.
                if it.caller.write_all(&wire[pair[0]..pair[1]]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let answers = it.rest().await;
            (it.seen(), it.context.stats.refused(Refusal::OutOfStep), answers)
        });
        prop_assert_eq!(out_of_step, 0);
        let mut framing = super::super::guard::Oracle::new(&GatewayLimits::default());
        let heads = framing.heads(&wire);
        prop_assert!(seen.len() as u64 <= heads, "handler saw {:?}, the guard {}", seen, heads);
        let good = answers.matches("HTTP/1.1 200").count() + answers.matches("HTTP/1.0 200").count();
        prop_assert!(good <= seen.len(), "{}", answers);
    }
}
