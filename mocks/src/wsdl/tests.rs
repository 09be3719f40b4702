//! Descriptions read, requests checked, answers written; what it means for real clients is tested over sockets.
use proptest::prelude::*;

use super::*;

fn fixture(partner: &str) -> impl Fn(&str) -> Result<Vec<u8>, String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(partner);
    move |file| std::fs::read(folder.join(file)).map_err(|error| error.to_string())
}

fn marriage() -> Contract {
    Contract::load("wsdl/marriage.wsdl", true, &fixture("marriage")).expect("a description")
}

fn request(body: &str) -> String {
    format!(
        "<e:Envelope xmlns:e='{ENVELOPE_11}' xmlns:m='urn:city:marriage' xmlns:t='urn:city:marriage:types'><e:Body>{body}</e:Body></e:Envelope>"
    )
}

const GOOD: &str = "<m:queryRecord><m:person kind='valid'><t:idNo>310101199003074514</t:idNo><t:name>张三</t:name><t:phone>1</t:phone></m:person><m:office>310101</m:office></m:queryRecord>";

/// Why a request is refused.
fn refused(body: &str) -> String {
    let received = marriage().read(request(body).as_bytes(), &HeaderMap::new());
    received.call.refusal.map(|refusal| refusal.text).unwrap_or_default()
}

#[test]
fn a_request_its_schema_allows_is_read_with_lists_as_lists() {
    let received = marriage().read(request(GOOD).as_bytes(), &HeaderMap::new());
    assert!(received.call.refusal.is_none(), "{:?}", received.call.refusal);
    assert_eq!(received.call.operation, Some(0));
    assert_eq!(received.document["queryRecord"]["office"], serde_json::json!(["310101"]));
}

#[test]
fn a_request_its_schema_does_not_allow_is_refused_with_the_path() {
    let with = |from: &str, to: &str| refused(&GOOD.replace(from, to));
    assert!(
        with("<t:idNo>310101199003074514</t:idNo>", "")
            .starts_with("queryRecord/person/idNo: is missing, before {urn:city:marriage:types}name")
    );
    assert!(
        with("310101199003074514", "31010119")
            .starts_with("queryRecord/person/idNo: does not fit the pattern")
    );
    assert_eq!(
        with("<t:phone>1</t:phone>", "<t:phone>1</t:phone><t:mail>a</t:mail>"),
        "queryRecord/person/mail: the schema has no such element here"
    );
    assert_eq!(with("<m:office>310101</m:office>", ""), "queryRecord/office: is missing");
    let twice = "<m:office>310101</m:office><m:office>x</m:office>";
    assert_eq!(with("<m:office>310101</m:office>", twice), "queryRecord/office[2]: is no xs:int");
    assert_eq!(with("310101</m:office>", "1</m:office>"), "queryRecord/office: is below 310000");
    assert_eq!(with(" kind='valid'", ""), "queryRecord/person/@kind: is missing");
    assert_eq!(with(" kind='valid'", " kind='other'"), "queryRecord/person/@kind: is none of valid, void");
    assert_eq!(
        with(" kind='valid'", " kind='valid' x='1'"),
        "queryRecord/person/@x: the schema has no such attribute"
    );
    assert_eq!(
        with("<t:name>张三</t:name>", "<name>张三</name>"),
        "queryRecord/person/name: is missing, before name"
    );
    assert!(with("m:person", "person").starts_with("queryRecord/person: is missing, before person"));
    assert!(
        with("<t:name>张三</t:name>", "<t:name>很长的名字</t:name>").contains("has more than 4 characters")
    );
}

#[test]
fn operations_are_found_by_element_then_by_action() {
    let contract = Contract::load("wsdl/marriage.wsdl", false, &fixture("marriage")).expect("a description");
    let mut headers = HeaderMap::new();
    headers.insert("soapaction", "\"urn:check\"".parse().expect("a value"));
    let read = |body: &str, headers: &HeaderMap| contract.read(request(body).as_bytes(), headers).call;
    assert_eq!(read("<m:CertificateNo>x</m:CertificateNo>", &HeaderMap::new()).operation, Some(1));
    assert_eq!(read("<m:queryRecord/>", &headers).operation, Some(0), "the element goes before the action");
    assert_eq!(read("<m:other/>", &headers).operation, Some(1));
    let unknown = read("<m:other/>", &HeaderMap::new());
    let text = unknown.refusal.expect("a refusal").text;
    assert!(
        text.contains("{urn:city:marriage}other") && text.contains("queryRecord, checkCertificate, notify"),
        "{text}"
    );
}

#[test]
fn every_skeleton_is_what_its_schema_allows() {
    for (partner, file) in [("marriage", "wsdl/marriage.wsdl"), ("counter", "wsdl/counter.wsdl")] {
        let contract = Contract::load(file, true, &fixture(partner)).expect("a description");
        for (number, operation) in contract.operations.iter().enumerate() {
            let Some(skeleton) = contract.skeleton(number) else {
                assert_eq!(operation.name, "notify");
                continue;
            };
            let bytes = contract.write(&operation.name, SoapVersion::V12, &skeleton).expect("written");
            let found = body_child(&bytes).expect("well-formed").expect("a child");
            let output =
                operation.output.as_ref().and_then(|output| output.element.as_deref()).expect("an output");
            assert_eq!(found.name, output.name);
            assert_eq!(validate::element(&contract.schemas, output, &found), Ok(()), "{skeleton:#}");
        }
    }
    let record = &marriage().skeleton(0).expect("a skeleton")["queryRecordResponse"]["record"][0];
    assert_eq!(record["spouse"].as_array().map(Vec::len), Some(2), "minOccurs is honoured");
    assert!(record.get("earlier").is_none(), "recursion ends where it may");
    assert_eq!((&record["state"], &record["fee"]["@currency"]), (&"valid".into(), &"CNY".into()));
}

