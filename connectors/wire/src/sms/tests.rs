//! Part counts and cuts, headers, reassembly within its bounds.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const NARROW: Reference = Reference::Narrow(0x5A);

fn parts(text: &str, encoding: Encoding, reference: Reference) -> Vec<Part> {
    split(text, encoding, reference, MAX_PARTS).expect("splits")
}

fn lengths(parts: &[Part]) -> Vec<usize> {
    parts.iter().map(|part| part.content.len()).collect()
}

#[test]
fn counts_parts_as_carriers_charge_them() {
    for (characters, expected) in [(0, 1), (70, 1), (71, 2), (134, 2), (135, 3)] {
        let text = "汉".repeat(characters);
        assert_eq!(count_parts(&text, Encoding::Ucs2), Ok(expected), "{characters}");
        assert_eq!(parts(&text, Encoding::Ucs2, NARROW).len(), expected, "{characters}");
    }
    assert_eq!(count_parts(&"a".repeat(160), Encoding::Ascii), Ok(1));
    assert_eq!(count_parts(&"a".repeat(161), Encoding::Ascii), Ok(2));
    assert_eq!(count_parts(&"汉".repeat(70), Encoding::Gbk), Ok(1));
}

#[test]
fn never_cuts_a_surrogate_pair() {
    let text = format!("{}𬱖{}", "汉".repeat(66), "字".repeat(10));
    let cut = parts(&text, Encoding::Ucs2, NARROW);
    assert_eq!(lengths(&cut), [138, 30]);
    assert_eq!(cut[0].content[..6], [5, 0, 3, 0x5A, 2, 1]);
    assert_eq!(cut[1].content[..10], [5, 0, 3, 0x5A, 2, 2, 0xD8, 0x73, 0xDC, 0x56]);
    assert!(cut.iter().all(|part| part.has_header && part.total == 2));
}

#[test]
fn writes_the_wide_header_and_room_for_66_units() {
    let cut = parts(&"汉".repeat(71), Encoding::Ucs2, Reference::Wide(0x1234));
    assert_eq!(lengths(&cut), [139, 17]);
    assert_eq!(cut[0].content[..7], [6, 8, 4, 0x12, 0x34, 2, 1]);
    let (part, payload) = split_header(&cut[1].content).expect("a header");
    assert_eq!(part, Some(Concatenation { reference: 0x1234, total: 2, number: 2 }));
    assert_eq!(payload.len(), 10);
}

#[test]
fn never_cuts_a_gbk_character() {
    let text = format!("a{}", "汉".repeat(100));
    let cut = parts(&text, Encoding::Gbk, NARROW);
    assert_eq!(lengths(&cut), [6 + 133, 6 + 68]);
}

#[test]
fn refuses_a_message_of_too_many_parts() {
    let error = split(&"汉".repeat(135), Encoding::Ucs2, NARROW, 2).expect_err("three parts");
    assert_eq!(error, TextError::TooManyParts { parts: 3, most: 2 });
    assert!(split(&"汉".repeat(67 * 255 + 1), Encoding::Ucs2, NARROW, 1000).is_err());
    assert_eq!(parts(&"汉".repeat(67 * 255), Encoding::Ucs2, NARROW).len(), 255);
}

#[test]
fn encodes_and_names_what_it_cannot() {
    assert_eq!(Encoding::Ucs2.encode("𬱖三"), Ok(vec![0xD8, 0x73, 0xDC, 0x56, 0x4E, 0x09]));
    assert_eq!(Encoding::Gbk.encode("张䶮"), Ok(vec![0xD5, 0xC5, 0xFE, 0x9F]));
    let error = Encoding::Gbk.encode("张𬱖").expect_err("not in GBK");
    assert_eq!(error, TextError::NotEncodable { encoding: Encoding::Gbk, position: 2, code: 0x2CC56 });
    let error = Encoding::Ascii.encode("ab汉").expect_err("not ASCII");
    assert_eq!(error.to_string(), "character 3 (U+6C49) has no place in Ascii; send the message as UCS2");
    assert_eq!(
        [0, 4, 8, 15, 3].map(|code| Encoding::of(code).map(Encoding::code)),
        [Some(0), Some(4), Some(8), Some(15), None]
    );
    assert_eq!((Encoding::for_text("TD"), Encoding::for_text("退订")), (Encoding::Ascii, Encoding::Ucs2));
}

