//! Writes the certificates of `fuzz/fixtures` and the first inputs of the corpus: for whoever adds a target or changes a fixture.
//! `cargo run -p qiao-fuzz --example seeds -- certificates`, then, after building anew, `… -- corpus`.
#![allow(clippy::unwrap_used, reason = "a tool that cannot go on fails")]
use qiao_fuzz::fixtures::{NOW, certified, envelopes, key, params, vault};
use qiao_vault::{
    CipherFormat, DEFAULT_SM2_ID, Envelope, Mask, ProtectedField, PureProvider, Side, SignatureFormat,
    certificate::{Certificate, CertificateUse, PublicKey, Subject, Validity, issue_certificate},
    integrity::sign_files,
    key_text,
    message::{self, MessageForm, MessageKind, Recipient, Signer},
    revocation::{CertIdHash, OcspQuery, RevokedEntry, Status, issue_list, issue_ocsp_answer},
    split_shares,
    timestamp::{StampRequest, TimeStampAuthority, TimeStampQuery},
};
use qiao_wire::{bankfile, cmpp, smgp, sms};
use std::{fs, path::PathBuf, sync::Arc};

const YEARS: Validity = Validity { not_before: NOW - 15_768_000, not_after: 4_000_000_000 };

fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn seed(target: &str, name: &str, bytes: impl AsRef<[u8]>) {
    let folder = home().join("corpus").join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("certificates") => certificates(),
        Some("corpus") => {
            authorities();
            messages();
            keys_and_values();
            wires();
            documents();
        }
        _ => panic!("certificates or corpus?"),
    }
}

fn certificates() {
    let subject = |name: &str| Subject { common_name: name.into(), ..Subject::default() };
    let issue = |name: &str, issuer: Option<&Certificate>, usage| {
        let public = PublicKey::of(&key(name)).unwrap();
        let der = issue_certificate(&key("root"), issuer, &subject(name), &public, usage, YEARS).unwrap();
        fs::write(home().join(format!("fixtures/{name}.der")), &der).unwrap();
        Certificate::read(&der).unwrap()
    };
    let root = issue("root", None, CertificateUse::Authority { path_length: 1 });
    issue("signer", Some(&root), CertificateUse::Sign);
    issue("receiver", Some(&root), CertificateUse::Encrypt);
    issue("tsa", Some(&root), CertificateUse::TimeStamping);
}

fn authorities() {
    let (root, signer) = (certified("root"), certified("signer"));
    for name in ["root", "signer", "receiver", "tsa"] {
        seed("certificate", name, certified(name).der());
    }
    let revoked = [RevokedEntry { serial: signer.serial.clone(), at: NOW - 60, reason: Some(1) }];
    let list = |revoked: &[_]| issue_list(&key("root"), &root, 7, YEARS, revoked).unwrap();
    seed("revocation-list", "empty", list(&[]));
    seed("revocation-list", "one", list(&revoked));
    let query = OcspQuery::new(&PureProvider, &signer, &root, CertIdHash::Sm3, false).unwrap();
    for (name, status) in
        [("good", Status::Good), ("revoked", Status::Revoked { at: NOW - 60, reason: Some(1) })]
    {
        let answer = issue_ocsp_answer(&key("root"), &root, None, query.der(), YEARS, |_| status).unwrap();
        seed("ocsp-answer", name, answer);
    }
    let clock = Arc::new(|| NOW * 1000);
    let authority = TimeStampAuthority::new(key("tsa"), certified("tsa"), "1.2.3", clock).unwrap();
    let request = StampRequest::default();
    let query = TimeStampQuery::new(&PureProvider, b"stamped", &request).unwrap();
    let answer = authority.answer(query.der());
    seed("time-stamp-query", "sm3", query.der());
    seed("time-stamp-answer", "granted", &answer);
    seed("time-stamp-answer", "rejected", authority.answer(b"?"));
    // SEQUENCE with a length of three bytes, the status of five bytes: the token is what follows.
    seed("time-stamp-answer", "token", &answer[9..]);
}

