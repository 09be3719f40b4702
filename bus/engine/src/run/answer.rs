//! What the caller gets: the one place where a fault becomes a response.
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use qiao_core::{CallId, Fault, Repeat};
use serde_json::{Map, Value};

/// Tells the caller which parts of the answer are stand-ins: `<step>=<static|last-good|alternative>`, comma-separated.
pub const DEGRADED: HeaderName = HeaderName::from_static("x-degraded");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A fault as an HTTP answer.
pub struct FaultResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The answer to a call that came to a fault. Holds the caller's text only, never the detail.
pub fn fault_response(fault: &Fault, call: CallId) -> FaultResponse {
    FaultResponse {
        status: fault_status(fault),
        headers: fault_headers(fault),
        body: to_bytes(&fault_document(fault, call)),
    }
}

pub(crate) fn fault_status(fault: &Fault) -> StatusCode {
    StatusCode::from_u16(fault.code().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(crate) fn fault_headers(fault: &Fault) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(CONTENT_TYPE, JSON);
    if let Some(after) = fault.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs_f64().ceil().max(1.0) as u64));
    }
    headers
}

pub(crate) fn fault_document(fault: &Fault, call: CallId) -> Value {
    let mut document = refusal_document(&fault.code().to_string(), fault.text(), call, fault.repeat());
    if let (Some(code), Value::Object(members)) = (fault.partner_code(), &mut document) {
        members.insert("partnerCode".into(), Value::from(code));
    }
    document
}

pub(crate) fn refusal_document(code: &str, text: &str, call: CallId, repeat: Repeat) -> Value {
    let repeat = match repeat {
        Repeat::Safe => "safe",
        Repeat::Unsafe => "unsafe",
        Repeat::Unknown => "unknown",
    };
    let mut members = Map::with_capacity(5);
    members.insert("code".into(), Value::from(code));
    members.insert("msg".into(), Value::from(text));
    members.insert("traceId".into(), Value::from(call.to_string()));
    members.insert("repeat".into(), Value::from(repeat));
    Value::Object(members)
}

pub(crate) fn to_bytes(document: &Value) -> Bytes {
    // A `Value` has text keys and finite numbers only: writing it cannot fail.
    serde_json::to_vec(document).map(Bytes::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use qiao_core::fault_codes;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn a_fault_becomes_its_status_and_the_callers_words_without_the_detail() {
        let call = CallId::generate();
        let fault = Fault::new(&fault_codes::PARTNER_REFUSED, "internal detail")
            .with_text("余额不足")
            .with_partner_code("E17")
            .with_retry_after(Duration::from_millis(1200));
        let response = fault_response(&fault, call);
        assert_eq!(response.status, 422);
        assert_eq!(response.headers.get("retry-after").expect("set"), "2");
        let body: Value = serde_json::from_slice(&response.body).expect("JSON");
        let expected = json!({"code": "QIAO-5005", "msg": "余额不足", "traceId": call.to_string(),
            "repeat": "unsafe", "partnerCode": "E17"});
        assert_eq!(body, expected);
    }
}
