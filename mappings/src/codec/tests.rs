//! Tests of codecs as definitions configure them: settings, SOAP, text and bytes.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn codec(spec: Value) -> Codec {
    let spec: CodecSpec = serde_json::from_value(spec).expect("a codec");
    Codec::compile(&spec).expect("compiles")
}

fn mistakes(spec: Value) -> Vec<String> {
    let spec: CodecSpec = serde_json::from_value(spec).expect("a codec");
    Codec::compile(&spec).expect_err("refused").into_iter().map(|mistake| mistake.path).collect()
}

const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";

fn envelope(namespace: &str, body: &str) -> Vec<u8> {
    format!("<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"{namespace}\"><s:Body>{body}</s:Body></s:Envelope>")
        .into_bytes()
}

#[test]
fn writes_a_soap_11_request_and_reads_its_answer() {
    let codec = codec(json!({
        "codec": "soap", "version": "1.1", "namespace": "urn:card", "prefix": "m", "element": "getAC01",
        "action": "urn:card#getAC01", "arrays": ["getAC01Response.cards.card"]
    }));
    let bytes =
        codec.encode(&json!({"AAC002": "310101199003074511", "AAC003": "张三 & <李>"})).expect("encodes");
    assert_eq!(
        String::from_utf8_lossy(&bytes),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\">\
         <soapenv:Body><m:getAC01 xmlns:m=\"urn:card\"><AAC002>310101199003074511</AAC002>\
         <AAC003>张三 &amp; &lt;李&gt;</AAC003></m:getAC01></soapenv:Body></soapenv:Envelope>"
    );
    assert_eq!(codec.content_type(), "text/xml; charset=UTF-8");
    assert_eq!(codec.soap_action().as_deref(), Some("\"urn:card#getAC01\""));
    let answer = envelope(
        SOAP_11,
        "<ns1:getAC01Response xmlns:ns1=\"urn:card\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><ret xsi:type=\"xsd:string\">00</ret>\
         <cards><card><no>1</no></card></cards><none xsi:nil=\"true\"/></ns1:getAC01Response>",
    );
    let decoded = codec.decode(&answer).expect("decodes");
    assert_eq!(
        decoded.document,
        json!({"getAC01Response": {"ret": "00", "cards": {"card": [{"no": "1"}]}, "none": null}})
    );
    assert_eq!((decoded.soap_fault, decoded.soap_header), (None, None));
}

#[test]
fn unwraps_the_content_and_reads_header_blocks() {
    let codec = codec(json!({"codec": "soap", "version": "1.2", "unwrap": true, "action": "urn:a"}));
    assert_eq!(codec.content_type(), "application/soap+xml; charset=UTF-8; action=\"urn:a\"");
    assert_eq!(codec.soap_action(), None);
    let text = format!(
        "<e:Envelope xmlns:e=\"{SOAP_12}\"><e:Header><token e:mustUnderstand=\"1\">t</token></e:Header>\
         <e:Body><submit xmlns=\"urn:x\"><a>1</a></submit></e:Body></e:Envelope>"
    );
    let decoded = codec.decode(text.as_bytes()).expect("decodes");
    assert_eq!(decoded.document, json!({"a": "1"}));
    assert_eq!(decoded.soap_header, Some(json!({"token": "t"})));
    let empty = codec.decode(&envelope(SOAP_12, "")).expect("an empty body");
    assert_eq!(empty.document, json!({}));
}

#[test]
fn tells_a_fault_of_either_version_from_an_answer() {
    let fault = SoapFault {
        code: "Server".into(),
        string: "系统忙 <1>".into(),
        detail: Some(json!({"code": "5001", "list": ["a", "b"]})),
    };
    for (version, code) in [("1.1", "Server"), ("1.2", "Receiver")] {
        let codec = codec(json!({"codec": "soap", "version": version, "unwrap": true}));
        let bytes = codec.encode_fault(&fault).expect("encodes");
        let decoded = codec.decode(&bytes).expect("decodes");
        assert_eq!(decoded.soap_fault, Some(SoapFault { code: code.into(), ..fault.clone() }));
        assert!(decoded.document.get("Fault").is_some());
    }
    let foreign = envelope(SOAP_11, "<Fault xmlns=\"urn:other\"><faultcode>x</faultcode></Fault>");
    assert_eq!(codec(json!({"codec": "soap"})).decode(&foreign).expect("an answer").soap_fault, None);
}

#[test]
fn refuses_what_is_no_envelope_of_its_version() {
    let codec = codec(json!({"codec": "soap"}));
    let kind = |bytes: &[u8]| codec.decode(bytes).expect_err("refused").kind;
    assert_eq!(kind(b"<html><body/></html>"), CodecErrorKind::Unexpected);
    assert_eq!(kind(&envelope(SOAP_12, "<a/>")), CodecErrorKind::Unexpected);
    assert_eq!(kind(&envelope("urn:x", "<a/>")), CodecErrorKind::Unexpected);
    assert_eq!(kind(format!("<Envelope xmlns=\"{SOAP_11}\"/>").as_bytes()), CodecErrorKind::Unexpected);
    let twice = format!("<Envelope xmlns=\"{SOAP_11}\"><Body/><Body/></Envelope>");
    assert_eq!(kind(twice.as_bytes()), CodecErrorKind::Unexpected);
    let other = format!("<Envelope xmlns=\"{SOAP_11}\"><Body/><Tail/></Envelope>");
    assert_eq!(kind(other.as_bytes()), CodecErrorKind::Unexpected);
    assert_eq!(kind(b"502 Bad Gateway"), CodecErrorKind::Malformed);
}

