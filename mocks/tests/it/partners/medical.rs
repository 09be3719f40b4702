//! Medical insurance, in its envelope; what the card partner and the bank say of the same card.
use super::*;

const APP_ID: &str = "1FEDCBA9876543210TESTAPP00000001";

/// A request in the medical-insurance envelope: the stub that answered, and the opened answer.
async fn ask(partners: &Partners, envelope: &Envelope, business: Value) -> (String, Value) {
    let parameters = Params::new().with("appId", APP_ID).with("timestamp", "1767225600000");
    let sealed = envelope.seal(business.to_string().as_bytes(), &parameters).expect("seals");
    assert!(!sealed.to_string().contains("310101199003074511"), "nothing of it travels plain");
    let reply = partners.post("/medical", sealed).await;
    let plain = envelope.open(&reply.json(), &parameters);
    let plain = plain.unwrap_or_else(|error| panic!("{error}: {}", reply.text()));
    (reply.stub().to_owned(), serde_json::from_slice(&plain).expect("JSON"))
}

#[tokio::test]
async fn vouchers_accounts_and_cards_are_asked_in_the_envelope() {
    let partners = Partners::serve();
    let envelope = partners.envelope("medical", "medical");
    let known = "310101199003074511";
    for (service, key, id_no, stub, code) in [
        ("ecQuery", "qrCode", known, "voucher-person", "0"),
        ("ecQuery", "qrCode", known, "voucher-used", "1003"),
        ("ecQuery", "qrCode", "no such code", "voucher-unknown", "1002"),
        ("account", "idNo", known, "account", "0"),
        ("account", "idNo", "820000199001011224", "account-none", "1002"),
        ("cardMatch", "idNo", known, "card-match", "0"),
        ("cardMatch", "idNo", "820000199001011224", "card-match-none", "1003"),
        ("unheardOf", "idNo", known, "-", "1001"),
    ] {
        let (answered, plain) = ask(&partners, &envelope, json!({"service": service, (key): id_no})).await;
        assert_eq!((answered.as_str(), plain["code"].as_str()), (stub, Some(code)), "{service}: {plain}");
    }
    partners.each_stub_was_asked("medical").await;
}

#[tokio::test]
async fn a_loss_reported_to_the_card_partner_shows_at_the_bank_and_at_medical_insurance() {
    let partners = Partners::serve();
    let medical = partners.envelope("medical", "medical");
    let bank = partners.envelope("bank", "bank");
    let line = partners.server.listener_addr("bank", "line").expect("a bank");
    let id_no = "310115200002290021";
    let status = async || {
        crate::bank::exchange(line, &bank, "FINSTATUS", &json!({"idNo": id_no})).await.expect("opens")
    };
    let matched = async || ask(&partners, &medical, json!({"service": "cardMatch", "idNo": id_no})).await.0;
    assert_eq!((status().await["finStatus"].clone(), matched().await), (json!("1"), "card-match".to_owned()));
    let (_, lost) = partners.soap("/card", &json!({"cardLoss": {"idNo": id_no}})).await;
    assert_eq!(lost["cardLossResponse"]["code"], "0", "{lost}");
    assert_eq!(
        (status().await["finStatus"].clone(), matched().await),
        (json!("3"), "card-match-none".to_owned())
    );
    let journal = partners.admin("GET", "/api/mocks/journal?partner=card", Value::Null).await.json();
    let entry = format!("/api/mocks/journal/{}", journal["entries"][0]["id"]);
    let entry = partners.admin("GET", &entry, Value::Null).await.json();
    assert_eq!(entry["writes"].as_array().map(Vec::len), Some(2), "the card and its account");
}
