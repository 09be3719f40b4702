//! A live partner for recordings: synthetic people, echoes, generated numbers, a course of states, and an item at random.
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Number, name, mobile, bank card, address, of people who do not exist.
pub const PEOPLE: [[&str; 5]; 3] = [
    [
        "310101199003074511",
        "欧阳秀英",
        "13800005678",
        "6228480000000000018",
        "上海市黄浦区人民大道200号3号楼502室",
    ],
    [
        "310115200002290021",
        "张三丰",
        "13900001234",
        "6222021234567890128",
        "上海市浦东新区世纪大道88弄6号1201室",
    ],
    ["932682198501010017", "司马光", "18612345678", "6217001234567890127", "上海市徐汇区漕溪路18号"],
];
pub const TOKEN: &str = "tok-4f9a1c7e55b2d803";
pub const COOKIE: &str = "sess-77ab12cd9e01";

#[derive(Default)]
pub struct Partner {
    count: AtomicU64,
    asked: Mutex<HashMap<String, u64>>,
}

/// Serves it at a free port.
pub async fn serve() -> SocketAddr {
    let router = Router::new()
        .route("/gateway", post(gateway))
        .route("/people/{idNo}", get(person))
        .route("/register", post(register))
        .route("/form", post(form))
        .route("/shapes/{no}", get(shapes))
        .route("/large", get(async || "x".repeat((1 << 20) + 1)))
        .with_state(Arc::<Partner>::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn found(id: &str) -> Option<&'static [&'static str; 5]> {
    PEOPLE.iter().find(|person| person[0] == id)
}

fn china() -> time::OffsetDateTime {
    time::OffsetDateTime::now_utc() + time::Duration::hours(8)
}

/// `yyyy-MM-dd HH:mm:ss`.
pub fn now() -> String {
    let now = china();
    let (date, at) = (now.date(), now.time());
    format!("{date} {:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

async fn gateway(
    State(partner): State<Arc<Partner>>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Response {
    if headers.get("authorization").is_none_or(|value| value != &format!("Bearer {TOKEN}")) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"code": "401"}))).into_response();
    }
    let text = |pointer: &str| asked.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (id, biz) = (text("/body/idNo"), text("/header/bizNo"));
    let count = partner.count.fetch_add(1, Ordering::Relaxed);
    let answer = match text("/header/itemCode").as_str() {
        "CARD-QUERY" => match found(&id) {
            None => json!({"code": "1002", "msg": "查无此人", "bizNo": biz}),
            Some([id, name, mobile, card, address]) => json!({
                "code": "0000",
                "msg": format!("{name}的卡可用"),
                "bizNo": biz,
                "answeredAt": now(),
                "sign": format!("{:032x}", count * 7919 + 1),
                "data": {
                    "idNo": id, "name": name, "mobile": mobile, "bankCardNo": card, "address": address,
                    "birth": &id[6..14], "cards": if id.starts_with("310101") { json!([{"no": "A1"}, {"no": "A2"}]) } else { json!([]) },
                    "points": 10 + i64::try_from(id.len() + name.len() + address.len()).expect("small"),
                },
            }),
        },
        "APPLY" => {
            let day = china().date().to_string().replace('-', "");
            json!({
                "code": "0000", "msg": "受理成功", "bizNo": biz, "name": text("/body/name"),
                "acceptNo": format!("MZ{day}{count:06}"), "serial": uuid::Uuid::new_v4().to_string(),
                "note": format!("业务{biz}已受理"),
            })
        }
        "PROGRESS" => {
            let mut asked = partner.asked.lock();
            let times = asked.entry(id).or_default();
            *times += 1;
            json!({"code": "0000", "status": if *times == 1 { "受理中" } else { "已办结" }})
        }
        // Squares modulo a prime: neither growing nor repeating for long.
        "LOTTERY" => json!({"code": "0000", "number": count * count * 7919 % 10007}),
        _ => json!({"code": "E404", "msg": "事项未配置"}),
    };
    let trace = uuid::Uuid::new_v4().to_string();
    let cookie = format!("SESSION={COOKIE}; Path=/; HttpOnly");
    ([("x-trace-id", trace), ("set-cookie", cookie)], Json(answer)).into_response()
}

async fn person(Path(id): Path<String>) -> Response {
    match found(&id) {
        Some([id, name, ..]) => Json(json!({"idNo": id, "name": name})).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({"error": "nobody"}))).into_response(),
    }
}

/// A document of another form for each number.
async fn shapes(Path(no): Path<String>) -> Response {
    Json(json!({"found": {format!("of-{no}"): no}})).into_response()
}

/// XML in a namespace, in and out.
async fn register(body: String) -> Response {
    let between = |tag: &str| {
        let rest = body.split_once(&format!("<{tag}>")).map(|(_, rest)| rest).unwrap_or_default();
        rest.split('<').next().unwrap_or_default().to_owned()
    };
    let (no, id) = (between("no"), between("idNo"));
    let name = found(&id).map_or("", |person| person[1]);
    let text = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><answer xmlns="urn:reg"><no>{no}</no><holder><xm>{name}</xm></holder></answer>"#
    );
    ([("content-type", "application/xml; charset=utf-8")], text).into_response()
}

/// A form in, JSON with JSON text inside out.
async fn form(body: String) -> Response {
    let field = |name: &str| {
        let pair = body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        pair.unwrap_or_default().to_owned()
    };
    let inner = json!({"waybillNo": field("waybillNo"), "receiverName": PEOPLE[1][1]}).to_string();
    Json(json!({"retCode": "00000", "retBody": inner, "success": true})).into_response()
}
