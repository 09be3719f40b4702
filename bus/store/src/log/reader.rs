//! Reads frames back in order, in batches, skipping damage; used by shipping and by look-ups in the unshipped tail.
use std::{
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{
    Position,
    frame::{self, Found, MAX_FRAME_BYTES},
    segment,
};
use crate::{body::BODY, chain::CHECKPOINT};

/// How much is read at a time.
const CHUNK_BYTES: u64 = 1 << 20;

/// Records of one segment, in order.
#[derive(Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    payloads: Vec<Range<usize>>,
    /// Where the batch began; may lie in a later file than was asked for, where that file is gone.
    pub from: Position,
    /// Where to go on.
    pub next: Position,
    /// Bytes this batch moves on by.
    pub consumed: u64,
    /// Damaged stretches skipped.
    pub damaged: u64,
}

impl Batch {
    pub fn payloads(&self) -> Vec<&[u8]> {
        self.payloads.iter().map(|range| &self.bytes[range.clone()]).collect()
    }

    /// How many of them are records; the others are the chain's.
    pub fn records(&self) -> u64 {
        let is_record = |range: &&Range<usize>| ![CHECKPOINT, BODY].contains(&self.bytes[range.start]);
        self.payloads.iter().filter(is_record).count() as u64
    }
}

/// Reads a log folder. Holds one open file.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    open: Option<(u64, File)>,
    /// Another process writes the log: a part-written frame at its end is no damage.
    watching: bool,
}

impl Reader {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf(), open: None, watching: false }
    }

    /// Reads a log that another process may be writing.
    pub fn watching(folder: &Path) -> Self {
        Self { watching: true, ..Self::new(folder) }
    }

    /// Up to `max` records from `from` on, none at or behind `end`. The result lies within one file.
    pub fn read(&mut self, from: Position, end: Position, max: usize) -> io::Result<Batch> {
        let mut from = Position { offset: from.offset.max(segment::HEADER_BYTES), ..from };
        if from.segment < end.segment && !segment::path(&self.folder, from.segment).exists() {
            let later = segment::list(&self.folder)?.into_iter().find(|listed| listed.number > from.segment);
            from = Position::start_of(later.map_or(end.segment, |listed| listed.number.min(end.segment)));
        }
        let closed = from.segment < end.segment;
        let file = self.file(from.segment)?;
        let limit = if closed { file.metadata()?.len() } else { end.offset };
        let mut batch =
            Batch { bytes: Vec::new(), payloads: Vec::new(), from, next: from, consumed: 0, damaged: 0 };
        if from.offset < limit {
            fill(file, limit, max, &mut batch)?;
        }
        if batch.damaged > 0 && !self.watching {
            let up_to = batch.next.offset;
            tracing::error!(segment = from.segment, up_to, "skipped a damaged stretch of the log");
        }
        if closed && batch.next.offset >= limit {
            batch.next = Position::start_of(from.segment + 1);
        }
        Ok(batch)
    }

    fn file(&mut self, number: u64) -> io::Result<&File> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != number) {
            self.open = Some((number, File::open(segment::path(&self.folder, number))?));
        }
        Ok(&self.open.as_ref().ok_or(io::ErrorKind::NotFound)?.1)
    }
}

fn fill(file: &File, limit: u64, max: usize, batch: &mut Batch) -> io::Result<()> {
    let start = batch.from.offset;
    batch.bytes = read_range(file, start, limit.min(start + CHUNK_BYTES))?;
    let mut at = 0;
    while at < batch.bytes.len() && batch.payloads.len() < max {
        let whole = start + batch.bytes.len() as u64 >= limit;
        match frame::read(&batch.bytes, at) {
            Found::Frame(payload) => {
                at = payload.end;
                batch.payloads.push(payload);
            }
            // The next batch begins with this frame.
            Found::Short(_) if !whole && at > 0 => break,
            Found::Short(_) if !whole => {
                batch.bytes =
                    read_range(file, start, limit.min(start + MAX_FRAME_BYTES as u64 + CHUNK_BYTES))?;
            }
            Found::Short(_) | Found::Damaged => {
                at = skip(file, limit, batch, at)?;
                break;
            }
        }
    }
    batch.consumed = at as u64;
    batch.next.offset = start + batch.consumed;
    Ok(())
}

/// Finds the next valid frame behind damage, or the end. Reads the rest of the file: rare, and bounded by its size.
fn skip(file: &File, limit: u64, batch: &mut Batch, at: usize) -> io::Result<usize> {
    let from = batch.from.offset + at as u64;
    let rest = read_range(file, from, limit)?;
    let skipped = frame::resync(&rest, 0).unwrap_or(rest.len());
    batch.damaged += 1;
    Ok(at + skipped)
}

fn read_range(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::log::{LogId, segment::Heads};

    fn write(folder: &Path, number: u64, count: usize, size: usize) -> u64 {
        let mut bytes = segment::header(number, LogId([1; 16]), &Heads::start(LogId([1; 16]))).to_vec();
        for index in 0..count {
            let at = frame::begin(&mut bytes);
            bytes.extend(std::iter::repeat_n(index as u8, size));
            frame::finish(&mut bytes, at);
        }
        fs::write(segment::path(folder, number), &bytes).expect("written");
        bytes.len() as u64
    }

    fn all(folder: &Path, end: Position, max: usize) -> (Vec<u8>, u64) {
        let mut reader = Reader::new(folder);
        let (mut at, mut firsts, mut damaged) = (Position::default(), Vec::new(), 0);
        while at < end {
            let batch = reader.read(at, end, max).expect("read");
            assert!(batch.next > at, "a batch moves on");
            assert!(batch.payloads.len() <= max);
            firsts.extend(batch.payloads().iter().map(|payload| payload[0]));
            damaged += batch.damaged;
            at = batch.next;
        }
        (firsts, damaged)
    }

    #[test]
    fn reads_across_files_chunks_and_missing_numbers_up_to_the_end() {
        let folder = tempfile::tempdir().expect("folder");
        write(folder.path(), 2, 5, 400_000);
        write(folder.path(), 3, 0, 0);
        let length = write(folder.path(), 7, 4, 1_000_000);
        let end = Position { segment: 7, offset: length - 1_000_008 };
        assert_eq!(all(folder.path(), end, 3), (vec![0, 1, 2, 3, 4, 0, 1, 2], 0));
    }

    #[test]
    fn skips_a_damaged_frame_and_a_torn_tail_of_a_closed_file() {
        let folder = tempfile::tempdir().expect("folder");
        write(folder.path(), 1, 4, 50);
        let place = segment::path(folder.path(), 1);
        let mut bytes = fs::read(&place).expect("read");
        bytes[segment::HEADER_BYTES as usize + 58 + 20] ^= 4;
        bytes.truncate(bytes.len() - 5);
        fs::write(&place, &bytes).expect("written");
        write(folder.path(), 2, 1, 50);
        assert_eq!(
            all(folder.path(), Position { segment: 2, offset: segment::HEADER_BYTES + 58 }, 100),
            (vec![0, 2, 0], 2)
        );
    }

    #[test]
    fn a_position_behind_the_end_of_a_file_goes_on_with_the_next() {
        let folder = tempfile::tempdir().expect("folder");
        write(folder.path(), 1, 1, 50);
        write(folder.path(), 2, 1, 50);
        let batch = Reader::new(folder.path())
            .read(
                Position { segment: 1, offset: 9_000 },
                Position { segment: 2, offset: segment::HEADER_BYTES + 58 },
                10,
            )
            .expect("read");
        assert_eq!((batch.payloads.len(), batch.next), (0, Position::start_of(2)));
    }
}
