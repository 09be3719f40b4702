//! Batch files in both forms, every way in which one can be wrong, and arbitrary bytes.

use super::*;
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use sm3::{Digest, Sm3};
use time::{Date, Month};

fn date() -> Date {
    Date::from_calendar_date(2026, Month::November, 22).expect("a day")
}

fn header() -> Header {
    let (batch_no, bank_code) = ("B20261122001".to_owned(), "102".to_owned());
    Header { batch_no, bank_code, date: date(), count: 0, amount: 0 }
}

fn delimited() -> FileFormat {
    let spec = FileSpec { amount: Some("fee".to_owned()), ..FileSpec::delimited(["name", "idNo", "fee"]) };
    spec.compile().expect("a good declaration")
}

fn column(name: &str, width: usize, align: Align, cut: bool) -> ColumnSpec {
    ColumnSpec { name: name.to_owned(), width: Some(width), align, cut }
}

fn fixed(cut: bool) -> FileFormat {
    let columns = vec![column("name", 9, Align::Text, cut), column("fee", 6, Align::Number, false)];
    let spec = FileSpec { form: FileForm::Fixed, columns, ..FileSpec::delimited([]) };
    spec.compile().expect("a good declaration")
}

const ROWS: [[&str; 3]; 2] =
    [["张䶮", "310101199003074511", "1000"], ["𬱖三亅", "310115200002290021", "250"]];

fn rows() -> Vec<Vec<&'static str>> {
    ROWS.map(Vec::from).to_vec()
}

fn good() -> Vec<u8> {
    write_file(&delimited(), &header(), &rows()).expect("writes")
}

fn read_all(format: &FileFormat, bytes: &[u8], piece: usize) -> Result<(Vec<Record>, Totals), FileError> {
    let mut reader = FileReader::new(format.clone());
    let (mut buffer, mut records) = (BytesMut::new(), Vec::new());
    for bytes in bytes.chunks(piece) {
        buffer.extend_from_slice(bytes);
        while let Some(record) = reader.read(&mut buffer)? {
            records.push(record);
        }
    }
    Ok((records, reader.finish(&buffer)?))
}

fn error_of(bytes: &[u8]) -> String {
    read_all(&delimited(), bytes, 7).expect_err("refused").to_string()
}

/// The file with a trailer that fits its changed rows.
fn resealed(bytes: &[u8], count: u64) -> Vec<u8> {
    let end = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').expect("a trailer") + 1;
    let trailer = format!("T|{count}|{}\n", hex::encode(Sm3::digest(&bytes[..end])));
    [&bytes[..end], trailer.as_bytes()].concat()
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).expect("is there");
    [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()
}

#[test]
fn writes_rows_totals_and_the_digest_of_all_before_the_trailer() {
    let bytes = good();
    assert!(bytes.starts_with(
        b"H|1.0|B20261122001|102|20261122|2|1250\nD|1|\xD5\xC5\xFE\x9F|310101199003074511|1000\nD|2|"
    ));
    // the digest as OpenSSL gives it for these rows
    assert!(bytes.ends_with(b"|250\nT|2|1a6467fe63629eb8ca5e99c3e119aeb73b2aebe18c0eb0419aafab0c40de13e3\n"));
    let (records, totals) = read_all(&delimited(), &bytes, bytes.len()).expect("our own file");
    assert_eq!(totals, Totals { count: 2, amount: 1250 });
    assert_eq!(records[0], Record::Header(Header { count: 2, amount: 1250, ..header() }));
    let values = ROWS[1].map(str::to_owned).to_vec();
    assert_eq!(records[2], Record::Row(Row { sequence: 2, values }));
    assert_eq!(records[3], Record::Trailer);
}

#[test]
fn does_not_take_the_second_byte_of_a_character_for_a_separator() {
    let encoded = qiao_mappings::Charset::Gb18030.encode("亅".into()).expect("GB 18030");
    assert_eq!(encoded, [0x81, 0x7C]);
    assert!(good().windows(2).any(|pair| pair == [0x81, 0x7C]));
    assert!(read_all(&delimited(), &good(), 1).is_ok());
}

#[test]
fn refuses_a_file_that_was_cut_or_changed() {
    let bytes = good();
    let length = bytes.len();
    assert_eq!(
        error_of(&bytes[..length - 1]),
        format!("row 4: the file ends inside the row, after {} bytes; it was transferred in part", 68)
    );
    let trailer = bytes[..length - 1].iter().rposition(|byte| *byte == b'\n').expect("a trailer") + 1;
    assert_eq!(
        error_of(&bytes[..trailer]),
        "row 4: the file ends without its trailer; it was transferred in part"
    );
    assert_eq!(error_of(&[]), "row 1: the file ends without its trailer; it was transferred in part");
    assert_eq!(error_of(&[&bytes[..], b"D|3|"].concat()), "row 5: the file goes on after its trailer");
    let changed = replaced(&bytes, "4511", "4512");
    assert_eq!(
        error_of(&changed),
        "row 4: the SM3 of the trailer is not that of the rows; the file was changed or cut"
    );
    assert!(read_all(&delimited(), &replaced(&bytes, "|2|1250", "|2|1250"), 3).is_ok());
}

