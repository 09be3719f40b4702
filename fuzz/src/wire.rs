//! The decoders of partners' wires: framing, the carriers' SMS protocols, texts in parts, bank files.
use bytes::{Bytes, BytesMut};
use qiao_wire::{
    bankfile::{Align, ColumnSpec, FileForm, FileFormat, FileName, FileReader, FileSpec, Record},
    cmpp,
    frame::{self, DelimiterSpec, FixedSpec, FrameDecoder, FrameSpec, Framing, LengthForm, LengthSpec},
    sgip, smgp,
    sms::{Assembler, AssemblerLimits, Encoding, Outcome, PartKey, Reference, split, split_header},
};
use std::sync::LazyLock;

/// Cuts a stream into pieces whose lengths the first bytes state, so that the fuzzer chooses them.
fn pieces<'a>(lengths: &'a [u8], mut stream: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut lengths = lengths.iter().cycle();
    std::iter::from_fn(move || {
        let length = usize::from(*lengths.next()?).clamp(1, stream.len().max(1));
        let (piece, rest) = stream.split_at_checked(length)?;
        stream = rest;
        Some(piece)
    })
}

/// The messages of a stream, and whether it ended well.
fn messages<'a>(framing: &Framing, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Bytes>, bool) {
    let (mut decoder, mut buffer) = (FrameDecoder::new(framing.clone()), BytesMut::new());
    let mut found = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(message)) => found.push(message),
                Ok(None) => break,
                Err(_) => return (found, false),
            }
        }
        assert!(buffer.len() <= framing.limit(), "it waits for more than its bound");
    }
    let whole = decoder.finish(&buffer).is_ok();
    (found, whole)
}

static FRAMINGS: LazyLock<Vec<Framing>> = LazyLock::new(|| {
    let length = |offset, size, form, inclusive, adjust, strip| {
        FrameSpec::Length(LengthSpec { offset, size, form, inclusive, adjust, strip, min: None, max: 200 })
    };
    let empty = LengthSpec { min: Some(0), ..LengthSpec::new(200) };
    let delimiter = |text: &str| FrameSpec::Delimiter(DelimiterSpec { delimiter: text.to_owned(), max: 200 });
    [
        frame::bank::frame(200),
        cmpp::frame(),
        smgp::frame(),
        sgip::frame(),
        length(0, 2, LengthForm::Big, true, 0, true),
        length(3, 4, LengthForm::Little, false, -4, false),
        length(1, 1, LengthForm::Big, false, 2, false),
        length(0, 8, LengthForm::Little, true, 5, true),
        length(0, 18, LengthForm::Digits, false, -1, true),
        FrameSpec::Length(empty),
        delimiter("\n"),
        delimiter("aab"),
        delimiter("</报文>"),
        FrameSpec::Fixed(FixedSpec { size: 7 }),
    ]
    .iter()
    .map(|spec| spec.compile().unwrap())
    .collect()
});

/// The first byte chooses the framing, the next three how the stream is cut: however that is, the messages are the same.
pub fn frame(bytes: &[u8]) {
    let Some(([choice, lengths @ ..], stream)) = bytes.split_first_chunk::<4>() else { return };
    let framing = &FRAMINGS[usize::from(*choice) % FRAMINGS.len()];
    let found = messages(framing, pieces(lengths, stream));
    assert_eq!(found, messages(framing, pieces(&[1], stream)), "{framing:?}");
    for message in found.0 {
        let written = framing.encode(&message).unwrap();
        let mut buffer = BytesMut::from(&written[..]);
        let read = FrameDecoder::new(framing.clone()).decode(&mut buffer);
        assert_eq!(read, Ok(Some(message)), "{framing:?}");
        assert!(buffer.is_empty());
    }
}

/// The first byte chooses the version.
pub fn cmpp(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let version = [cmpp::Version::V20, cmpp::Version::V30][usize::from(choice % 2)];
    if let Ok(read) = cmpp::Pdu::decode(bytes, version) {
        // The answer to a login is read by its length, whatever version was asked for, and may hold a status that only 3.0 can write.
        let newer = matches!(read.command, cmpp::Command::ConnectResp(_)) && bytes.len() == 33;
        let written = read.encode(if newer { cmpp::Version::V30 } else { version }).unwrap();
        assert_eq!(cmpp::Pdu::decode(&written, version), Ok(read));
    }
    if let Ok(report) = cmpp::StatusReport::decode(bytes) {
        let _state = report.state();
        let _written = report.encode(version);
    }
}

/// The first byte chooses the version.
pub fn smgp(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let version = [smgp::Version::V13, smgp::Version::V30][usize::from(choice % 2)];
    if let Ok(read) = smgp::Pdu::decode(bytes, version) {
        let written = read.encode(version).unwrap();
        assert_eq!(smgp::Pdu::decode(&written, version), Ok(read));
    }
    if let Ok(report) = smgp::StatusReport::decode(bytes) {
        let _state = report.state();
        assert_eq!(smgp::StatusReport::decode(&report.encode()).as_ref(), Ok(&report));
    }
}

