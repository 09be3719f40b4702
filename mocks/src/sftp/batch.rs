//! Bank files as documents, and documents as bank files, right or as a fault asks.
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use qiao_vault::{KeyHandle, KeyKind, KeyRef, Purpose, SignatureFormat, Vault};
use qiao_wire::bankfile::{FileFormat, FileName, FileReader, Header, Record, write_file};
use serde_json::{Map, Value, json};

use super::{Answering, tree::Node};
use crate::{
    faults::{Fault, alter},
    matching::memo::scalar,
    spec::FaultKind,
};

/// The distinguishing identifier of signers, GM/T 0009 §10.
const SIGNER: &[u8] = b"1234567812345678";

/// The document of a batch: `file`, `header`, `rows`; `error` says why it could not be read.
pub fn document(
    name: &FileName,
    bytes: &[u8],
    format: &FileFormat,
    signature: &str,
) -> (Value, Option<Header>) {
    let mut document = json!({
        "file": {
            "name": name.to_string(),
            "business": name.business(),
            "sender": name.sender(),
            "receiver": name.receiver(),
            "date": date(name.date()),
            "batch": format!("{:04}", name.batch()),
        },
        "header": null,
        "rows": [],
        "signature": signature,
        "error": "",
    });
    match read(bytes, format) {
        Ok((header, rows)) => {
            document["header"] = json!({
                "batchNo": header.batch_no,
                "bankCode": header.bank_code,
                "date": date(header.date),
                "count": header.count,
                "amount": header.amount,
            });
            document["rows"] = Value::Array(rows);
            (document, Some(header))
        }
        Err(error) => {
            document["error"] = Value::from(error);
            (document, None)
        }
    }
}

fn date(date: time::Date) -> String {
    format!("{:04}{:02}{:02}", date.year(), u8::from(date.month()), date.day())
}

fn read(bytes: &[u8], format: &FileFormat) -> Result<(Header, Vec<Value>), String> {
    let mut reader = FileReader::new(format.clone());
    let mut buffer = BytesMut::from(bytes);
    let (mut head, mut rows) = (None, Vec::new());
    while let Some(record) = reader.read(&mut buffer).map_err(|error| error.to_string())? {
        match record {
            Record::Header(header) => head = Some(header),
            Record::Row(row) => {
                let mut members = Map::with_capacity(row.values.len() + 1);
                members.insert("seq".into(), Value::from(row.sequence));
                let columns = format.spec().columns.iter().map(|column| column.name.clone());
                members.extend(columns.zip(row.values.into_iter().map(Value::from)));
                rows.push(Value::Object(members));
            }
            Record::Trailer => {}
        }
    }
    reader.finish(&buffer).map_err(|error| error.to_string())?;
    head.map(|header| (header, rows)).ok_or_else(|| "the file has no header".to_owned())
}

/// Whether a detached signature holds: `good`, `bad`, `missing`; `unchecked` without keys.
pub fn signed(bytes: &[u8], signature: Option<&[u8]>, key: Option<&KeyHandle>) -> &'static str {
    match (key, signature) {
        (None, _) => "unchecked",
        (_, None) => "missing",
        (Some(key), Some(text)) => {
            let decoded = BASE64_STANDARD.decode(text.trim_ascii());
            let holds = decoded
                .is_ok_and(|signature| key.verify(bytes, SIGNER, &signature, SignatureFormat::Raw).is_ok());
            if holds { "good" } else { "bad" }
        }
    }
}