#[test]
fn refuses_content_that_is_no_text() {
    for (encoding, bytes) in [
        (Encoding::Ucs2, &[0x4E][..]),
        (Encoding::Ucs2, &[0xD8, 0x73, 0x4E, 0x09]),
        (Encoding::Ascii, &[0x80]),
        (Encoding::Gbk, &[0xD5]),
    ] {
        assert_eq!(encoding.decode(bytes), Err(TextError::NotText { encoding, bytes: bytes.len() }));
    }
    assert_eq!(Encoding::Gbk.decode(&[0x99, 0x33, 0xC3, 0x36]).as_deref(), Ok("𬱖"));
}

#[test]
fn finds_the_concatenation_among_other_elements() {
    let port = [11, 5, 4, 0x15, 0x81, 0, 0, 0, 3, 9, 2, 1, b'x'];
    let wanted = Some(Concatenation { reference: 9, total: 2, number: 1 });
    assert_eq!(split_header(&port), Ok((wanted, &b"x"[..])));
    assert_eq!(split_header(&[0, b'x']), Ok((None, &b"x"[..])));
    assert_eq!(split_header(&[5, 0, 3, 9, 2]), Err(UdhError::Cut));
    assert_eq!(split_header(&[5, 0, 9, 9, 2, 1]), Err(UdhError::Cut));
    assert_eq!(split_header(&[1, 0]), Err(UdhError::Cut));
    assert_eq!(split_header(&[]), Err(UdhError::Cut));
    assert_eq!(split_header(&[5, 0, 3, 9, 2, 3]), Err(UdhError::Part { number: 3, total: 2 }));
    assert_eq!(split_header(&[5, 0, 3, 9, 2, 0]), Err(UdhError::Part { number: 0, total: 2 }));
}

const LIMITS: AssemblerLimits = AssemblerLimits { messages: 2, bytes: 1000, timeout_ms: 60_000 };

fn key(reference: u16, total: u8) -> PartKey {
    PartKey { source: b"13800138000".to_vec(), destination: b"10690".to_vec(), reference, total }
}

fn push(to: &mut Assembler, key: &PartKey, number: u8, payload: &[u8], now: u64) -> Pushed {
    let part = Concatenation { reference: key.reference, total: key.total, number };
    to.push(key.clone(), part, payload, now).expect("a part of its message")
}

#[test]
fn puts_parts_together_in_any_order_and_ignores_duplicates() {
    let mut assembler = Assembler::new(LIMITS);
    assert_eq!(push(&mut assembler, &key(1, 3), 3, b"c", 0).outcome, Outcome::Waiting { have: 1, total: 3 });
    assert_eq!(push(&mut assembler, &key(1, 3), 1, b"a", 1).outcome, Outcome::Waiting { have: 2, total: 3 });
    assert_eq!(push(&mut assembler, &key(1, 3), 1, b"a", 2).outcome, Outcome::Duplicate);
    assert_eq!(
        push(&mut assembler, &key(2, 1), 1, b"alone", 2).outcome,
        Outcome::Complete(b"alone".to_vec())
    );
    let last = push(&mut assembler, &key(1, 3), 2, b"b", 3);
    assert_eq!(last, Pushed { outcome: Outcome::Complete(b"abc".to_vec()), abandoned: vec![] });
    assert_eq!((assembler.len(), assembler.bytes(), assembler.is_empty()), (0, 0, true));
}

#[test]
fn gives_up_a_message_when_its_time_is_over() {
    let mut assembler = Assembler::new(LIMITS);
    push(&mut assembler, &key(1, 2), 1, b"a", 1_000);
    assert_eq!(assembler.expire(60_999), []);
    let given_up = assembler.expire(61_000);
    assert_eq!(given_up, [Abandoned { key: key(1, 2), have: 1, since_ms: 1_000 }]);
    assert_eq!(
        push(&mut assembler, &key(1, 2), 2, b"b", 61_001).outcome,
        Outcome::Waiting { have: 1, total: 2 }
    );
}