#[test]
fn refuses_wrong_totals_and_names_the_place() {
    let wrong = |from: &str, to: &str, count| error_of(&resealed(&replaced(&good(), from, to), count));
    assert_eq!(wrong("|2|1250", "|3|1250", 2), "row 4: the header states 3 rows, the file has 2");
    assert_eq!(wrong("|2|1250", "|2|1250", 5), "row 4: the trailer states 5 rows, the file has 2");
    assert_eq!(
        wrong("|2|1250", "|2|1251", 2),
        "row 4: the header states an amount of 1251 fen, the rows sum up to 1250"
    );
    let doubled = "row 3: the running number is 1, 2 is expected; a row is missing or doubled";
    assert_eq!(wrong("D|2|", "D|1|", 2), doubled);
}

#[test]
fn refuses_marks_line_ends_and_rows_out_of_place() {
    let bytes = good();
    for mark in [&b"\xEF\xBB\xBF"[..], b"\x84\x31\x95\x33", b"\xFF\xFE"] {
        assert!(
            error_of(&[mark, &bytes].concat()).starts_with("row 1: the file starts with a byte order mark")
        );
    }
    let crlf: Vec<u8> =
        bytes.iter().flat_map(|byte| if *byte == b'\n' { vec![b'\r', b'\n'] } else { vec![*byte] }).collect();
    assert_eq!(error_of(&crlf), "row 1: the row ends with CR LF; rows end with LF alone");
    assert_eq!(error_of(b"D|1|a|b|1\n"), "row 1: a row that starts with H is expected here");
    assert_eq!(
        error_of(&replaced(&bytes, "D|2|", "X|2|")),
        "row 3: a row that starts with D or T is expected here"
    );
    assert_eq!(
        error_of(&replaced(&bytes, "D|1|", "\nD|1|")),
        "row 2: a row that starts with D or T is expected here"
    );
    assert_eq!(error_of(&replaced(&bytes, "|1000", "")), "row 2: 3 columns, 4 are expected");
    assert_eq!(error_of(&replaced(&bytes, "|1000", "|1000|9")), "row 2: 5 columns, 4 are expected");
    assert_eq!(error_of(&replaced(&bytes, "|1000", "|1e3")), "row 2: fee: is not a whole number");
    assert_eq!(error_of(&replaced(&bytes, "1.0", "2.0")), "row 1: version: is not 1.0");
    assert!(error_of(&replaced(&bytes, "20261122|", "20261322|")).starts_with("row 1: date: is not a day"));
    let mut cut = bytes.clone();
    cut.remove(43);
    assert!(error_of(&cut).starts_with("row 2: "), "{}", error_of(&cut));
}

#[test]
fn refuses_rows_above_its_bounds_before_they_end() {
    let spec = FileSpec { max_rows: 1, max_row_bytes: 256, ..FileSpec::delimited(["name"]) };
    let format = spec.compile().expect("a good declaration");
    let mut reader = FileReader::new(format.clone());
    let error = reader.read(&mut BytesMut::from(&[b'H'; 300][..])).expect_err("too long");
    assert_eq!(error.to_string(), "row 1: the row exceeds 256 bytes");
    let many = b"H|1.0|b|c|20261122|2|0\n";
    let error = FileReader::new(format.clone()).read(&mut BytesMut::from(&many[..])).expect_err("two rows");
    assert_eq!(error.to_string(), "row 1: the file has more than 1 rows");
    let error = write_file(&format, &header(), &[vec!["x".repeat(300)]]).expect_err("too long");
    assert_eq!(error.to_string(), "row 2: the row exceeds 256 bytes");
}