fn messages() {
    let signers = [Signer::new(key("signer"), &certified("signer"))];
    let to = [Recipient::Certificate(certified("receiver"))];
    let kinds = [MessageKind::Signed, MessageKind::Enveloped, MessageKind::SignedAndEnveloped];
    for (choice, kind) in (0_u8..).zip(kinds) {
        let signers = if kind == MessageKind::Enveloped { &[][..] } else { &signers[..] };
        let to = if kind == MessageKind::Signed { &[][..] } else { &to[..] };
        for attributes in [false, true] {
            let form = MessageForm { attributes, ..MessageForm::default() };
            let made = message::seal(&PureProvider, kind, b"content", signers, to, &form, NOW).unwrap();
            for trust in [0, 0x80] {
                let name = format!("{kind:?}-{attributes}-{trust}").to_lowercase();
                seed("message", &name, [&[choice | trust], &made[..]].concat());
            }
        }
    }
    for (number, spec) in (0_u8..).zip(envelopes()) {
        for (choice, from, to) in [(0, Side::Partner, Side::Bus), (1, Side::Bus, Side::Partner)] {
            let sender = Envelope::compile(&spec, vault(), from).unwrap();
            let wire = sender.seal(br#"{"idNo":"310101199003074511"}"#, &params()).unwrap();
            let seeded = [&[number << 1 | choice], wire.to_string().as_bytes()].concat();
            seed("envelope", &format!("{number}-{to:?}").to_lowercase(), seeded);
        }
    }
}

fn keys_and_values() {
    let (signer, receiver) = (key("signer"), key("receiver"));
    seed("key-text", "pem", key_text::write_sm2_public_pem(&signer.public().unwrap()).unwrap());
    seed("key-text", "public-hex", hex::encode(signer.public().unwrap()));
    // GB/T 32918.5 annex A: a published secret key.
    seed("key-text", "secret-hex", "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8");
    for (name, format) in [("raw", SignatureFormat::Raw), ("der", SignatureFormat::Der)] {
        seed("signature", name, signer.sign(b"message", DEFAULT_SM2_ID, format).unwrap());
    }
    for (name, format) in [("raw", CipherFormat::default()), ("der", CipherFormat::Der)] {
        seed("cipher", name, receiver.encrypt(b"message", format).unwrap());
    }
    let reference = |name: &str| format!("vault:{name}").parse().unwrap();
    let mask = Mask { start: 3, end: 4 };
    let field = ProtectedField::new(vault(), "phone", &reference("index"), &reference("data"), mask);
    seed("sealed-value", "phone", field.protect("13800000000").unwrap().sealed);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "signed").unwrap();
    seed("manifest", "one", sign_files(folder.path(), &["file"], &signer).unwrap());
    let (_, shares) = split_shares(&PureProvider, 2, 3).unwrap();
    seed("custodian-share", "two-of-three", format!("{}\n{}", *shares[0], *shares[2]));
}

fn wires() {
    let vectors = include_str!("../../connectors/wire/src/cmpp/pycmpp.txt");
    for (number, line) in vectors.lines().enumerate() {
        let frame = hex::decode(line.split(' ').nth(1).unwrap()).unwrap();
        seed("cmpp", &format!("pycmpp-{number}"), [&[0], &frame[..]].concat());
        seed("frame", &format!("cmpp-{number}"), [&[1, 3, 50, 7], &frame[..], &frame[..]].concat());
    }
    let submit = cmpp::Submit {
        dest_terminal_id: cmpp::Destinations::one(cmpp::TerminalId::new("13800000000").unwrap()),
        ..cmpp::Submit::default()
    };
    let submit = cmpp::Pdu { sequence: 1, command: cmpp::Command::Submit(submit) };
    seed("cmpp", "submit-3.0", [&[1], &submit.encode(cmpp::Version::V30).unwrap()[..]].concat());
    // The bodies the documents print: logins, and empty ones of keep-alives.
    let smgp = "0000002a000000010000000133373030303031 34445e0e6a330187c60e70ce4171eabd9c0211f0e54030";
    let smgp = hex::decode(smgp.replace(' ', "")).unwrap();
    seed("smgp", "login", [&[1], &smgp[..]].concat());
    let numbers = qiao_wire::Numbers(vec![qiao_wire::FixedText::new("18900000000").unwrap()]);
    let tlvs = smgp::Tlvs::default().with_byte(smgp::tag::TP_UDHI, 1).with_byte(smgp::tag::PK_TOTAL, 2);
    let content = qiao_wire::Content(vec![5, 0, 3, 7, 2, 1, 0x4f, 0x60]);
    let submit =
        smgp::Submit { dest_term_id: numbers, msg_content: content, tlvs, ..smgp::Submit::default() };
    let submit = smgp::Pdu { sequence: 3, command: smgp::Command::Submit(submit) };
    seed("smgp", "submit", [&[1], &submit.encode(smgp::Version::V30).unwrap()[..]].concat());
    let sgip = "0000003d00000001b4122d4b42c4f1d90000000101737039303132330000000000000000007061737300000000000000000000\
                00000000000000000000";
    seed("sgip", "bind", hex::decode(sgip.replace(char::is_whitespace, "")).unwrap());
    seed("frame", "bank", [&[0, 1, 9, 4][..], b"00000003abc00000004abcd"].concat());
    seed("frame", "delimited", [&[11, 1, 9, 4][..], b"oneaabtwoaaabaab"].concat());
    seed("frame", "fixed", [&[13, 1, 9, 4][..], b"sevenby7654321"].concat());
    let text = "您的业务已办结，请携带有效身份证件到窗口领取。".repeat(5);
    let mut parts = Vec::new();
    for part in sms::split(&text, sms::Encoding::Ucs2, sms::Reference::Narrow(9), 20).unwrap() {
        parts.extend([1, 1, u8::try_from(part.content.len()).unwrap()]);
        parts.extend(part.content);
    }
    seed("sms-parts", "long", parts);
    for choice in [1, 2, 3, 0x82] {
        seed("sms-text", &format!("text-{choice}"), [&[choice], text.as_bytes()].concat());
    }
    bank_files();
}