#[test]
fn starts_anew_when_the_sender_uses_the_reference_again() {
    let mut assembler = Assembler::new(LIMITS);
    push(&mut assembler, &key(1, 2), 1, b"old", 0);
    let again = push(&mut assembler, &key(1, 2), 1, b"new", 5);
    assert_eq!(again.abandoned.len(), 1);
    assert_eq!(push(&mut assembler, &key(1, 2), 2, b"!", 6).outcome, Outcome::Complete(b"new!".to_vec()));
}

#[test]
fn gives_up_the_oldest_to_stay_within_its_bounds() {
    let mut assembler = Assembler::new(LIMITS);
    for reference in 1..=3 {
        let pushed = push(&mut assembler, &key(reference, 2), 1, b"a", u64::from(reference));
        assert_eq!(pushed.abandoned.len(), usize::from(reference == 3));
    }
    assert_eq!(assembler.len(), 2);
    let pushed = push(&mut assembler, &key(3, 2), 2, &[0; 800], 4);
    assert!(matches!(pushed.outcome, Outcome::Complete(_)));
    assert_eq!(pushed.abandoned.len(), 1, "the older one makes room");
}

#[test]
fn refuses_a_part_outside_its_message_and_one_above_the_bound() {
    let mut assembler = Assembler::new(LIMITS);
    let part = Concatenation { reference: 1, total: 3, number: 1 };
    assert!(assembler.push(key(1, 2), part, b"a", 0).is_err());
    let part = Concatenation { reference: 1, total: 2, number: 1 };
    let error = assembler.push(key(1, 2), part, &[0; 1000], 0).expect_err("above the bound");
    assert_eq!(error, AssemblyError::TooLarge { bytes: 1080, most: 1000 });
    assert!(assembler.is_empty());
}

fn encodings() -> impl Strategy<Value = Encoding> {
    prop_oneof![Just(Encoding::Ucs2), Just(Encoding::Gbk), Just(Encoding::Ascii), Just(Encoding::Binary)]
}

proptest! {
    #[test]
    fn what_is_split_is_put_together_again(
        text in "[a-z 汉字𬱖䶮😀]{0,400}", encoding in encodings(), wide: bool, seed: u64,
    ) {
        let reference = if wide { Reference::Wide(0x0102) } else { NARROW };
        let Ok(cut) = split(&text, encoding, reference, MAX_PARTS) else {
            prop_assert!(encoding.encode(&text).is_err());
            return Ok(());
        };
        let mut order: Vec<usize> = (0..cut.len()).collect();
        order.sort_by_key(|index| (*index as u64 + 1).wrapping_mul(seed | 1));
        let mut assembler = Assembler::new(AssemblerLimits::default());
        let mut whole = None;
        for part in order.into_iter().map(|index| &cut[index]) {
            let most = if part.has_header { 140 } else { encoding.single_bytes() };
            prop_assert!(part.content.len() <= most);
            if !part.has_header {
                whole = Some(part.content.clone());
                continue;
            }
            let (header, payload) = split_header(&part.content).expect("our own header");
            let header = header.expect("a concatenation");
            prop_assert!(encoding == Encoding::Binary || encoding.decode(payload).is_ok(), "cut inside a character");
            if let Outcome::Complete(bytes) = push(&mut assembler, &key(header.reference, header.total), header.number, payload, 0).outcome {
                whole = Some(bytes);
            }
        }
        prop_assert_eq!(encoding.decode(&whole.expect("complete")), Ok(text));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200), encoding in encodings()) {
        if let Ok((_, payload)) = split_header(&bytes) {
            prop_assert!(bytes.ends_with(payload));
        }
        drop(encoding.decode(&bytes));
    }

    #[test]
    fn an_assembler_stays_within_its_bounds(
        parts in vec((0..4u16, 1..6u8, 0..7u8, vec(any::<u8>(), 0..300), 0..100_000u64), 0..60),
    ) {
        let mut assembler = Assembler::new(LIMITS);
        let mut now = 0;
        for (reference, total, number, payload, later) in parts {
            now += later;
            let part = Concatenation { reference, total, number };
            drop(assembler.push(key(reference, total), part, &payload, now));
            prop_assert!(assembler.bytes() <= LIMITS.bytes && assembler.len() <= LIMITS.messages);
        }
        assembler.expire(u64::MAX);
        prop_assert_eq!((assembler.len(), assembler.bytes()), (0, 0));
    }
}
