//! The pack for a clerk's exam: two clerks take it at once, each in a session of their own, and are scored.
use super::*;

/// A clerk at the counter.
struct Clerk<'p> {
    partners: &'p Partners,
    session: &'static str,
}

impl Clerk<'_> {
    async fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        let headers = [("x-mock-session", self.session)];
        Client::to(self.partners.server.addr())
            .await
            .send(method, path, &headers, body)
            .await
            .expect("an answer")
    }

    async fn card(&self, operation: &str, content: &str) -> String {
        let body = format!(
            "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><{operation}>{content}</{operation}></e:Body></e:Envelope>"
        );
        self.ask("POST", "/card", &body).await.stub().to_owned()
    }

    async fn order(&self, order: Value) -> String {
        let form = ems::form(self.partners, "020003", &order);
        self.ask("POST", "/ems", &form).await.stub().to_owned()
    }

    async fn reply(&self, result: &str) -> u16 {
        let body = json!({"woNo": "EXAM-0001", "result": result}).to_string();
        self.ask("POST", "/hotline/work-orders/reply", &body).await.status
    }

    async fn score(&self) -> Value {
        let asked = json!({"session": self.session, "pack": "card-clerk"});
        self.partners.admin("POST", "/api/mocks/score", asked).await.json()
    }
}

#[tokio::test]
async fn clerks_take_the_exam_side_by_side_and_get_their_points() {
    let partners = Partners::serve();
    for session in ["anna", "bert"] {
        partners
            .admin("POST", "/api/mocks/sessions", json!({"session": session, "pack": "card-clerk"}))
            .await;
    }
    let (anna, bert) =
        (Clerk { partners: &partners, session: "anna" }, Clerk { partners: &partners, session: "bert" });
    let li_na =
        "<idNo>310115200002290021</idNo><name>李娜</name><reason>遗失</reason><phone>13800005679</phone>";
    let order = |no: &str, remarks: &str| json!([{"logisticsOrderNo": no, "remarks": remarks, "receiver": {"name": "李娜", "address": "示范路8号301室"}}]);

    assert_eq!(anna.ask("GET", "/hotline/work-orders/EXAM-0001", "").await.stub(), "exam-order");
    assert_eq!(anna.card("cardQuery", "<idNo>310115200002290021</idNo>").await, "card-query");
    assert_eq!(anna.card("cardLoss", li_na).await, "card-loss");
    assert_eq!(anna.order(order("EXAM-A", "社保卡工行")).await, "order-create");
    assert_eq!(anna.reply("已挂失，新卡邮寄中").await, 503, "the first reply fails");
    assert_eq!(anna.reply("已挂失，新卡邮寄中").await, 200);
    let best = anna.score().await;
    assert_eq!(best["total"]["percent"], 100.0, "{best:#}");

    // The loss that Anna reported is not seen by Bert, who forgets the phone, the note and to say what was done.
    let hasty = li_na.replace("<phone>13800005679</phone>", "");
    assert_eq!(bert.card("cardLoss", &hasty).await, "card-loss");
    assert_eq!(bert.order(order("EXAM-B", "社保卡")).await, "order-create");
    assert_eq!(bert.reply("处理完毕").await, 503);
    let worse = bert.score().await;
    let points: Vec<(&Value, &Value)> = worse["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .map(|message| (&message["points"], &message["of"]))
        .collect();
    let expected = [(0.0, 20.0), (25.0, 30.0), (20.0, 30.0), (10.0, 20.0)]
        .map(|(points, of)| (json!(points), json!(of)));
    assert_eq!(points, expected.iter().map(|(points, of)| (points, of)).collect::<Vec<_>>(), "{worse:#}");

    // What others see of the card, the exam has not touched.
    let (_, common) = partners.soap("/card", &json!({"cardQuery": {"idNo": "310115200002290021"}})).await;
    assert_eq!(common["cardQueryResponse"]["cards"]["status"], "NORMAL", "{common}");
}