#[test]
fn writes_fixed_widths_in_bytes() {
    let rows = [["张䶮", "250"], ["𬱖三", "0"]].map(Vec::from);
    let bytes = write_file(&fixed(false), &header(), &rows).expect("writes");
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    assert_eq!(lines[0], b"H1.0B20261122001        102         202611220000000002000000000000000000");
    assert_eq!(lines[1], b"D0000000001\xD5\xC5\xFE\x9F     000250");
    assert_eq!(lines[2], b"D0000000002\x99\x33\xC3\x36\xC8\xFD   000000");
    assert_eq!(lines[3].len(), 1 + 10 + 64);
    let (records, totals) = read_all(&fixed(false), &bytes, 5).expect("our own file");
    assert_eq!(totals.count, 2);
    assert_eq!(
        records[1],
        Record::Row(Row { sequence: 1, values: vec!["张䶮".to_owned(), "250".to_owned()] })
    );
    assert_eq!(records[2], Record::Row(Row { sequence: 2, values: vec!["𬱖三".to_owned(), "0".to_owned()] }));
}

#[test]
fn refuses_a_value_that_is_too_long_or_cuts_it_at_a_character_when_told_to() {
    let rows = [vec!["欧阳娜·古丽", "1"]];
    let error = write_file(&fixed(false), &header(), &rows).expect_err("12 bytes");
    assert_eq!(error.to_string(), "row 2: name: 12 bytes in GB 18030, the column holds 9");
    let bytes = write_file(&fixed(true), &header(), &rows).expect("cuts");
    let (records, _) = read_all(&fixed(true), &bytes, 100).expect("our own file");
    let values = vec!["欧阳娜·".to_owned(), "1".to_owned()];
    assert_eq!(records[1], Record::Row(Row { sequence: 1, values }));
}

#[test]
fn names_the_column_in_which_a_partner_cut_a_character() {
    let bytes = write_file(&fixed(true), &header(), &[vec!["欧阳娜·", "1"]]).expect("writes");
    let at = bytes.iter().position(|byte| *byte == b' ' && bytes.len() > 90).expect("padding");
    let mut cut = bytes.clone();
    // the ninth byte of the name, its padding, becomes the first half of a character
    let name = bytes.windows(2).position(|pair| pair == b"\nD").expect("a row") + 12;
    cut[name + 8] = 0xB9;
    assert!(at < name);
    let error = read_all(&fixed(true), &cut, 100).expect_err("half a character");
    assert_eq!(error.to_string(), "row 2: name: bytes that are not GB 18030; a character may be cut in half");
    let error = read_all(&fixed(true), &bytes[..name + 3], 100).expect_err("partial");
    assert!(error.to_string().contains("ends inside the row"));
    let short = [&bytes[..name + 3], b"\n"].concat();
    let error = read_all(&fixed(true), &short, 100).expect_err("short row");
    assert_eq!(error.to_string(), "row 2: 13 bytes, 25 are expected");
}

#[test]
fn refuses_values_that_could_not_be_read_back() {
    let refused = |format: &FileFormat, row: Vec<&str>| {
        write_file(format, &header(), &[row]).expect_err("refused").to_string()
    };
    assert_eq!(refused(&delimited(), vec!["a|b", "x", "1"]), "row 2: name: holds the separator |");
    assert_eq!(refused(&delimited(), vec!["a\nb", "x", "1"]), "row 2: name: holds a line break");
    assert_eq!(refused(&delimited(), vec!["a", "x"]), "row 2: 3 columns, 4 are expected");
    assert_eq!(refused(&fixed(false), vec!["a ", "1"]), "row 2: name: ends with a space");
    assert_eq!(
        refused(&fixed(false), vec!["a", "01"]),
        "row 2: fee: is not a whole number without leading zeros"
    );
    assert_eq!(
        refused(&fixed(false), vec!["\u{E5E5}", "1"]),
        "row 2: name: holds a character that GB 18030 cannot carry"
    );
}

#[test]
fn a_writer_checks_the_totals_its_header_stated() {
    let mut output = Vec::new();
    let stated = Header { count: 2, amount: 1000, ..header() };
    let mut writer = FileWriter::new(delimited(), stated, &mut output).expect("a header");
    writer.row(&ROWS[0], &mut output).expect("a row");
    let before = output.clone();
    assert!(writer.row(&["a|b", "x", "1"], &mut output).is_err());
    assert_eq!(output, before, "a refused row leaves nothing behind");
    let error = writer.finish(&mut output).expect_err("one row is missing");
    assert_eq!(error.to_string(), "row 3: the header states 2 rows, the file has 1");
}

