//! Framings in both directions, in pieces of any size, and with lengths that lie.

use super::*;
use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

fn compiled(spec: &FrameSpec) -> Framing {
    spec.compile().expect("a good declaration")
}

fn bank() -> Framing {
    compiled(&bank::frame(1000))
}

/// Everything that comes out of the bytes, given at once.
fn decode_all(framing: &Framing, bytes: &[u8]) -> (Vec<Bytes>, Result<(), FrameError>) {
    let mut decoder = FrameDecoder::new(framing.clone());
    let mut buffer = BytesMut::from(bytes);
    let mut messages = Vec::new();
    loop {
        match decoder.decode(&mut buffer) {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, decoder.finish(&buffer)),
            Err(error) => return (messages, Err(error)),
        }
    }
}

fn error_of(framing: &Framing, bytes: &[u8]) -> String {
    decode_all(framing, bytes).1.expect_err("refused").to_string()
}

#[test]
fn frames_the_banks_xml_by_its_bytes() {
    let body = bank::encode_text("<msgtext>张䶮𬱖</msgtext>").expect("GB 18030");
    let frame = bank().encode(&body).expect("within bounds");
    assert_eq!(&frame[..8], b"00000027");
    let (messages, end) = decode_all(&bank(), &[&frame[..], &frame[..]].concat());
    assert_eq!((messages.len(), end), (2, Ok(())));
    assert_eq!(bank::decode_text(&messages[1]).as_deref(), Ok("<msgtext>张䶮𬱖</msgtext>"));
    assert!(bank::decode_text(&body[..12]).is_err(), "cut inside a character");
}

#[test]
fn names_what_is_wrong_with_a_length() {
    for (bytes, message) in [
        (&b"0000001x"[..], "byte 8 of the 8-digit length is 0x78, not a decimal digit"),
        (b"<xml", "byte 1 of the 8-digit length is 0x3c, not a decimal digit"),
        (b"-0000001", "byte 1 of the 8-digit length is 0x2d, not a decimal digit"),
        (b"00000000", "the stated length 0 gives a message of 0 bytes, at least 1 are needed"),
        (
            b"99999999",
            "the stated length 99999999 gives a message of 99999999 bytes, at most 1000 are allowed",
        ),
        (b"00000005abc", "the stream ended inside a message, after 11 of its bytes"),
    ] {
        assert_eq!(error_of(&bank(), bytes), message);
    }
}

#[test]
fn frames_carrier_messages_by_a_length_that_counts_itself() {
    let cmpp = compiled(&crate::cmpp::frame());
    let frame = hex::decode("0000000c0000000800000009").expect("hex");
    let (messages, end) = decode_all(&cmpp, &frame.repeat(3));
    assert_eq!((messages, end), (vec![Bytes::from(frame.clone()); 3], Ok(())));
    assert_eq!(cmpp.encode(&frame).as_deref(), Ok(&frame[..]));
    for (length, message) in [
        ("00000000", "the stated length 0 gives a message of 0 bytes, at least 12 are needed"),
        ("0000000b", "the stated length 11 gives a message of 11 bytes, at least 12 are needed"),
        ("00001001", "the stated length 4097 gives a message of 4097 bytes, at most 4096 are allowed"),
        (
            "ffffffff",
            "the stated length 4294967295 gives a message of 4294967295 bytes, at most 4096 are allowed",
        ),
    ] {
        assert_eq!(error_of(&cmpp, &hex::decode(length).expect("hex")), message);
    }
    let sgip = compiled(&crate::sgip::frame());
    assert!(error_of(&sgip, &[0, 0, 0, 19]).contains("at least 20"));
}

#[test]
fn reads_lengths_of_every_form() {
    let spec = |size, form, inclusive, adjust, strip| {
        let base = LengthSpec::new(100);
        compiled(&FrameSpec::Length(LengthSpec { size, form, inclusive, adjust, strip, ..base }))
    };
    for (framing, bytes) in [
        (spec(1, LengthForm::Big, false, 0, true), &b"\x03abc"[..]),
        (spec(2, LengthForm::Little, false, 0, true), b"\x03\0abc"),
        (spec(8, LengthForm::Little, true, 0, true), b"\x0B\0\0\0\0\0\0\0abc"),
        (spec(2, LengthForm::Big, false, -2, true), b"\0\x05abc"),
        (spec(4, LengthForm::Digits, true, 0, true), b"0007abc"),
    ] {
        assert_eq!(framing.encode(b"abc").as_deref(), Ok(bytes));
        assert_eq!(decode_all(&framing, bytes), (vec![Bytes::from_static(b"abc")], Ok(())));
    }
    let within = LengthSpec { offset: 2, size: 2, strip: false, ..LengthSpec::new(100) };
    let within = compiled(&FrameSpec::Length(within));
    assert_eq!(within.encode(b"PR??abc").as_deref(), Ok(&b"PR\0\x03abc"[..]));
    assert_eq!(decode_all(&within, b"PR\0\x03abc").0, [Bytes::from_static(b"PR\0\x03abc")]);
    assert!(spec(1, LengthForm::Big, false, -200, true).encode(&[0; 60]).is_err(), "260 in one byte");
    assert!(error_of(&spec(2, LengthForm::Big, true, 0, true), &[0, 1]).contains("a message of -1 bytes"));
}

#[test]
fn allows_empty_messages_only_when_declared() {
    let spec = LengthSpec { size: 8, form: LengthForm::Digits, min: Some(0), ..LengthSpec::new(10) };
    let framing = compiled(&FrameSpec::Length(spec));
    assert_eq!(framing.encode(b"").as_deref(), Ok(&b"00000000"[..]));
    assert_eq!(decode_all(&framing, b"00000000").0, [Bytes::new()]);
    assert!(bank().encode(b"").is_err());
}

