//! The partners that speak SOAP: cards, residence permits, senior cards.
use super::*;
use crate::help::PATIENCE;

#[tokio::test]
async fn the_card_partner_answers_by_operation_and_takes_a_loss_once() {
    let partners = Partners::serve();
    let known = "310101199003074511";
    for (operation, id_no, stub, code) in [
        ("cardQuery", known, "card-query", "0"),
        ("cardQuery", "820000199001011224", "card-query-unknown", "1002"),
        ("cardLoss", known, "card-loss", "0"),
        ("cardLoss", known, "card-loss-again", "1004"),
        ("cardLoss", "820000199001011224", "card-loss-unknown", "1002"),
    ] {
        let (reply, answer) = partners.soap("/card", &json!({(operation): {"idNo": id_no}})).await;
        let told = &answer[format!("{operation}Response")]["code"];
        assert_eq!((reply.stub(), told.as_str()), (stub, Some(code)), "{answer}");
    }
    let (_, answer) = partners.soap("/card", &json!({"cardQuery": {"idNo": known}})).await;
    assert_eq!(answer["cardQueryResponse"]["cards"]["status"], "LOST", "{answer}");
    partners.each_stub_was_asked("card").await;
}

#[tokio::test]
async fn the_permit_partner_opens_seals_and_remembers() {
    let partners = Partners::serve();
    let envelope = partners.envelope("permit", "light");
    let mut numbers = Vec::new();
    for expected in ["0", "1004"] {
        let plain = json!({"bizNo": "RP-1", "person": {"name": "张三"}}).to_string();
        let sealed = envelope.seal(plain.as_bytes(), &Params::new()).expect("sealed");
        let (_, answer) = partners.soap("/permit", &json!({"registrationUpload": sealed})).await;
        let plain = envelope.open(&answer["registrationUploadResponse"], &Params::new()).expect("opens");
        let plain: Value = serde_json::from_slice(&plain).expect("JSON");
        assert_eq!(plain["code"], expected, "{plain}");
        numbers.push(plain["acceptNo"].clone());
    }
    assert!(numbers[0].as_str().is_some_and(|number| number.starts_with("JZ") && number.len() == 14));
    assert_eq!(numbers[0], numbers[1]);
    for (id_no, stub) in
        [("310101199003074511", "permit-query"), ("820000199001011224", "permit-query-unknown")]
    {
        let (reply, _) = partners.soap("/permit/query", &json!({"permitQuery": {"idNo": id_no}})).await;
        assert_eq!(reply.stub(), stub);
    }
    partners.each_stub_was_asked("permit").await;
}

#[tokio::test]
async fn the_senior_card_partner_knows_its_people_and_does_not_answer_for_one() {
    let partners = Partners::serve();
    for (id_no, stub) in
        [("310101195001011236", "senior-card-query"), ("820000199001011224", "senior-card-query-unknown")]
    {
        let (reply, _) = partners.soap("/senior", &json!({"seniorCardQuery": {"idNo": id_no}})).await;
        assert_eq!(reply.stub(), stub);
    }
    let mut silent = Client::to(partners.server.addr()).await;
    let body = "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><seniorCardQuery><idNo>310101199003074511</idNo></seniorCardQuery></e:Body></e:Envelope>";
    silent.write("POST", "/senior", &[], body).await;
    // The entry is there before the silence, so nothing needs to be waited out.
    let asked = std::time::Instant::now();
    loop {
        let journal =
            partners.admin("GET", "/api/mocks/journal?partner=senior&limit=1", Value::Null).await.json();
        if journal["entries"][0]["fault"] == "no-answer (stub)" {
            break;
        }
        assert!(asked.elapsed() < PATIENCE, "{journal}");
    }
    partners.each_stub_was_asked("senior").await;
}
