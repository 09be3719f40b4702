//! Encrypted bodies on their way: a frame each in the log, beside their record and outside of the chain (re-encryption under a new
//! key changes them; the record holds what ties them to it), and a row each in the index.
use qiao_core::{BodyPart, CallId, CallRecord};

use crate::codec;

/// First byte of such a frame's payload.
pub(crate) const BODY: u8 = 4;

/// Bytes of one encrypted body at most.
pub const MAX_SEALED_BYTES: usize = 256 << 10;

const HEAD_BYTES: usize = 1 + 16 + 1;

/// The payloads of a record's bodies. One that is too long is left out; the record says how long it was.
pub(crate) fn payloads(record: &CallRecord) -> impl Iterator<Item = [&[u8]; 2]> + use<'_> {
    let kept = record.bodies.iter().filter(|body| (1..=MAX_SEALED_BYTES).contains(&body.sealed.len()));
    kept.map(|body| {
        let head: &[u8] = match body.part {
            BodyPart::Request => &[BODY, 1],
            BodyPart::Answer => &[BODY, 2],
        };
        [head, &body.sealed]
    })
}

/// Appends one such payload.
pub(crate) fn push(out: &mut Vec<u8>, id: CallId, [head, sealed]: [&[u8]; 2]) {
    out.extend_from_slice(head);
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(sealed);
}

/// The call, the part and the sealed body of a frame's payload; none where it is another kind of payload.
pub(crate) fn of_payload(payload: &[u8]) -> Option<(CallId, BodyPart, &[u8])> {
    let (head, sealed) = payload.split_first_chunk::<HEAD_BYTES>()?;
    let [BODY, part, id @ ..] = head else { return None };
    Some((CallId::from_bytes(*id), codec::part_of(u64::from(*part))?, sealed))
}

#[cfg(test)]
mod tests {
    use qiao_core::KeptBody;

    use super::*;
    use crate::testing::sample;

    #[test]
    fn a_body_reads_back_with_its_call_and_part_and_records_are_no_bodies() {
        let mut record = sample(CallId::generate());
        let body =
            |part, sealed: Vec<u8>| KeptBody { part, bytes: 3, cut: false, digest: "ab".into(), sealed };
        record.bodies = vec![
            body(BodyPart::Request, vec![7; 40]),
            body(BodyPart::Answer, Vec::new()),
            body(BodyPart::Answer, vec![0; MAX_SEALED_BYTES + 1]),
        ];
        let payloads: Vec<_> = payloads(&record).collect();
        assert_eq!(payloads.len(), 1, "neither an empty nor an oversized one");
        let mut bytes = Vec::new();
        push(&mut bytes, record.id, payloads[0]);
        assert_eq!(of_payload(&bytes), Some((record.id, BodyPart::Request, &[7; 40][..])));
        let mut other = Vec::new();
        codec::encode(&record, &mut other);
        assert_eq!(of_payload(&other), None);
    }
}
