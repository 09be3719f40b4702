//! The readers of documents: definitions, messages in every format, mock partners' tables and descriptions.
use crate::{mock_table::DataTable, mock_tree};
use qiao_mappings::{Charset, Codec, CodecKind, CodecSpec, SoapVersion, strict::Source};
use std::sync::LazyLock;

/// As a definition people write: its value, then as a type with known keys.
pub fn yaml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Source::read("fuzz.yaml", text) {
        Ok(source) => {
            let _shown = source.value().to_string();
            if let Err(mistakes) = source.decode::<CodecSpec>() {
                assert!(!mistakes.is_empty());
            }
        }
        Err(mistakes) => assert!(!mistakes.is_empty() && mistakes.iter().all(|mistake| mistake.line > 0)),
    }
}

fn codec(codec: CodecKind, change: impl FnOnce(&mut CodecSpec)) -> Codec {
    let mut spec = CodecSpec { codec, ..CodecSpec::default() };
    change(&mut spec);
    Codec::compile(&spec).unwrap()
}

/// What was read can be written where the format can carry it, and then reads the same.
fn there_and_back(codec: &Codec, bytes: &[u8]) {
    let Ok(read) = codec.decode(bytes) else { return };
    let Ok(written) = codec.encode(&read.document) else { return };
    let again = codec.decode(&written).unwrap();
    if read.soap_fault.is_none() {
        assert_eq!(again.document, read.document);
    }
}

/// The first byte chooses the settings.
fn with<const N: usize>(codecs: &[Codec; N], bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    there_and_back(&codecs[usize::from(*choice) % N], bytes);
}

pub fn xml(bytes: &[u8]) {
    static CODECS: LazyLock<[Codec; 4]> = LazyLock::new(|| {
        [
            codec(CodecKind::Xml, |_| {}),
            codec(CodecKind::Xml, |spec| spec.charset = Some(Charset::Gb18030)),
            codec(CodecKind::Xml, |spec| spec.arrays = vec!["answer.items.item".into()]),
            codec(CodecKind::Xml, |spec| {
                spec.unwrap = true;
                spec.element = Some("answer".into());
            }),
        ]
    });
    with(&CODECS, bytes);
}

pub fn soap(bytes: &[u8]) {
    static CODECS: LazyLock<[Codec; 2]> = LazyLock::new(|| {
        [SoapVersion::V11, SoapVersion::V12]
            .map(|version| codec(CodecKind::Soap, |spec| spec.version = Some(version)))
    });
    with(&CODECS, bytes);
}

pub fn json(bytes: &[u8]) {
    static CODECS: LazyLock<[Codec; 2]> = LazyLock::new(|| {
        [Charset::Utf8, Charset::Gb18030]
            .map(|charset| codec(CodecKind::Json, |spec| spec.charset = Some(charset)))
    });
    with(&CODECS, bytes);
}

pub fn form(bytes: &[u8]) {
    static CODECS: LazyLock<[Codec; 1]> = LazyLock::new(|| [codec(CodecKind::Form, |_| {})]);
    with(&CODECS, bytes);
}

pub fn csv(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match DataTable::parse(text) {
        Ok(table) => assert!(table.row("no key is so long that it would stand in a table").is_none()),
        Err(mistake) => assert!(mistake.line > 0),
    }
}

/// Descriptions of services: XML with its namespaces.
pub fn namespaced_xml(bytes: &[u8]) {
    if let Ok((text, root)) = mock_tree::read(bytes) {
        assert!(!root.name.local.is_empty());
        mock_tree::parse(&text).unwrap();
    }
}
