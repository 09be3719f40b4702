//! Byte vectors of SMGP, widths of both versions, status reports with binary ids, and arbitrary bytes.

use super::*;
use crate::DeliveryState;
use crate::layout::{Authenticator, Content, FixedText, Numbers};
use proptest::collection::vec;
use proptest::prelude::*;

/// Body lengths of the document, 1.3 and 3.0; for Submit of one number and Deliver, without content and TLVs.
const LENGTHS: &[(u32, usize, usize)] = &[
    (0x0000_0001, 30, 30),
    (0x8000_0001, 21, 21),
    (0x0000_0002, 129, 135),
    (0x8000_0002, 14, 14),
    (0x0000_0003, 77, 77),
    (0x8000_0003, 14, 14),
    (0x0000_0004, 0, 0),
    (0x8000_0004, 0, 0),
    (0x0000_0006, 0, 0),
    (0x8000_0006, 0, 0),
];

fn text<const N: usize>(value: &str) -> FixedText<N> {
    FixedText::new(value).expect("fits")
}

#[test]
fn writes_the_reference_login() {
    let client_id = text("37000014");
    let authenticator_client = auth::client(&client_id, b"test1234", 301_000_000);
    let login = Login {
        client_id,
        authenticator_client,
        login_mode: 2,
        timestamp: 301_000_000,
        client_version: 0x30,
    };
    let sent = Pdu { sequence: 1, command: Command::Login(login) };
    let frame = sent.encode(Version::V30).expect("encodes");
    let bytes = "0000002a0000000100000001 3337303030303134 445e0e6a330187c60e70ce4171eabd9c 02 11f0e540 30";
    assert_eq!(hex::encode(&frame), bytes.replace(' ', ""));
    assert_eq!(Pdu::decode(&frame, Version::V30), Ok(sent));
}

#[test]
fn has_the_body_lengths_of_the_document() {
    for (id, v13, v30) in LENGTHS {
        for (version, length) in [(Version::V13, *v13), (Version::V30, *v30)] {
            let mut body = vec![0; length];
            if *id == 2 {
                body[length - 31] = 1;
            }
            let read = Command::read(*id, &body, version).expect("as long as the document says");
            if length > 0 {
                assert!(Command::read(*id, &body[..length - 1], version).is_err(), "{}", read.command_name());
            }
            body.push(0);
            assert!(Command::read(*id, &body, version).is_err(), "{}: trailing", read.command_name());
        }
    }
}

#[test]
fn carries_the_parts_of_a_long_message_in_tlvs() {
    let tlvs =
        Tlvs::default().with_byte(tag::TP_UDHI, 1).with_byte(tag::PK_TOTAL, 2).with_byte(tag::PK_NUMBER, 1);
    let submit = Submit {
        msg_type: 6,
        need_report: 1,
        dest_term_id: Numbers(vec![text("18900000000"), text("18900000001")]),
        msg_content: Content(vec![5, 0, 3, 7, 2, 1, 0x4F, 0x60]),
        tlvs: tlvs.clone(),
        ..Submit::default()
    };
    let sent = Pdu { sequence: 3, command: Command::Submit(submit) };
    let frame = sent.encode(Version::V30).expect("encodes");
    assert_eq!(frame.len(), 12 + 135 + 21 + 8 + 15);
    assert!(hex::encode(&frame).ends_with("00020001010009000102000a000101"));
    assert_eq!(Pdu::decode(&frame, Version::V30), Ok(sent));
    assert_eq!((tlvs.byte(tag::PK_TOTAL), tlvs.byte(tag::TP_PID)), (Some(2), None));
}

#[test]
fn refuses_a_fixed_fee_in_version_1_3_and_a_tlv_that_is_cut() {
    let number = Numbers(vec![text("18900000000")]);
    let fixed_fee = Since30Text(text("100"));
    let submit = Submit { fixed_fee, dest_term_id: number, ..Submit::default() };
    let sent = Pdu { sequence: 3, command: Command::Submit(submit) };
    assert!(sent.encode(Version::V13).expect_err("no room").to_string().starts_with("FixedFee"));
    let mut frame = sent.encode(Version::V30).expect("encodes");
    frame.extend_from_slice(&[0, 2, 0, 9, 1]);
    Head::close(&mut frame, MAX_MESSAGE).expect("short");
    let error = Pdu::decode(&frame, Version::V30).expect_err("nine bytes are announced, one is there");
    assert_eq!(error, WireError::Short { field: "TLV", need: 9, left: 1 });
}

/// A report whose id holds a NUL, a space and the text ` stat:`'s first letters.
fn report() -> StatusReport {
    StatusReport {
        id: MsgId([0, 0x20, 0x73, 0x74, 0x61, 0, 0x0A, 0xFF, 0x3A, 0]),
        sub: text("001"),
        dlvrd: text("001"),
        submit_date: text("2611220830"),
        done_date: text("2611220831"),
        stat: text("DELIVRD"),
        err: text("000"),
        text: text("012card ready"),
    }
}

#[test]
fn reads_a_report_whose_id_is_binary() {
    let content = report().encode();
    assert_eq!(content.len(), 122);
    assert!(content.starts_with(b"id:\0 sta\0\n\xFF:\0 sub:001 dlvrd:001 submit date:2611220830 done date:"));
    assert_eq!(StatusReport::decode(&content), Ok(report()));
    assert_eq!(report().state(), DeliveryState::Delivered);
}

