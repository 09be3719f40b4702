//! EMS: orders, waybill numbers, the track pulled and pushed: one and the same.
use super::*;
use crate::pushes::Receiver;

/// A request as the bus sends it: a form with the encrypted business JSON.
pub fn form(partners: &Partners, code: &str, business: &Value) -> String {
    let envelope = Envelope::compile(&system_envelope(), &partners.vault, Side::Bus).expect("an envelope");
    let sealed = envelope.seal(business.to_string().as_bytes(), &Params::new()).expect("seals");
    let encoded = |name: &str| {
        let text = sealed[name].as_str().expect("a field");
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    format!(
        "apiCode={code}&authorization={}&logitcsInterface={}",
        encoded("authorization"),
        encoded("logitcsInterface")
    )
}

/// The stub that answers a request, and the answer.
async fn ask(partners: &Partners, code: &str, business: Value) -> (String, Value) {
    let reply = partners.send("POST", "/ems", &form(partners, code, &business)).await;
    (reply.stub().to_owned(), reply.json())
}

/// As the bus's own definition of EMS has it.
fn system_envelope() -> qiao_vault::EnvelopeSpec {
    let system = std::fs::read_to_string(folder().join("../routes/systems/ems.yaml"))
        .expect("the system's definition");
    let system = Source::read("ems", &system).expect("YAML");
    serde_json::from_value(system.value()["envelopes"]["ems"].clone()).expect("an envelope")
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["retBody"].as_str().expect("a text")).expect("JSON in a text")
}

async fn track(partners: &Partners, waybill: &str) -> Vec<(String, String)> {
    let (stub, answer) = ask(partners, "040001", json!({"waybillNo": waybill})).await;
    assert_eq!(stub, "track-pull", "{answer}");
    let items = body(&answer)["responseItems"].as_array().expect("items").clone();
    items
        .iter()
        .map(|item| {
            (item["opCode"].as_str().expect("a code").into(), item["opTime"].as_str().expect("a time").into())
        })
        .collect()
}

#[tokio::test]
async fn an_order_gets_its_number_once_and_its_track_grows_with_the_days() {
    let partners = Partners::serve();
    partners.stop_clock().await;
    let order = json!([{"logisticsOrderNo": "QIAO-1", "receiver": {"address": "示范路8号301室"}}]);
    let (stub, first) = ask(&partners, "020003", order.clone()).await;
    assert_eq!(stub, "order-create", "{first}");
    let waybill = body(&first)["waybillNo"].as_str().expect("a number").to_owned();
    let (stub, again) = ask(&partners, "020003", order).await;
    assert_eq!((stub.as_str(), &body(&again)["waybillNo"]), ("order-again", &json!(waybill)));
    let far = json!([{"logisticsOrderNo": "QIAO-2", "receiver": {"address": "超出揽收范围"}}]);
    assert_eq!(ask(&partners, "020003", far).await.0, "order-out-of-range");
    assert_eq!(track(&partners, &waybill).await, []);
    partners.advance("11h").await;
    let item = |code: &str, time: &str| (code.to_owned(), time.to_owned());
    let begun = [item("203", "2026-03-01 10:00:00"), item("305", "2026-03-01 18:00:00")];
    assert_eq!(track(&partners, &waybill).await, begun);
    partners.advance("6d").await;
    let codes: Vec<String> = track(&partners, &waybill).await.into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["203", "305", "954", "702", "704"]);
    let (stub, unknown) = ask(&partners, "040001", json!({"waybillNo": "0000000000000"})).await;
    assert_eq!((stub.as_str(), &unknown["success"]), ("track-pull-unknown", &json!(false)));
    let (_, closed) = ask(&partners, "010004", json!({})).await;
    assert_eq!(closed["retCode"], "S00001");
    partners.each_stub_was_asked("ems").await;
    let runs = partners.admin("GET", "/api/mocks/plans/ems", Value::Null).await.json();
    assert_eq!(runs["runs"], json!([]), "nobody takes tracks, so none are pushed");
}

#[tokio::test]
async fn the_pushed_track_is_the_pulled_one() {
    let (receiver, url) = Receiver::acknowledging("00000").await;
    let partners = Partners::pushing_to(url);
    partners.stop_clock().await;
    let order = json!([{"logisticsOrderNo": "QIAO-3", "receiver": {"address": "示范路8号301室"}}]);
    let waybill =
        body(&ask(&partners, "020003", order).await.1)["waybillNo"].as_str().expect("a number").to_owned();
    partners.admin("POST", "/api/mocks/plans/ems/five-day-track/start", json!({"key": "QIAO-3"})).await;
    partners.advance("6d").await;
    let envelope = Envelope::compile(&system_envelope(), &partners.vault, Side::Bus).expect("an envelope");
    let pushed: Vec<(String, String)> = receiver
        .bodies()
        .iter()
        .map(|body| {
            let plain = envelope.open(body, &Params::new()).expect("opens");
            let item: Value = serde_json::from_slice(&plain).expect("JSON");
            assert_eq!(item["waybillNo"], json!(waybill));
            (item["opCode"].as_str().expect("a code").into(), item["opTime"].as_str().expect("a time").into())
        })
        .collect();
    assert_eq!(pushed.len(), 5);
    assert_eq!(track(&partners, &waybill).await, pushed);
}
