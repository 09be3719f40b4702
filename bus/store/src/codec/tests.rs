//! Tests of the record codec: round trip, tolerance of later fields, refusal of bad bytes.
use proptest::prelude::*;
use qiao_core::CallId;

use super::*;
use crate::testing::{any_record, as_json, sample};

fn payload(record: &qiao_core::CallRecord) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(encode(record, &mut out), Encoded::Whole);
    out
}

proptest! {
    #[test]
    fn every_record_reads_back_as_it_was(record in any_record()) {
        let bytes = payload(&record);
        let back = decode(&bytes).expect("own encoding");
        prop_assert_eq!(as_json(&back), as_json(&record));
        let head = summary(&bytes).expect("own encoding");
        prop_assert_eq!(head.id, record.id);
        prop_assert_eq!(head.interface, &*record.interface);
        prop_assert_eq!(head.caller, &*record.caller);
        prop_assert_eq!(head.started_us, record.started_us);
        prop_assert_eq!((head.status, head.fault, head.duration_us), (record.status, record.fault, record.duration_us));
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Some(first) = bytes.first_mut() {
            *first = FORMAT_VERSION;
        }
        // Whatever reads whole also reads as a summary; neither may panic on anything.
        prop_assert!(decode(&bytes).is_err() || summary(&bytes).is_ok());
    }

    #[test]
    fn a_payload_cut_inside_a_field_is_never_read_whole(record in any_record(), at in any::<prop::sample::Index>()) {
        let bytes = payload(&record);
        let cut = at.index(bytes.len());
        if let Ok(back) = decode(&bytes[..cut]) {
            // A cut between two fields leaves a record with less in it, never with something else.
            prop_assert_eq!(back.id, record.id);
            prop_assert!(back.spans.len() <= record.spans.len());
        }
    }
}

#[test]
fn fields_of_a_later_version_are_skipped() {
    let record = sample(CallId::generate());
    let mut bytes = payload(&record);
    // Field 100: varint, length-delimited, 64-bit and 32-bit.
    bytes.extend([0xa0, 0x06, 0x2a, 0xa2, 0x06, 0x02, 0xff, 0xff]);
    bytes.extend([0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8, 0xa5, 0x06, 1, 2, 3, 4]);
    assert_eq!(as_json(&decode(&bytes).expect("skips")), as_json(&record));
}

#[test]
fn a_later_format_is_refused_by_its_number() {
    let mut bytes = payload(&sample(CallId::generate()));
    bytes[0] = 9;
    assert_eq!(decode(&bytes).expect_err("format 9"), CodecError::Version { found: 9 });
}

#[test]
fn an_unknown_outcome_names_its_field() {
    let mut bytes = payload(&sample(CallId::generate()));
    bytes.extend([7 << 3, 99]);
    assert_eq!(decode(&bytes).expect_err("outcome 99"), CodecError::Field { part: "call", field: 7 });
}

#[test]
fn spans_beyond_the_bound_are_left_out_and_counted() {
    let mut record = sample(CallId::generate());
    let mut long = record.spans[0].clone();
    long.note = Some("x".repeat(100_000).into());
    record.spans = vec![long; 30];
    let mut out = Vec::new();
    let Encoded::SpansDropped(dropped) = encode(&record, &mut out) else {
        panic!("30 spans of 100 kB do not fit")
    };
    assert!(out.len() <= MAX_PAYLOAD_BYTES);
    assert_eq!(decode(&out).expect("readable").spans.len() + dropped, 30);
}

#[test]
fn a_head_beyond_the_bound_is_refused_and_leaves_the_buffer_as_it_was() {
    let mut record = sample(CallId::generate());
    record.interface = "x".repeat(MAX_PAYLOAD_BYTES).into();
    let mut out = vec![7];
    assert_eq!(encode(&record, &mut out), Encoded::TooLarge);
    assert_eq!(out, [7]);
}
