//! Entries as bytes: numbers, the lengths of what follows, then texts and bodies one after another. Only this process reads them.
use super::entry::{Body, Entry};

const NUMBERS: usize = 7;
const PARTS: usize = 18;
/// Bytes of a record before its texts.
pub const HEAD: usize = NUMBERS * 8 + PARTS * 4;
/// The length of a part that is not there.
const NONE: u32 = u32::MAX;

/// An entry copied out of the ring.
#[derive(Debug)]
pub struct Record {
    pub id: u64,
    pub bytes: Box<[u8]>,
}

impl Record {
    pub fn entry(&self) -> Entry<'_> {
        read(self.id, &self.bytes)
    }
}

/// The parts of an entry that differ in length, in the order in which they are written.
pub struct Parts<'e>([Option<&'e [u8]>; PARTS]);

impl<'e> Parts<'e> {
    pub fn of(entry: &Entry<'e>) -> Self {
        let text = |text: Option<&'e str>| text.map(str::as_bytes);
        Self([
            Some(entry.partner.as_bytes()),
            Some(entry.listener.as_bytes()),
            Some(entry.session.as_bytes()),
            text(entry.caller),
            text(entry.traceparent),
            Some(entry.method.as_bytes()),
            Some(entry.path.as_bytes()),
            text(entry.item),
            text(entry.key),
            text(entry.stub),
            text(entry.state_before),
            text(entry.state_after),
            text(entry.writes),
            text(entry.fault),
            text(entry.problem),
            Some(entry.request.bytes),
            entry.plain.map(|plain| plain.bytes),
            Some(entry.answer.bytes),
        ])
    }

    /// Bytes that the record takes.
    pub fn record_len(&self) -> usize {
        HEAD + self.0.iter().flatten().map(|part| part.len()).sum::<usize>()
    }

    /// Appends the record.
    pub fn write(&self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        let numbers: [u64; NUMBERS] = [
            entry.at_us.cast_unsigned(),
            entry.delay_ms,
            entry.took_us,
            entry.status.into(),
            entry.request.size as u64,
            entry.plain.map_or(0, |plain| plain.size as u64),
            entry.answer.size as u64,
        ];
        let mut head = [0; HEAD];
        let (first, second) = head.split_at_mut(NUMBERS * 8);
        for (place, number) in first.as_chunks_mut().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        for (place, part) in second.as_chunks_mut().0.iter_mut().zip(&self.0) {
            let length = part.map_or(NONE, |part| u32::try_from(part.len()).unwrap_or(NONE));
            *place = length.to_le_bytes();
        }
        out.extend_from_slice(&head);
        self.0.iter().flatten().for_each(|part| out.extend_from_slice(part));
    }
}

/// Reads a record that [`Parts::write`] has written.
pub fn read(id: u64, record: &[u8]) -> Entry<'_> {
    let (head, mut rest) = record.split_at(HEAD);
    let (numbers, lengths) = head.split_at(NUMBERS * 8);
    let mut numbers = numbers.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    let mut number = || numbers.next().unwrap_or_default();
    let (at_us, delay_ms, took_us, status) = (number().cast_signed(), number(), number(), number());
    let mut size = || usize::try_from(number()).unwrap_or(usize::MAX);
    let (request, plain, answer) = (size(), size(), size());
    let mut lengths = lengths.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    let mut part = || {
        let length = lengths.next().filter(|length| *length != NONE)?;
        let (part, after) = rest.split_at(length as usize);
        rest = after;
        Some(part)
    };
    // Texts were texts when they were written.
    let mut text = || part().map(|bytes| std::str::from_utf8(bytes).unwrap_or_default());
    // Fields are read in the order in which they stand here.
    let mut entry = Entry {
        id,
        at_us,
        delay_ms,
        took_us,
        status: u16::try_from(status).unwrap_or_default(),
        partner: text().unwrap_or_default(),
        listener: text().unwrap_or_default(),
        session: text().unwrap_or_default(),
        caller: text(),
        traceparent: text(),
        method: text().unwrap_or_default(),
        path: text().unwrap_or_default(),
        item: text(),
        key: text(),
        stub: text(),
        state_before: text(),
        state_after: text(),
        writes: text(),
        fault: text(),
        problem: text(),
        ..Entry::default()
    };
    entry.request = Body { bytes: part().unwrap_or_default(), size: request };
    entry.plain = part().map(|bytes| Body { bytes, size: plain });
    entry.answer = Body { bytes: part().unwrap_or_default(), size: answer };
    entry
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn some() -> impl Strategy<Value = Option<String>> {
        proptest::option::of(".{0,12}")
    }

    proptest! {
        #[test]
        fn an_entry_reads_back_as_it_was_written(
            texts in prop::collection::vec(".{0,20}", 5),
            options in prop::collection::vec(some(), 10),
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 3),
            has_plain in any::<bool>(),
            numbers in any::<(i64, u64, u64, u16)>(),
        ) {
            let option = |n: usize| options[n].as_deref();
            let body = |n: usize| Body { bytes: &bodies[n], size: bodies[n].len() * 3 };
            let entry = Entry {
                id: 7,
                at_us: numbers.0,
                partner: &texts[0],
                listener: &texts[1],
                session: &texts[2],
                caller: option(0),
                traceparent: option(1),
                method: &texts[3],
                path: &texts[4],
                item: option(2),
                key: option(3),
                stub: option(4),
                state_before: option(5),
                state_after: option(6),
                writes: option(7),
                fault: option(8),
                delay_ms: numbers.1,
                took_us: numbers.2,
                status: numbers.3,
                request: body(0),
                plain: has_plain.then(|| body(1)),
                answer: body(2),
                problem: option(9),
            };
            let parts = Parts::of(&entry);
            let mut bytes = vec![1, 2, 3];
            parts.write(&entry, &mut bytes);
            prop_assert_eq!(bytes.len() - 3, parts.record_len());
            prop_assert_eq!(format!("{:?}", read(7, &bytes[3..])), format!("{entry:?}"));
        }
    }
}
