//! Byte vectors and widths of SGIP, and arbitrary bytes.

use super::*;
use crate::layout::{FixedText, Numbers, SecretText};
use crate::{DeliveryState, Stamp};
use proptest::collection::vec;
use proptest::prelude::*;

/// Body lengths of the document; for Submit of one number and Deliver without content, Trace_Resp without nodes.
const LENGTHS: &[(u32, usize)] = &[
    (0x0000_0001, 41),
    (0x8000_0001, 9),
    (0x0000_0002, 0),
    (0x8000_0002, 0),
    (0x0000_0003, 144),
    (0x8000_0003, 9),
    (0x0000_0004, 57),
    (0x8000_0004, 9),
    (0x0000_0005, 44),
    (0x8000_0005, 9),
    (0x0000_0011, 51),
    (0x8000_0011, 9),
    (0x0000_1000, 41),
    (0x8000_1000, 1),
];

fn text<const N: usize>(value: &str) -> FixedText<N> {
    FixedText::new(value).expect("fits")
}

fn sequence() -> Sequence {
    let time = Stamp::new(11, 20, 20, 32, 25).expect("a time");
    Sequence::new(sp_node("021", "90123").expect("an SP"), time, 1)
}

fn round_trip(command: Command) -> Vec<u8> {
    let sent = Pdu { sequence: sequence(), command };
    let frame = sent.encode().expect("encodes");
    assert_eq!(Pdu::decode(&frame), Ok(sent));
    frame
}

#[test]
fn has_the_body_lengths_of_the_document() {
    for (id, length) in LENGTHS {
        let mut body = vec![0; *length];
        if *id == 3 {
            body[42] = 1;
        }
        let read = Command::read(*id, &body, ()).expect("as long as the document says");
        if *length > 0 {
            assert!(Command::read(*id, &body[..length - 1], ()).is_err(), "{}", read.command_name());
        }
        body.push(0);
        assert!(Command::read(*id, &body, ()).is_err(), "{}: trailing", read.command_name());
    }
    assert_eq!(LENGTHS.len(), Command::COMMANDS.len());
}

#[test]
fn writes_a_bind_and_shows_no_password() {
    let login_password = SecretText(text("pass"));
    let bind = Bind { login_type: 1, login_name: text("sp90123"), login_password, ..Bind::default() };
    assert!(!format!("{bind:?}").contains("pass\\"));
    let frame = round_trip(Command::Bind(bind.clone()));
    let bytes = "0000003d00000001 b4122d4b42c4f1d900000001 01 73703930313233000000000000000000 \
                 70617373000000000000000000000000 0000000000000000";
    assert_eq!(hex::encode(frame), bytes.replace(char::is_whitespace, ""));
    assert_eq!(Command::Bind(bind).to_value()["LoginPassword"], "***");
}

#[test]
fn writes_a_submit_and_its_report() {
    let submit = Submit {
        sp_number: text("10655"),
        charge_number: text("000000000000000000000"),
        user_number: Numbers(vec![text("8613000000000")]),
        corp_id: text("90123"),
        report_flag: 1,
        message_coding: 15,
        message_content: LongContent(vec![0xB0, 0xEC, 0xC0, 0xED]),
        ..Submit::default()
    };
    let frame = round_trip(Command::Submit(submit));
    assert_eq!(frame.len(), 20 + 144 + 4);
    assert!(hex::encode(frame).contains("0f0000000004b0ecc0ed0000000000000000"));
    let submit_sequence = sequence();
    let report =
        Report { submit_sequence, user_number: text("8613000000000"), state: 2, ..Report::default() };
    assert_eq!(
        &round_trip(Command::Report(report))[20..32],
        hex::decode("b4122d4b42c4f1d900000001").expect("hex")
    );
    assert_eq!(round_trip(Command::SubmitResp(Resp { result: 11, ..Resp::default() })).len(), 29);
}

#[test]
fn follows_a_trace_over_several_nodes() {
    let node = |id: &str| TraceNode { node_id: text(id), ..TraceNode::default() };
    let frame =
        round_trip(Command::TraceResp(TraceResp { nodes: TraceNodes(vec![node("100210"), node("200210")]) }));
    assert_eq!(frame.len(), 20 + 1 + 2 * 47);
}

#[test]
fn refuses_a_content_length_that_would_not_end() {
    let mut frame = round_trip(Command::Deliver(Deliver::default()));
    frame[65..69].fill(0xFF);
    let error = Pdu::decode(&frame).expect_err("four gigabytes");
    assert_eq!(error.to_string(), "MessageContent: 4294967295 bytes, the field holds at most 1024");
    assert_eq!(Head::decode(&frame).map(|head| head.sequence), Ok(sequence()));
    assert!(Head::decode(&frame[..19]).is_err());
}

#[test]
fn knows_its_codes() {
    assert_eq!(result(11).advice, crate::Advice::Again);
    assert_eq!(result(6).meaning, "user number wrong; 86 in front is required");
    assert_eq!(
        [0, 1, 2, 3].map(report_state),
        [
            DeliveryState::Delivered,
            DeliveryState::Intermediate,
            DeliveryState::Failed,
            DeliveryState::Unknown
        ]
    );
}

proptest! {
    #[test]
    fn any_submit_is_read_back(
        numbers in vec(any::<[u8; 21]>(), 1..=100),
        content in vec(any::<u8>(), 0..=MAX_CONTENT),
        (source, corp, times, flags) in any::<([u8; 21], [u8; 5], [u8; 16], [u8; 5])>(),
        (node, time, counter) in any::<(u32, u32, u32)>(),
    ) {
        let submit = Submit {
            sp_number: FixedText::from_bytes(source),
            user_number: Numbers(numbers.into_iter().map(FixedText::from_bytes).collect()),
            corp_id: FixedText::from_bytes(corp),
            expire_time: FixedText::from_bytes(times),
            tp_udhi: flags[0], priority: flags[1], message_coding: flags[2], report_flag: flags[3], fee_type: flags[4],
            message_content: LongContent(content),
            ..Submit::default()
        };
        let sent = Pdu { sequence: Sequence { node, time, counter }, command: Command::Submit(submit) };
        let frame = sent.encode().expect("within bounds");
        prop_assert_eq!(Pdu::decode(&frame), Ok(sent));
    }

    #[test]
    fn what_is_read_is_written_alike_and_no_bytes_make_it_panic(
        index in 0..LENGTHS.len(), bytes in vec(any::<u8>(), 0..400), exact: bool,
    ) {
        let (id, length) = LENGTHS[index];
        let body = if exact { bytes.get(..length).unwrap_or(&bytes) } else { &bytes };
        let mut frame = crate::head::Head::open(id, 1);
        frame.extend_from_slice(&[0; 8]);
        frame.extend_from_slice(body);
        crate::head::Head::close(&mut frame, MAX_MESSAGE).expect("short");
        if let Ok(read) = Pdu::decode(&frame) {
            prop_assert_eq!(read.encode(), Ok(frame));
        }
        drop(Pdu::decode(&bytes));
    }
}