#[test]
fn reads_reports_as_other_gateways_write_them() {
    // report_test.go of yedamao/go_smgp: labels in other cases, with _ and s for spaces
    let plain: &[u8] = b"id:\x10\x10\x05\x05\x30\x15W\x92c9 sub:001 dlvrd:001 submit date:1805301557 \
        done date:1805301557 stat:DELIVRD err:000 Text:fillfillfillfillfill";
    let odd: &[u8] = b"id:\x05p\x13\x05\x30\x15PVu\x01sSub:001sDlvrd:000sSubmit_Date:1805301550s\
        Done_Date:1805301550sStat:DELIVRDsErr:000sText:fillfillfillfillfill";
    for content in [plain, odd] {
        let read = StatusReport::decode(content).expect("a report");
        assert_eq!((read.stat.value(), read.err.value()), (&b"DELIVRD"[..], &b"000"[..]));
        assert_eq!(read.text.value(), b"fillfillfillfillfill");
        assert_eq!(StatusReport::decode(&read.encode()), Ok(read));
    }
}

#[test]
fn reads_a_report_whose_text_is_short_and_refuses_one_that_is_cut_before() {
    let mut wanted = report();
    wanted.text = FixedText::default();
    assert_eq!(StatusReport::decode(&report().encode()[..102]), Ok(wanted));
    let error = StatusReport::decode(&report().encode()[..100]).expect_err("cut in the last label");
    assert_eq!(error, WireError::Short { field: " text:", need: 26, left: 4 });
    assert!(StatusReport::decode(b"id:").is_err());
    let longer = [&report().encode()[..], b"x"].concat();
    assert!(StatusReport::decode(&longer).is_err());
}

#[test]
fn knows_its_codes() {
    assert_eq!(status(1).advice, crate::Advice::Again);
    assert_eq!(status(21).meaning, "authentication failed");
    assert_eq!(report_error(b"000"), Some((DeliveryState::Delivered, "DELIVRD")));
    assert_eq!(report_error(b"007"), Some((DeliveryState::Failed, "EXPIRED")));
    assert_eq!(report_error(b"010"), Some((DeliveryState::Failed, "UNDELIV")));
    assert_eq!(report_error(b"999"), Some((DeliveryState::Unknown, "UNKNOWN")));
    assert_eq!(report_error(b"5 5"), None);
    assert_eq!([0x13, 0x30, 0x20].map(Version::of), [Some(Version::V13), Some(Version::V30), None]);
}

#[test]
fn shows_no_digest() {
    let login = Login { authenticator_client: Authenticator([7; 16]), ..Login::default() };
    assert_eq!(Command::Login(login).to_value()["AuthenticatorClient"], "***");
}

prop_compose! {
    fn any_submit(old: bool)(
        numbers in vec(any::<[u8; 21]>(), 1..=100),
        content in vec(any::<u8>(), 0..256),
        tlvs in vec((any::<u16>(), vec(any::<u8>(), 0..30)), 0..8),
        (service, fee, source) in any::<([u8; 10], [u8; 6], [u8; 21])>(),
    ) -> Submit {
        Submit {
            service_id: FixedText::from_bytes(service),
            fixed_fee: Since30Text(FixedText::from_bytes(if old { [0; 6] } else { fee })),
            src_term_id: FixedText::from_bytes(source),
            dest_term_id: Numbers(numbers.into_iter().map(FixedText::from_bytes).collect()),
            msg_content: Content(content),
            tlvs: Tlvs(tlvs.into_iter().map(|(tag, value)| Tlv { tag, value }).collect()),
            ..Submit::default()
        }
    }
}

proptest! {
    #[test]
    fn any_submit_is_read_back(old in any_submit(true), new in any_submit(false), sequence: u32) {
        for (version, submit) in [(Version::V13, old), (Version::V30, new)] {
            let sent = Pdu { sequence, command: Command::Submit(submit) };
            let frame = sent.encode(version).expect("within bounds");
            prop_assert_eq!(Pdu::decode(&frame, version), Ok(sent));
        }
    }

    #[test]
    fn any_report_is_read_back(id: [u8; 10], stat: [u8; 7], text: [u8; 20]) {
        let (stat, text) = (FixedText::from_bytes(stat), FixedText::from_bytes(text));
        let sent = StatusReport { id: MsgId(id), stat, text, ..report() };
        prop_assert_eq!(StatusReport::decode(&sent.encode()), Ok(sent));
    }

    #[test]
    fn no_bytes_make_it_panic(index in 0..LENGTHS.len(), body in vec(any::<u8>(), 0..400), new: bool) {
        let version = if new { Version::V30 } else { Version::V13 };
        let mut frame = Head::open(LENGTHS[index].0, 1);
        frame.extend_from_slice(&body);
        Head::close(&mut frame, MAX_MESSAGE).expect("short");
        if let Ok(read) = Pdu::decode(&frame, version) {
            prop_assert_eq!(read.encode(version), Ok(frame));
        }
        drop(StatusReport::decode(&body));
    }
}