pub fn sgip(bytes: &[u8]) {
    if let Ok(read) = sgip::Pdu::decode(bytes) {
        let written = read.encode().unwrap();
        assert_eq!(sgip::Pdu::decode(&written), Ok(read));
    }
}

/// Parts as they come: each two bytes for sender and time, one for the length of the content, the content with its header.
pub fn sms_parts(mut bytes: &[u8]) {
    let limits = AssemblerLimits { messages: 4, bytes: 1000, timeout_ms: 1000 };
    let (mut assembler, mut now) = (Assembler::new(limits), 0);
    while let Some(([sender, wait, length], rest)) = bytes.split_first_chunk::<3>() {
        let (content, after) = rest.split_at(usize::from(*length).min(rest.len()));
        bytes = after;
        now += u64::from(*wait);
        let Ok((Some(part), payload)) = split_header(content) else { continue };
        let key = PartKey {
            source: vec![b'1', sender % 8],
            destination: b"10690000".to_vec(),
            reference: part.reference,
            total: part.total,
        };
        let _pushed = assembler.push(key, part, payload, now);
        assert!(assembler.len() <= limits.messages && assembler.bytes() <= limits.bytes);
        assert_eq!(assembler.is_empty(), assembler.bytes() == 0);
    }
    let _abandoned = assembler.expire(u64::MAX);
    assert!(assembler.is_empty());
}

/// The first byte chooses the encoding. Content is read and written again; as a text it is cut into parts and put together.
pub fn sms_text(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let encodings = [Encoding::Ascii, Encoding::Binary, Encoding::Ucs2, Encoding::Gbk];
    let encoding = encodings[usize::from(choice % 4)];
    if let Ok(text) = encoding.decode(bytes) {
        match encoding.encode(&text) {
            Ok(written) => assert_eq!(encoding.decode(&written).as_ref(), Ok(&text)),
            // It reads the four-byte codes of GB 18030 too, and writes none.
            Err(error) => assert_eq!(encoding, Encoding::Gbk, "{error}"),
        }
    }
    let text = String::from_utf8_lossy(bytes);
    let reference = if choice & 0x80 == 0 { Reference::Narrow(7) } else { Reference::Wide(700) };
    let Ok(parts) = split(&text, encoding, reference, 20) else { return };
    let mut assembler = Assembler::new(AssemblerLimits::default());
    let mut whole = None;
    for part in &parts {
        assert!(part.content.len() <= 160 && encoding == Encoding::Ascii || part.content.len() <= 140);
        if !part.has_header {
            whole = Some(part.content.clone());
            continue;
        }
        let (header, payload) = split_header(&part.content).unwrap();
        let header = header.unwrap();
        let key = PartKey {
            source: Vec::new(),
            destination: Vec::new(),
            reference: header.reference,
            total: header.total,
        };
        if let Outcome::Complete(put) = assembler.push(key, header, payload, 0).unwrap().outcome {
            whole = Some(put);
        }
    }
    assert_eq!(whole, Some(encoding.encode(&text).unwrap()));
}

static FILES: LazyLock<[FileFormat; 2]> = LazyLock::new(|| {
    let column = |name: &str, width, align| ColumnSpec {
        name: name.to_owned(),
        width: Some(width),
        align,
        cut: false,
    };
    let columns = vec![
        column("idNo", 18, Align::Text),
        column("name", 24, Align::Text),
        column("amount", 12, Align::Number),
    ];
    let amount = Some("amount".to_owned());
    let base = FileSpec { amount, max_rows: 50, max_row_bytes: 256, ..FileSpec::delimited([]) };
    let delimited = FileSpec { columns: columns.clone(), ..base.clone() };
    let fixed = FileSpec { form: FileForm::Fixed, columns, ..base };
    [delimited, fixed].map(|spec| spec.compile().unwrap())
});

/// The rows of a file, and what its end says.
fn rows<'a>(format: &FileFormat, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Record>, Option<u64>) {
    let (mut reader, mut buffer, mut found) = (FileReader::new(format.clone()), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match reader.read(&mut buffer) {
                Ok(Some(record)) => found.push(record),
                Ok(None) => break,
                Err(_) => return (found, None),
            }
        }
    }
    let totals = reader.finish(&buffer).ok();
    (found, totals.map(|totals| totals.count))
}

/// The first byte chooses the form, the next three how the file is cut. Its text is also read as the name of a file.
pub fn bank_file(bytes: &[u8]) {
    if let Ok(name) = std::str::from_utf8(bytes)
        && let Ok(read) = FileName::parse(name)
    {
        assert_eq!(read.to_string(), name);
    }
    let Some(([choice, lengths @ ..], file)) = bytes.split_first_chunk::<4>() else { return };
    let format = &FILES[usize::from(choice % 2)];
    let found = rows(format, pieces(lengths, file));
    assert_eq!(found, rows(format, pieces(&[255], file)));
    if let (records, Some(count)) = found {
        assert_eq!(records.len() as u64, count + 2, "header, rows, trailer");
    }
}
