//! The 12345 hotline: work orders pulled, replied to once, pushed to the desk with a reminder; screen pops.
use super::*;
use crate::pushes::Receiver;

#[tokio::test]
async fn work_orders_are_pulled_and_replied_to_once() {
    let partners = Partners::serve();
    let list = partners.get("/hotline/work-orders?page=1").await;
    let numbers = list.json()["data"].as_array().expect("orders").len();
    assert_eq!((list.stub(), numbers), ("work-orders", 2));
    let number = list.json()["data"][0]["woNo"].as_str().expect("a number").to_owned();
    let open = partners.get(&format!("/hotline/work-orders/{number}")).await;
    assert_eq!((open.stub(), &open.json()["data"]["status"]), ("work-order-detail", &json!("10")));
    let reply = json!({"woNo": number, "result": "已电话告知补卡进度"});
    let first = partners.post("/hotline/work-orders/reply", reply.clone()).await;
    assert_eq!((first.stub(), &first.json()["code"]), ("reply", &json!("0")));
    let again = partners.post("/hotline/work-orders/reply", reply).await;
    assert_eq!((again.stub(), &again.json()["code"]), ("reply-again", &json!("1004")));
    assert_eq!(again.json()["receiptNo"], first.json()["receiptNo"]);
    let archived = partners.get(&format!("/hotline/work-orders/{number}")).await.json();
    assert_eq!(
        (&archived["data"]["status"], &archived["data"]["result"]),
        (&json!("40"), &json!("已电话告知补卡进度"))
    );
    let refused = partners.post("/hotline/work-orders/reply", json!({"woNo": "WO9"})).await;
    assert_eq!((refused.status, &refused.json()["code"]), (404, &json!("1001")), "a reply needs a result");
    let session = partners.post("/hotline/call-sessions", json!({"seat": "1007"})).await.json();
    assert_eq!(
        (session["data"]["token"].as_str().map(str::len), &session["data"]["expiresIn"]),
        (Some(36), &json!(7200))
    );
    partners.each_stub_was_asked("hotline").await;
}

#[tokio::test]
async fn a_work_order_is_pushed_and_urged_unless_it_was_replied_to() {
    let (receiver, url) = Receiver::acknowledging("0").await;
    let partners = Partners::pushing_to(url);
    partners.stop_clock().await;
    for (plan, start) in [
        ("work-order", json!({"key": "WO1"})),
        ("work-order", json!({"key": "WO2"})),
        ("screen-pop", json!({"key": "C77", "request": {"phone": "13800005679"}})),
    ] {
        partners.admin("POST", &format!("/api/mocks/plans/hotline/{plan}/start"), start).await;
    }
    partners.advance("1m").await;
    let replied = partners.post("/hotline/work-orders/reply", json!({"woNo": "WO2", "result": "已办"})).await;
    assert_eq!(replied.stub(), "reply");
    partners.advance("5h").await;
    let heard: Vec<(String, String)> = receiver
        .bodies()
        .iter()
        .map(|body| {
            let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
            (text("event"), if text("woNo").is_empty() { text("caller") } else { text("woNo") })
        })
        .collect();
    let expected =
        [("work-order", "WO1"), ("work-order", "WO2"), ("screen-pop", "13800005679"), ("reminder", "WO1")];
    assert_eq!(heard, expected.map(|(event, of)| (event.to_owned(), of.to_owned())));
    let runs = partners.admin("GET", "/api/mocks/plans/hotline?key=WO2", Value::Null).await.json();
    assert_eq!(runs["runs"][0]["steps"][1]["standing"], "skipped");
}