#[test]
fn writes_header_blocks_and_declared_prefixes() {
    let codec = codec(json!({
        "codec": "soap", "namespace": "urn:x", "prefix": "m", "qualified": true, "namespaces": {"h": "urn:h"},
        "noDeclaration": true
    }));
    let bytes =
        codec.encode_with_header(&json!({"op": {"a": 1}}), &json!({"h:token": {"@h:id": "7", "#text": "t"}}));
    assert_eq!(
        String::from_utf8_lossy(&bytes.expect("encodes")),
        "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:h=\"urn:h\"><soapenv:Header>\
         <h:token h:id=\"7\">t</h:token></soapenv:Header><soapenv:Body><m:op xmlns:m=\"urn:x\"><m:a>1</m:a></m:op>\
         </soapenv:Body></soapenv:Envelope>"
    );
    assert!(codec.encode(&json!({"op": {"z:a": 1}})).is_err());
}

#[test]
fn refuses_settings_its_format_does_not_have() {
    assert_eq!(mistakes(json!({"codec": "raw", "arrays": ["a.b"], "charset": "gbk"})), ["charset", "arrays"]);
    assert_eq!(mistakes(json!({"codec": "xml", "version": "1.2", "action": "x"})), ["version", "action"]);
    assert_eq!(mistakes(json!({"codec": "xml", "prefix": "m", "qualified": true})), ["prefix"]);
    assert_eq!(mistakes(json!({"codec": "xml", "namespace": "urn:x", "qualified": true})), ["qualified"]);
    assert_eq!(
        mistakes(
            json!({"codec": "xml", "element": "a b", "arrays": ["a", "a..b"], "namespaces": {"xml": "urn:x"}})
        ),
        ["arrays[0]", "arrays[1]", "element", "namespaces.xml"]
    );
    assert_eq!(mistakes(json!({"codec": "soap", "namespace": "urn:x", "prefix": "soapenv"})), ["prefix"]);
    assert_eq!(mistakes(json!({"codec": "json", "contentType": "a\r\nb"})), ["contentType"]);
    assert!(serde_json::from_value::<CodecSpec>(json!({"codec": "xml", "namspace": "x"})).is_err());
}

#[test]
fn fails_loudly_on_a_character_the_charset_lacks() {
    let codec = codec(json!({"codec": "xml", "charset": "gbk", "element": "name"}));
    let error = codec.encode(&json!("𬱖三")).expect_err("not in GBK");
    assert_eq!(error.kind, CodecErrorKind::NotEncodable);
    assert!(error.to_string().contains("U+2CC56"), "{error}");
    let bytes = codec.encode(&json!("张䶮")).expect("in GBK");
    assert!(bytes.windows(4).any(|w| w == [0xD5, 0xC5, 0xFE, 0x9F]));
    assert_eq!(codec.decode(&bytes).expect("decodes").document, json!({"name": "张䶮"}));
}

#[test]
fn carries_json_in_the_charset_of_an_old_partner() {
    let codec = codec(json!({"codec": "json", "charset": "gbk"}));
    assert_eq!(codec.content_type(), "application/json; charset=GBK");
    let bytes = codec.encode(&json!({"n": "张"})).expect("in GBK");
    assert_eq!(bytes, b"{\"n\":\"\xD5\xC5\"}");
    assert_eq!(codec.decode(&bytes).expect("decodes").document, json!({"n": "张"}));
    assert!(codec.encode(&json!({"n": "𬱖"})).is_err());
}

#[test]
fn carries_text_and_raw_bytes() {
    let text = codec(json!({"codec": "text", "charset": "gb18030"}));
    assert_eq!(text.encode(&json!("张三")), Ok(vec![0xD5, 0xC5, 0xC8, 0xFD]));
    assert_eq!(text.decode(&[0xD5, 0xC5]).expect("decodes").document, json!("张"));
    assert!(text.encode(&json!([])).is_err());
    let raw = codec(json!({"codec": "raw"}));
    assert_eq!(raw.decode(&[0, 255]).expect("any bytes").document, json!("AP8="));
    assert_eq!(raw.encode(&json!("AP8=")), Ok(vec![0, 255]));
    assert!(raw.encode(&json!("%")).is_err());
}

#[test]
fn its_schema_describes_every_key() {
    let schema = serde_json::to_value(schemars::schema_for!(CodecSpec)).expect("a schema");
    assert_eq!(schema["additionalProperties"], json!(false));
    let properties = schema["properties"].as_object().expect("properties");
    assert!(properties.contains_key("noDeclaration") && properties.contains_key("contentType"));
    assert!(properties.values().all(|property| property["description"].is_string()));
}

proptest! {
    #[test]
    fn no_bytes_make_a_codec_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        for kind in ["json", "form", "xml", "soap", "text", "raw"] {
            drop(codec(json!({"codec": kind})).decode(&bytes));
        }
    }

    #[test]
    fn a_soap_answer_survives_the_round_trip(text in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]{1,20}", attribute in "[ -~]{0,10}") {
        let codec = codec(json!({"codec": "soap", "namespace": "urn:x", "prefix": "m"}));
        let document = json!({"answer": {"@id": attribute, "text": text, "list": ["a", {"x": "1"}], "empty": ""}});
        let bytes = codec.encode(&document).expect("encodes");
        prop_assert_eq!(codec.decode(&bytes).expect("decodes").document, document);
    }
}