/// The files that answer a batch, in the order in which they appear.
///
/// # Errors
/// An answer without `rows`, a value that does not fit its column, a key that cannot sign.
pub fn results(
    answering: &Answering,
    (name, header, asked): (&FileName, &Header, &Value),
    answer: &Value,
    key: Option<&KeyHandle>,
    fault: Option<&Fault>,
    modified: u32,
) -> Result<Vec<(String, Node)>, String> {
    let kind = fault.map(|fault| fault.kind);
    if kind == Some(FaultKind::NoAnswer) {
        return Ok(Vec::new());
    }
    let rows = answer["rows"].as_array().ok_or("the answer has no `rows`")?;
    let columns = &answering.rows.spec().columns;
    // What the answer does not say of a row stands in the batch.
    let cell = |at: usize, row: &Value, name: &str| {
        let value = row.get(name).or_else(|| asked.get(at)?.get(name));
        value.and_then(scalar).map(|text| text.into_owned()).unwrap_or_default()
    };
    let row = |(at, row): (usize, &Value)| columns.iter().map(|column| cell(at, row, &column.name)).collect();
    let rows: Vec<Vec<String>> = rows.iter().enumerate().map(row).collect();
    let header = Header { amount: answer["amount"].as_u64().unwrap_or(0), ..header.clone() };
    let whole = write_file(&answering.rows, &header, &rows).map_err(|error| error.to_string())?;
    let bytes = spoilt(whole, kind);
    let signature = match key {
        Some(key) if kind != Some(FaultKind::MissingSignature) => Some(sign(&bytes, key, kind)?),
        _ => None,
    };
    let sent = if kind == Some(FaultKind::Cut) { bytes.slice(..bytes.len() / 2) } else { bytes };
    let batches = match kind {
        Some(FaultKind::DuplicateFile) => vec![name.batch(), name.batch().wrapping_add(1) % 10_000],
        _ => vec![name.batch()],
    };
    let mut files = Vec::new();
    for batch in batches {
        let name = FileName::new(&answering.business, name.receiver(), name.sender(), name.date(), batch)
            .map_err(|error| error.to_string())?;
        let mut put = |file: String, bytes: Bytes, breaks: bool| {
            files.push((format!("{}/{file}", answering.outbox), Node { bytes, modified, breaks }));
        };
        put(name.to_string(), sent.clone(), kind == Some(FaultKind::Reset));
        if let Some(signature) = &signature {
            put(name.signature_name(), signature.clone(), false);
        }
        put(name.ok_name(), Bytes::new(), false);
    }
    Ok(files)
}

fn spoilt(whole: Vec<u8>, kind: Option<FaultKind>) -> Bytes {
    match kind {
        Some(FaultKind::WrongCharset) => alter::other_charset(&whole).into(),
        // Rows end with LF alone.
        Some(FaultKind::BadBody) => {
            let text = whole
                .split_inclusive(|byte| *byte == b'\n')
                .flat_map(|line| [line.trim_ascii_end(), b"\r\n"]);
            text.flatten().copied().collect::<Vec<u8>>().into()
        }
        Some(FaultKind::WrongDigest) => {
            let mut bytes = whole;
            // The last byte is the line feed behind the digest.
            if let Some(digit) = bytes.iter_mut().rev().nth(1) {
                *digit = if *digit == b'0' { b'1' } else { b'0' };
            }
            bytes.into()
        }
        _ => whole.into(),
    }
}

fn sign(bytes: &[u8], key: &KeyHandle, kind: Option<FaultKind>) -> Result<Bytes, String> {
    let failed = |error: qiao_vault::VaultError| format!("the file cannot be signed: {error}");
    let signature = match kind {
        Some(FaultKind::BadSignature) => key.sign(&[bytes, b" "].concat(), SIGNER, SignatureFormat::Raw),
        Some(FaultKind::StaleKey) => {
            let vault = Vault::in_memory().map_err(failed)?;
            let other: KeyRef = "vault:mock/stale".parse().map_err(|_| "the name of a key".to_owned())?;
            vault.generate(&other, KeyKind::Sm2, Purpose::Sign).map_err(failed)?;
            vault.key(&other).sign(bytes, SIGNER, SignatureFormat::Raw)
        }
        _ => key.sign(bytes, SIGNER, SignatureFormat::Raw),
    };
    Ok(format!("{}\n", BASE64_STANDARD.encode(signature.map_err(failed)?)).into())
}
