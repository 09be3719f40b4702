//! Pushes over TCP and AMQP.
use super::*;

const FILES: &str = r#"
mock: v1
partner: bank
title: 银行
listen: [{id: rest, proto: http, path: /bank}]
instance: {key: $.request.batchNo}
pushes:
  notice: {to: "tcp://${partner.notices}", form: {wire: {codec: xml, charset: gb18030}}, acknowledged: "answer.ack.code == '0000'", retry: [1s]}
  event: {amqp: {routingKey: "${partner.queue}"}, headers: {x-batch: "${inst.key}"}, timeout: 20s}
plans:
  done:
    steps:
      - {id: notice, after: 1h, push: notice, json: {notice: {batchNo: "${inst.key}", text: 批量完成}}}
      - {id: event, after: 2h, push: event, json: {batchNo: "${inst.key}", done: true}}
stubs: [{id: any, respond: {json: {}}, then: {plan: done}}]
"#;

fn banking(parameters: &[(&str, String)], broker: Option<&str>) -> Mocks {
    let vault = Vault::in_memory().expect("a vault");
    serve_with(&[("bank/partner.yaml", FILES)], vault, |config| {
        let named = parameters.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
        config.parameters = named.collect();
        config.broker = broker.map(qiao_mocks::BrokerUrl::new);
    })
}

async fn standing(mocks: &Mocks, step: usize) -> (Value, String) {
    let runs = mocks.admin("GET", "/api/mocks/plans/bank", None).await.json();
    let step = &runs["runs"][0]["steps"][step];
    (step["standing"].clone(), step["why"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_push_over_tcp_is_one_frame_and_the_frame_that_comes_back_acknowledges_it() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let heard = tokio::spawn(async move {
        let mut heard = Vec::new();
        for code in ["9999", "0000"] {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut length = [0; 8];
            stream.read_exact(&mut length).await.expect("a length");
            let length: usize = std::str::from_utf8(&length).expect("digits").parse().expect("a number");
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.expect("a body");
            heard.push(body);
            let answer = format!("<ack><code>{code}</code></ack>");
            let framed = format!("{:08}{answer}", answer.len());
            stream.write_all(framed.as_bytes()).await.expect("written");
        }
        heard
    });
    let mocks = banking(&[("notices", address)], None);
    super::stop_clock(&mocks).await;
    mocks.post("/bank/batch", &json!({"batchNo": "B7"})).await;
    assert_eq!(advance(&mocks, "90m").await, 2, "refused once, then acknowledged");
    let heard = heard.await.expect("two frames");
    assert_eq!(heard[0], heard[1]);
    let (text, _, broken) = encoding_rs::GB18030.decode(&heard[0]);
    assert!(!broken && text.contains("<batchNo>B7</batchNo>") && text.contains("批量完成"), "{text}");
    assert_eq!(standing(&mocks, 0).await.0, "done");
}

#[tokio::test]
async fn a_push_over_amqp_is_confirmed_by_the_broker_and_one_for_no_queue_fails() {
    use lapin::options::{BasicGetOptions, QueueDeclareOptions};
    let url = std::env::var("QIAO_TEST_AMQP").expect(
        "a broker: `cargo nextest run` starts one, see .config/nextest.toml and scripts/test-broker.sh",
    );
    let connection = lapin::Connection::connect(&url, lapin::ConnectionProperties::default()).await;
    let channel = connection.expect("a broker").create_channel().await.expect("a channel");
    let queue = channel
        .queue_declare("".into(), QueueDeclareOptions::exclusive(), lapin::types::FieldTable::default())
        .await
        .expect("a queue");
    for (name, expected) in [(queue.name().as_str(), "done"), ("qiao-no-such-queue", "failed")] {
        let mocks = banking(&[("notices", "127.0.0.1:1".into()), ("queue", name.into())], Some(&url));
        super::stop_clock(&mocks).await;
        mocks.post("/bank/batch", &json!({"batchNo": "B8"})).await;
        advance(&mocks, "3h").await;
        let (standing, why) = standing(&mocks, 1).await;
        assert_eq!(standing, expected, "{why}");
        assert!(expected == "done" || why.contains("NO_ROUTE"), "{why}");
    }
    let message = channel.basic_get(queue.name().clone(), BasicGetOptions::default()).await;
    let message = message.expect("asked").expect("a message");
    assert_eq!(
        serde_json::from_slice::<Value>(&message.data).expect("JSON"),
        json!({"batchNo": "B8", "done": true})
    );
    let headers = message.properties.headers().as_ref().expect("headers");
    assert!(headers.inner().contains_key("x-batch"), "{headers:?}");
    let mocks = banking(&[("notices", "127.0.0.1:1".into()), ("queue", "any".into())], None);
    super::stop_clock(&mocks).await;
    mocks.post("/bank/batch", &json!({"batchNo": "B9"})).await;
    advance(&mocks, "3h").await;
    assert!(standing(&mocks, 1).await.1.contains("mocks.broker"));
}