#[test]
fn answers_have_the_namespaces_and_the_order_of_their_schema() {
    let answer = serde_json::json!({"total": 1, "record": {"fee": "9", "no": "J1", "spouse": {"since": null, "name": "<&"}}, "code": "0"});
    let bytes = marriage().write("queryRecord", SoapVersion::V11, &answer).expect("written");
    let text = String::from_utf8(bytes).expect("UTF-8");
    let inside = text.split("Body>").nth(1).expect("a body").trim_end_matches("</soapenv:");
    assert_eq!(
        inside,
        "<n0:queryRecordResponse><n0:code>0</n0:code><n0:total>1</n0:total><n0:record><no>J1</no><n1:fee>9</n1:fee>\
         <n1:spouse><n1:name>&lt;&amp;</n1:name><n1:since n2:nil=\"true\"/></n1:spouse></n0:record></n0:queryRecordResponse>"
    );
    assert!(text.contains("xmlns:n1=\"urn:city:marriage:types\""), "{text}");
}

#[test]
fn the_description_is_served_with_the_callers_address() {
    let contract = marriage();
    let url = "http://127.0.0.1:9/ws";
    let wsdl = contract.published("wsdl", url).expect("the description");
    assert!(
        !wsdl.contains("real.example") && wsdl.matches("location=\"http://127.0.0.1:9/ws\"").count() == 2,
        "{wsdl}"
    );
    assert!(wsdl.contains("schemaLocation=\"http://127.0.0.1:9/ws?xsd=xsd/types.xsd\""), "{wsdl}");
    assert!(
        contract.published("xsd=xsd/types.xsd", url).is_some_and(|text| text.contains("?xsd=xsd/simple.xsd"))
    );
    assert!(
        contract.published("xsd=../partner.yaml", url).is_none() && contract.published("x", url).is_none()
    );
}

#[test]
fn descriptions_that_cannot_be_served_say_why() {
    let text = String::from_utf8(fixture("counter")("wsdl/counter.wsdl").expect("a file")).expect("UTF-8");
    let refused = |from: &str, to: &str| {
        let text = text.replace(from, to);
        assert!(text.contains(to));
        let read = |_: &str| Ok(text.clone().into_bytes());
        Contract::load("x.wsdl", false, &read).expect_err("refused")
    };
    assert!(
        refused("use=\"literal\"", "use=\"encoded\"")
            .contains("operation take: input: use=\"encoded\" is not supported")
    );
    assert!(refused("tns:Ticket", "tns:Tikcet").contains("no schema has the type {urn:counter}Tikcet"));
    assert!(refused("<definitions", "<!DOCTYPE x><definitions").contains("document type"));
    assert!(
        refused("<types>", "<import location=\"http://a/b.wsdl\"/><types>").contains("put the file beside")
    );
    assert!(
        refused("<types>", "<import location=\"../../b.wsdl\"/><types>")
            .contains("outside the partner's folder")
    );
    assert!(refused("soap/http\"", "soap/smtp\"").contains("no binding of SOAP over HTTP"));
}

#[test]
fn types_that_hold_themselves_end() {
    let wsdl = String::from_utf8(fixture("counter")("wsdl/counter.wsdl").expect("a file")).expect("UTF-8");
    let endless = "<xsd:complexType name=\"Ticket\"><xsd:sequence><xsd:element name=\"a\" type=\"tns:Ticket\"/><xsd:element name=\"b\" type=\"tns:Ticket\" maxOccurs=\"9\"/></xsd:sequence></xsd:complexType>";
    let from = wsdl.find("<xsd:complexType").expect("a type");
    let to = wsdl.find("</xsd:schema>").expect("its end");
    let wsdl = format!("{}{endless}{}", &wsdl[..from], &wsdl[to..]);
    let contract =
        Contract::load("x.wsdl", true, &|_: &str| Ok(wsdl.clone().into_bytes())).expect("a description");
    let skeleton = contract.skeleton(0).expect("a skeleton");
    assert!(skeleton.to_string().len() < 100_000);
    contract.write("take", SoapVersion::V11, &skeleton).expect("written");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// A description with pieces cut out or doubled is read or refused, never worse.
    #[test]
    fn damaged_descriptions_never_panic(start in 0_usize..5000, length in 0_usize..400, doubled: bool) {
        let read = fixture("marriage");
        let damaged = |file: &str| {
            let bytes = read(file)?;
            let start = start.min(bytes.len());
            let end = (start + length).min(bytes.len());
            let middle = if doubled { bytes[start..end].repeat(2) } else { Vec::new() };
            Ok([&bytes[..start], &middle, &bytes[end..]].concat())
        };
        if let Ok(contract) = Contract::load("wsdl/marriage.wsdl", true, &damaged) {
            for number in 0..contract.operations.len() {
                drop(contract.skeleton(number));
            }
            drop(contract.read(request(GOOD).as_bytes(), &HeaderMap::new()));
        }
    }

    #[test]
    fn damaged_requests_never_panic(start in 0_usize..400, length in 0_usize..60, insert in "[<>/m:a'=&; ]{0,10}") {
        static CONTRACT: std::sync::LazyLock<Contract> = std::sync::LazyLock::new(marriage);
        let bytes = request(GOOD).into_bytes();
        let start = start.min(bytes.len());
        let end = (start + length).min(bytes.len());
        let damaged = [&bytes[..start], insert.as_bytes(), &bytes[end..]].concat();
        let received = CONTRACT.read(&damaged, &HeaderMap::new());
        prop_assert!(received.call.operation.is_some() || received.call.refusal.is_some());
    }
}
