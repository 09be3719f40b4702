//! The SMS platform: taken once, refused, reported by push, asked afterwards.
use super::*;
use crate::pushes::Receiver;

#[tokio::test]
async fn messages_are_taken_once_reported_and_asked_for() {
    let (receiver, url) = Receiver::acknowledging("0").await;
    let partners = Partners::pushing_to(url);
    partners.stop_clock().await;
    let send = async |number: &str, mobile: &str| {
        let message =
            json!({"appId": "A1", "templateCode": "T1", "mobile": [mobile], "params": {}, "bizNo": number});
        partners.post("/sms/send", message).await
    };
    let first = send("B1", "13800005678").await;
    assert_eq!((first.stub(), &first.json()["code"]), ("send", &json!("0")));
    let again = send("B1", "13800005678").await;
    assert_eq!((again.stub(), &again.json()["msgId"]), ("send-again", &first.json()["msgId"]));
    assert_eq!(send("B2", "13800000000").await.stub(), "send-refused");
    assert_eq!(send("B3", "13800000001").await.stub(), "send-undelivered");
    let foreign = send("B4", "85212345678").await;
    assert_eq!((foreign.status, foreign.stub()), (400, "-"), "no number of the mainland");
    let query = async |number: &str| partners.get(&format!("/sms/messages/{number}")).await;
    assert_eq!(query("B1").await.json()["data"]["status"], "ACCEPTD");
    assert_eq!(query("B9").await.stub(), "query-unknown");
    partners.advance("10s").await;
    let reports = receiver.bodies();
    let told: Vec<(&str, &str)> = reports
        .iter()
        .map(|report| {
            (report["bizNo"].as_str().unwrap_or_default(), report["status"].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(told, [("B1", "DELIVRD"), ("B3", "UNDELIV")]);
    assert_eq!(reports[0]["msgId"], first.json()["msgId"]);
    assert_eq!(query("B1").await.json()["data"]["status"], "DELIVRD");
    assert_eq!(query("B3").await.json()["data"]["status"], "UNDELIV");
    partners.each_stub_was_asked("sms").await;
}