#[test]
fn frames_by_a_delimiter_and_refuses_one_inside() {
    let spec = DelimiterSpec { delimiter: "\r\n".to_owned(), max: 4 };
    let framing = compiled(&FrameSpec::Delimiter(spec));
    assert_eq!(framing.encode(b"abcd").as_deref(), Ok(&b"abcd\r\n"[..]));
    assert_eq!(decode_all(&framing, b"abcd\r\n\r\na\r\r\n").0, [&b"abcd"[..], b"", b"a\r"]);
    assert_eq!(error_of(&framing, b"abcde\r\n"), "no delimiter within 4 bytes");
    assert_eq!(error_of(&framing, b"abcdef"), "no delimiter within 4 bytes");
    assert!(framing.encode(b"a\r\nb").is_err());
    assert!(framing.encode(b"abcde").is_err());
}

#[test]
fn frames_of_a_fixed_size() {
    let framing = compiled(&FrameSpec::Fixed(FixedSpec { size: 3 }));
    let (messages, end) = decode_all(&framing, b"abcdefg");
    assert_eq!(
        (messages, end),
        (vec![Bytes::from("abc"), Bytes::from("def")], Err(FrameError::Cut { have: 1 }))
    );
    assert!(framing.encode(b"ab").is_err());
}

#[test]
fn names_every_mistake_of_a_declaration() {
    let spec = LengthSpec { offset: 2000, size: 3, min: Some(9), ..LengthSpec::new(0) };
    let mistakes = FrameSpec::Length(spec).compile().expect_err("wrong");
    let paths: Vec<&str> = mistakes.iter().map(|mistake| mistake.path.as_str()).collect();
    assert_eq!(paths, ["size", "offset", "offset", "min", "max"]);
    assert!(FrameSpec::Fixed(FixedSpec { size: 0 }).compile().is_err());
    let empty = DelimiterSpec { delimiter: String::new(), max: 1 };
    assert!(FrameSpec::Delimiter(empty).compile().is_err());
}

#[test]
fn reads_a_declaration_and_refuses_a_misspelt_key() {
    let read = |text: &str| serde_json::from_str::<FrameSpec>(text);
    let spec = read(r#"{"kind":"length","size":8,"form":"digits","max":1000}"#).expect("a declaration");
    assert_eq!(spec, bank::frame(1000));
    let error = read(r#"{"kind":"length","sise":8,"max":1000}"#).expect_err("misspelt");
    assert!(error.to_string().contains("sise"), "{error}");
    assert!(read(r#"{"kind":"fixed","size":8,"max":1000}"#).is_err());
}

fn framings() -> impl Strategy<Value = Framing> {
    let form = prop_oneof![Just(LengthForm::Big), Just(LengthForm::Little), Just(LengthForm::Digits)];
    let size = prop_oneof![Just(1usize), Just(2), Just(4), Just(8)];
    let length = (form, size, 0..4usize, any::<bool>(), -5..5i64, any::<bool>()).prop_map(
        |(form, size, offset, inclusive, adjust, strip)| {
            let offset = if strip { 0 } else { offset };
            compiled(&FrameSpec::Length(LengthSpec {
                offset,
                size,
                form,
                inclusive,
                adjust,
                strip,
                min: None,
                max: 300,
            }))
        },
    );
    let delimiter = "[a-c]{1,3}"
        .prop_map(|delimiter| compiled(&FrameSpec::Delimiter(DelimiterSpec { delimiter, max: 300 })));
    let fixed = (1..20usize).prop_map(|size| compiled(&FrameSpec::Fixed(FixedSpec { size })));
    prop_oneof![4 => length, 1 => delimiter, 1 => fixed]
}

/// The message that decoding gives back: with its length filled in, when the head is part of it.
fn given_back(framing: &Framing, frame: &Bytes) -> Bytes {
    let (mut messages, end) = decode_all(framing, frame);
    assert_eq!((messages.len(), end), (1, Ok(())));
    messages.remove(0)
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_whatever_the_pieces(
        framing in framings(), messages in vec(vec(any::<u8>(), 0..30), 1..6), pieces in vec(1..9usize, 1..20),
    ) {
        let mut stream = Vec::new();
        let mut sent = Vec::new();
        for message in &messages {
            let Ok(frame) = framing.encode(message) else { continue };
            let back = given_back(&framing, &frame);
            prop_assert_eq!(framing.encode(&back), Ok(frame.clone()));
            prop_assert!(back.len() == message.len());
            stream.extend_from_slice(&frame);
            sent.push(back);
        }
        let mut decoder = FrameDecoder::new(framing.clone());
        let (mut buffer, mut rest, mut read) = (BytesMut::new(), &stream[..], Vec::new());
        for size in pieces.iter().cycle() {
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            buffer.extend_from_slice(piece);
            rest = after;
            while let Some(message) = decoder.decode(&mut buffer).expect("our own frames") {
                read.push(message);
            }
            prop_assert!(buffer.len() <= framing.limit());
            if rest.is_empty() { break }
        }
        prop_assert_eq!(read, sent);
        prop_assert_eq!(decoder.finish(&buffer), Ok(()));
    }

    #[test]
    fn no_bytes_make_it_panic_or_hold_more_than_its_bound(framing in framings(), bytes in vec(any::<u8>(), 0..700)) {
        let mut decoder = FrameDecoder::new(framing.clone());
        let mut buffer = BytesMut::new();
        for byte in bytes {
            buffer.extend_from_slice(&[byte]);
            match decoder.decode(&mut buffer) {
                Ok(Some(message)) => prop_assert!(message.len() <= framing.max()),
                Ok(None) => prop_assert!(buffer.len() <= framing.limit()),
                Err(_) => break,
            }
        }
    }
}