fn bank_files() {
    let column = |name: &str, width, align| bankfile::ColumnSpec {
        name: name.into(),
        width: Some(width),
        align,
        cut: false,
    };
    let columns = vec![
        column("idNo", 18, bankfile::Align::Text),
        column("name", 24, bankfile::Align::Text),
        column("amount", 12, bankfile::Align::Number),
    ];
    let date = time::Date::from_calendar_date(2026, time::Month::November, 22).unwrap();
    let header = bankfile::Header {
        batch_no: "B20261122001".into(),
        bank_code: "102".into(),
        date,
        count: 0,
        amount: 0,
    };
    let rows = [vec!["310101199003074511", "张三", "1000"], vec!["310115200002290021", "李四", "250"]];
    for (choice, form) in [(0, bankfile::FileForm::Delimited), (1, bankfile::FileForm::Fixed)] {
        let amount = Some("amount".to_owned());
        let spec = bankfile::FileSpec {
            form,
            columns: columns.clone(),
            amount,
            ..bankfile::FileSpec::delimited([])
        };
        let file = bankfile::write_file(&spec.compile().unwrap(), &header, &rows).unwrap();
        seed("bank-file", &format!("{form:?}").to_lowercase(), [&[choice, 9, 200, 31], &file[..]].concat());
    }
    let name = bankfile::FileName::new("PAY", "SSB", "ICBC", date, 1).unwrap();
    seed("bank-file", "name", name.to_string());
}

fn documents() {
    let soap = r#"<soap:Envelope xmlns:soap="NS"><soap:Header><t:token xmlns:t="urn:t">1</t:token></soap:Header>
<soap:Body><m:queryRecord xmlns:m="urn:m"><idNo kind="id">310101199003074511</idNo><name>张三</name></m:queryRecord></soap:Body></soap:Envelope>"#;
    let fault = r#"<s:Envelope xmlns:s="NS"><s:Body><s:Fault><faultcode>s:Server</faultcode><faultstring>busy</faultstring></s:Fault></s:Body></s:Envelope>"#;
    for (choice, namespace) in
        [(0, "http://schemas.xmlsoap.org/soap/envelope/"), (1, "http://www.w3.org/2003/05/soap-envelope")]
    {
        for (name, text) in [("call", soap), ("fault", fault)] {
            let text = text.replace("NS", namespace);
            seed("soap", &format!("{name}-{choice}"), [&[choice], text.as_bytes()].concat());
        }
    }
    let xml = r#"<?xml version="1.0" encoding="UTF-8"?><answer code="0"><items><item id="1">a &amp; b</item><item><![CDATA[<c>]]></item></items><empty/></answer>"#;
    for choice in [0, 2, 3] {
        seed("xml", &format!("answer-{choice}"), [&[choice], xml.as_bytes()].concat());
    }
    let json = r#"{"code":0,"list":[1,-2.5e3,true,null,"\u4e2d\"文"],"nested":{"a":{"b":[]}},"big":12345678901234567890}"#;
    seed("json", "object", [&[0], json.as_bytes()].concat());
    seed("form", "pairs", b"\0name=%E5%BC%A0%E4%B8%89&list=1&list=2&empty=&a+b=c%26d");
    seed(
        "yaml",
        "codec",
        "codec: soap\nversion: '1.2'\narrays: [a.b, c]\nnamespaces: {t: 'urn:t'}\naction: |\n  long\n",
    );
    seed("yaml", "mistakes", "codec: sopa\nverson: 1.2\nlist:\n  - {a: 1, a: 2}\n  - &x y\n  - *x\n");
    seed("csv", "people", "idNo,name\n310101199003074511,\"张 \"\"三\"\"\"\r\n310101199003074514,李四\n");
    seed(
        "namespaced-xml",
        "schema",
        r#"<d:definitions xmlns:d="http://schemas.xmlsoap.org/wsdl/" targetNamespace="urn:t"><d:types><s:schema xmlns:s="http://www.w3.org/2001/XMLSchema"><s:element name="a" type="s:string"/></s:schema></d:types></d:definitions>"#,
    );
}