#[test]
fn names_files_by_the_rule() {
    let name = FileName::new("OPEN", "CARD", "ICBC", date(), 7).expect("a name");
    assert_eq!(name.to_string(), "OPEN_CARD_ICBC_20261122_0007.txt");
    assert_eq!(name.ok_name(), "OPEN_CARD_ICBC_20261122_0007.ok");
    assert_eq!(name.signature_name(), "OPEN_CARD_ICBC_20261122_0007.sig");
    assert_eq!(FileName::parse(&name.to_string()), Ok(name.clone()));
    assert_eq!((name.business(), name.sender(), name.receiver()), ("OPEN", "CARD", "ICBC"));
    assert_eq!((name.date(), name.batch()), (date(), 7));
    for (wrong, error) in [
        ("OPEN_CARD_ICBC_20261122_0007.ok", NameError::Shape),
        ("OPEN_CARD_20261122_0007.txt", NameError::Shape),
        ("OPEN_CARD_ICBC_X_20261122_0007.txt", NameError::Shape),
        ("open_CARD_ICBC_20261122_0007.txt", NameError::Code),
        ("_CARD_ICBC_20261122_0007.txt", NameError::Code),
        ("../A_CARD_ICBC_20261122_0007.txt", NameError::Code),
        ("OPEN_CARD_ICBC_20260229_0007.txt", NameError::Date),
        ("OPEN_CARD_ICBC_2026112_00070.txt", NameError::Date),
        ("OPEN_CARD_ICBC_20261122_007.txt", NameError::Batch),
        ("OPEN_CARD_ICBC_20261122_+007.txt", NameError::Batch),
    ] {
        assert_eq!(FileName::parse(wrong), Err(error), "{wrong}");
    }
}

#[test]
fn names_every_mistake_of_a_declaration() {
    let columns = vec![
        ColumnSpec { width: None, ..column("a", 1, Align::Text, true) },
        column("a", 0, Align::Number, true),
    ];
    let amount = Some("b".to_owned());
    let base = FileSpec::delimited([]);
    let spec = FileSpec { form: FileForm::Fixed, columns, amount, max_row_bytes: 1, ..base.clone() };
    let mistakes = spec.compile().expect_err("wrong");
    let paths: Vec<&str> = mistakes.iter().map(|mistake| mistake.path.as_str()).collect();
    let wanted = [
        "columns[0].width",
        "columns[0].cut",
        "columns[1].name",
        "columns[1].width",
        "columns[1].cut",
        "maxRowBytes",
        "amount",
    ];
    assert_eq!(paths, wanted);
    assert!(base.compile().is_err(), "no columns");
}

proptest! {
    #[test]
    fn any_delimited_file_is_read_back(
        values in vec(vec("[^\u{E000}-\u{F8FF}\u{FFFE}\u{FFFF}|\r\n]{0,12}", 3), 0..8), piece in 1..64usize,
    ) {
        let format = FileSpec::delimited(["a", "b", "c"]).compile().expect("a good declaration");
        let bytes = write_file(&format, &header(), &values).expect("writes");
        let (records, totals) = read_all(&format, &bytes, piece).expect("our own file");
        prop_assert_eq!(totals.count, values.len() as u64);
        let rows: Vec<Vec<String>> = records.into_iter().filter_map(|record| match record {
            Record::Row(row) => Some(row.values),
            _ => None,
        }).collect();
        prop_assert_eq!(rows, values);
    }

    #[test]
    fn any_fixed_file_is_read_back(values in vec(("[a-z 汉字𬱖䶮]{0,3}", 0..1_000_000u32), 0..8), piece in 1..64usize) {
        let columns = vec![column("name", 12, Align::Text, false), column("fee", 6, Align::Number, false)];
        let spec = FileSpec { form: FileForm::Fixed, columns, ..FileSpec::delimited([]) };
        let format = spec.compile().expect("a good declaration");
        let values: Vec<Vec<String>> =
            values.into_iter().map(|(name, fee)| vec![name.trim_end().to_owned(), fee.to_string()]).collect();
        let bytes = write_file(&format, &header(), &values).expect("writes");
        let (records, _) = read_all(&format, &bytes, piece).expect("our own file");
        let rows: Vec<Vec<String>> = records.into_iter().filter_map(|record| match record {
            Record::Row(row) => Some(row.values),
            _ => None,
        }).collect();
        prop_assert_eq!(rows, values);
    }

    #[test]
    fn one_changed_byte_is_never_approved(at in 0..good().len(), change in 1..=255u8) {
        let mut bytes = good();
        bytes[at] ^= change;
        let digest_case = bytes[at].eq_ignore_ascii_case(&good()[at]);
        prop_assert!(digest_case || read_all(&delimited(), &bytes, 16).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic_or_hold_more_than_a_row(bytes in vec(any::<u8>(), 0..600), inside: bool) {
        let bytes = if inside { [&b"H|1.0|b|c|20261122|2|0\nD|1|"[..], &bytes].concat() } else { bytes };
        for format in [delimited(), fixed(true)] {
            drop(read_all(&format, &bytes, 11));
        }
        drop(FileName::parse(&String::from_utf8_lossy(&bytes)));
    }
}
