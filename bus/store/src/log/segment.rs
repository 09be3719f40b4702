//! Segment files: names, headers, listing, and what opening does with what a crash left behind.
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{LogError, LogId, frame};
use crate::chain::{self, Checkpoint, Head};

/// Length of the header: magic 8, format u32, file number u64, log id 16, the chain's head before the first record here and
/// its last signed head (number u64, link 32 each), CRC-32 of all before u32; little endian.
pub const HEADER_BYTES: u64 = 8 + 4 + 8 + 16 + 2 * 40 + 4;

const HEADER: usize = HEADER_BYTES as usize;
const SUM_AT: usize = HEADER - 4;
const MAGIC: &[u8; 8] = b"QIAOLOG\n";
const FORMAT: u32 = 2;
const SUFFIX: &str = ".seg";
const DAMAGED_SUFFIX: &str = ".damaged";
/// Files set aside for an operator to look at; the oldest go beyond this.
const MAX_SET_ASIDE: usize = 4;

pub fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:020}{SUFFIX}"))
}

/// Where a log's chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// After the last record.
    pub written: Head,
    /// After the last record under a checkpoint.
    pub signed: Head,
}

impl Heads {
    pub fn start(log: LogId) -> Self {
        Self { written: Head::start(log), signed: Head::start(log) }
    }
}

/// The header of a new file.
pub fn header(number: u64, log: LogId, heads: &Heads) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    header[12..20].copy_from_slice(&number.to_le_bytes());
    header[20..36].copy_from_slice(&log.0);
    for (at, head) in [(36, &heads.written), (76, &heads.signed)] {
        header[at..at + 8].copy_from_slice(&head.records.to_le_bytes());
        header[at + 8..at + 40].copy_from_slice(&head.link);
    }
    let sum = crc32fast::hash(&header[..SUM_AT]);
    header[SUM_AT..].copy_from_slice(&sum.to_le_bytes());
    header
}

/// What a file's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub log: LogId,
    pub heads: Heads,
}

/// The header of a file, or none where it is damaged. Its frames do not depend on it.
pub fn read_header(path: &Path) -> Result<Option<Header>, LogError> {
    let mut header = [0; HEADER];
    let mut file = File::open(path).map_err(LogError::io("open", path))?;
    if let Err(error) = file.read_exact(&mut header) {
        let torn = error.kind() == io::ErrorKind::UnexpectedEof;
        return if torn { Ok(None) } else { Err(LogError::io("read", path)(error)) };
    }
    let found = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    let sum = crc32fast::hash(&header[..SUM_AT]).to_le_bytes();
    // The header of format 1 ended at byte 40.
    let older = found == 1 && header[36..40] == crc32fast::hash(&header[..36]).to_le_bytes();
    if header[..8] != MAGIC[..] || (header[SUM_AT..] != sum && !older) {
        return Ok(None);
    }
    if found != FORMAT {
        return Err(LogError::Format { place: path.display().to_string(), found, known: FORMAT });
    }
    let head = |at: usize| {
        let (mut records, mut link) = ([0; 8], [0; 32]);
        records.copy_from_slice(&header[at..at + 8]);
        link.copy_from_slice(&header[at + 8..at + 40]);
        Head { records: u64::from_le_bytes(records), link }
    };
    let mut id = [0; 16];
    id.copy_from_slice(&header[20..36]);
    Ok(Some(Header { log: LogId(id), heads: Heads { written: head(36), signed: head(76) } }))
}

/// Where the chain stands at the end of a file: its header's heads, moved on by what its frames say.
fn heads(path: &Path, log: LogId) -> Result<Heads, LogError> {
    let header = read_header(path)?;
    let mut heads = header.map_or_else(|| Heads::start(log), |header| header.heads);
    let mut records = 0;
    let bytes = fs::read(path).map_err(LogError::io("read", path))?;
    frame::walk(&bytes, HEADER, |payload| {
        if let Some((_, head)) = chain::split(payload) {
            heads.written = head;
            records += 1;
        } else if let Some((_, to)) = Checkpoint::of_payload(payload).and_then(|signed| signed.heads()) {
            heads.signed = to;
        }
    });
    if header.is_none() && records > 0 && heads.signed.records == 0 {
        // Where the last checkpoint was is lost with the header: those before stay without one, which an audit tells.
        heads.signed = heads.written;
    }
    Ok(heads)
}

/// One segment file on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    pub number: u64,
    pub bytes: u64,
}

/// All segment files, oldest first. Other files are left alone.
pub fn list(folder: &Path) -> io::Result<Vec<Listed>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let digits =
            name.to_str().and_then(|name| name.strip_suffix(SUFFIX)).filter(|digits| digits.len() == 20);
        if let Some(number) = digits.and_then(|digits| digits.parse().ok()) {
            match entry.metadata() {
                Ok(metadata) => found.push(Listed { number, bytes: metadata.len() }),
                // Shipped and deleted since the folder was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    found.sort_by_key(|listed| listed.number);
    Ok(found)
}

/// What opening found.
#[derive(Debug)]
pub struct Recovered {
    pub log: LogId,
    pub heads: Heads,
    /// Files left to ship, oldest first.
    pub segments: Vec<Listed>,
    /// The number of the file to write next.
    pub next: u64,
}

/// Looks at what the last run left: cuts a torn tail off the newest file, finds the log's id and the next file number.
/// Nothing valid is removed. The folder must be locked by the caller.
pub fn recover(folder: &Path) -> Result<Recovered, LogError> {
    let mut segments = list(folder).map_err(LogError::io("list", folder))?;
    let next = segments.last().map_or(1, |newest| newest.number + 1);
    if let Some(newest) = segments.last_mut() {
        let place = path(folder, newest.number);
        if newest.bytes < HEADER_BYTES {
            // The crash came between creating the file and its header: there was no record in it yet.
            fs::remove_file(&place).map_err(LogError::io("remove the empty", &place))?;
            tracing::warn!(segment = newest.number, "removed a log segment without a whole header");
            segments.pop();
        } else {
            newest.bytes = cut_torn_tail(&place, newest.number)?;
        }
    }
    let mut log = None;
    for listed in segments.iter().rev() {
        let place = path(folder, listed.number);
        let id = read_header(&place)?;
        if id.is_none() {
            tracing::error!(place = %place.display(), "the header of a log segment is damaged; its records are read all the same");
        }
        log = log.or(id.map(|header| header.log));
    }
    let log = log.unwrap_or_else(LogId::generate);
    let heads = match segments.last() {
        Some(newest) => heads(&path(folder, newest.number), log)?,
        None => Heads::start(log),
    };
    Ok(Recovered { log, heads, segments, next })
}

/// The log id that the files of a folder carry, or none where there is no readable file.
pub fn identify(folder: &Path) -> Result<Option<LogId>, LogError> {
    for listed in list(folder).map_err(LogError::io("list", folder))?.iter().rev() {
        if let Some(header) = read_header(&path(folder, listed.number))? {
            return Ok(Some(header.log));
        }
    }
    Ok(None)
}

fn cut_torn_tail(place: &Path, number: u64) -> Result<u64, LogError> {
    let bytes = fs::read(place).map_err(LogError::io("read", place))?;
    let scan = frame::scan(&bytes, HEADER_BYTES as usize);
    if !scan.damaged.is_empty() {
        tracing::error!(segment = number, stretches = ?scan.damaged, "a log segment is damaged between valid records");
    }
    if scan.valid_end < bytes.len() {
        let torn = bytes.len() - scan.valid_end;
        tracing::warn!(
            segment = number,
            offset = scan.valid_end,
            bytes = torn,
            "cut the torn tail off the newest log segment"
        );
        let file = File::options().write(true).open(place).map_err(LogError::io("open", place))?;
        file.set_len(scan.valid_end as u64).map_err(LogError::io("cut the torn tail off", place))?;
        file.sync_all().map_err(LogError::io("sync", place))?;
    }
    Ok(scan.valid_end as u64)
}

/// Keeps a shipped file that held damage, under another name; at most [`MAX_SET_ASIDE`] of them.
pub fn set_aside(folder: &Path, number: u64) -> io::Result<()> {
    let place = path(folder, number);
    let mut name = place.clone().into_os_string();
    name.push(DAMAGED_SUFFIX);
    fs::rename(&place, name)?;
    let mut kept: Vec<PathBuf> = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    kept.retain(|path| path.extension().is_some_and(|extension| extension == &DAMAGED_SUFFIX[1..]));
    kept.sort();
    let surplus = kept.len().saturating_sub(MAX_SET_ASIDE);
    kept.iter().take(surplus).try_for_each(fs::remove_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(folder: &Path, number: u64, payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = header(number, LogId([7; 16]), &Heads::start(LogId([7; 16]))).to_vec();
        for payload in payloads {
            let at = frame::begin(&mut bytes);
            bytes.extend_from_slice(payload);
            frame::finish(&mut bytes, at);
        }
        fs::write(path(folder, number), &bytes).expect("written");
        bytes
    }

    #[test]
    fn a_new_folder_starts_at_one() {
        let folder = tempfile::tempdir().expect("folder");
        let found = recover(folder.path()).expect("opens");
        assert_eq!((found.next, found.segments.len()), (1, 0));
    }

    #[test]
    fn a_torn_tail_is_cut_at_every_byte_and_nothing_before_it_goes() {
        let folder = tempfile::tempdir().expect("folder");
        let whole = segment(folder.path(), 3, &[b"first", b"second", b"the last one"]);
        let last = whole.len() - 8 - 12;
        for cut in last + 1..whole.len() {
            fs::write(path(folder.path(), 3), &whole[..cut]).expect("written");
            let found = recover(folder.path()).expect("opens");
            assert_eq!(found.segments, [Listed { number: 3, bytes: last as u64 }], "cut at {cut}");
            assert_eq!(fs::read(path(folder.path(), 3)).expect("read"), &whole[..last], "cut at {cut}");
            assert_eq!((found.next, found.log), (4, LogId([7; 16])));
        }
    }

    #[test]
    fn damage_in_the_middle_keeps_the_records_behind_it() {
        let folder = tempfile::tempdir().expect("folder");
        let mut bytes = segment(folder.path(), 1, &[b"first", b"second", b"third"]);
        bytes[HEADER + 13 + 9] ^= 1;
        fs::write(path(folder.path(), 1), &bytes).expect("written");
        let found = recover(folder.path()).expect("opens");
        assert_eq!(found.segments[0].bytes, bytes.len() as u64);
    }

    #[test]
    fn a_file_without_a_whole_header_is_removed_and_its_number_not_used_again() {
        let folder = tempfile::tempdir().expect("folder");
        segment(folder.path(), 1, &[b"first"]);
        fs::write(path(folder.path(), 2), [1; HEADER - 1]).expect("written");
        let found = recover(folder.path()).expect("opens");
        assert_eq!((found.next, found.segments.len(), found.log), (3, 1, LogId([7; 16])));
        assert!(!path(folder.path(), 2).exists());
    }

    #[test]
    fn a_later_format_is_refused_and_named() {
        let folder = tempfile::tempdir().expect("folder");
        let mut bytes = header(1, LogId([7; 16]), &Heads::start(LogId([7; 16])));
        bytes[8] = 3;
        let sum = crc32fast::hash(&bytes[..SUM_AT]);
        bytes[SUM_AT..].copy_from_slice(&sum.to_le_bytes());
        fs::write(path(folder.path(), 1), bytes).expect("written");
        let error = recover(folder.path()).expect_err("format 3");
        assert!(error.to_string().contains("log format 3"), "{error}");
    }

    #[test]
    fn a_log_of_the_first_format_is_refused_and_named_although_its_header_was_shorter() {
        let folder = tempfile::tempdir().expect("folder");
        let mut bytes = [0; 300];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8] = 1;
        let sum = crc32fast::hash(&bytes[..36]);
        bytes[36..40].copy_from_slice(&sum.to_le_bytes());
        fs::write(path(folder.path(), 1), bytes).expect("written");
        assert!(matches!(read_header(&path(folder.path(), 1)), Err(LogError::Format { found: 1, .. })));
    }

    #[test]
    fn the_chain_goes_on_from_the_last_record_and_the_last_checkpoint() {
        let folder = tempfile::tempdir().expect("folder");
        let start = Head::start(LogId([7; 16]));
        let (first, second) = (start.after(b"\x01a"), start.after(b"\x01a").after(b"\x01b"));
        let (_vault, _, key) = chain::tests::key();
        let signed = key.sign(LogId([7; 16]), start, first, 1).expect("signed").payload();
        let framed = |payload: &[u8], head: &Head| {
            let mut framed = payload.to_vec();
            chain::push(&mut framed, head);
            framed
        };
        segment(folder.path(), 4, &[&framed(b"\x01a", &first), &signed, &framed(b"\x01b", &second)]);
        let found = recover(folder.path()).expect("opens");
        assert_eq!(found.heads, Heads { written: second, signed: first });
    }

    #[test]
    fn only_the_newest_damaged_files_are_kept_aside() {
        let folder = tempfile::tempdir().expect("folder");
        for number in 1..=6 {
            segment(folder.path(), number, &[b"x"]);
            set_aside(folder.path(), number).expect("set aside");
        }
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 4);
        assert_eq!(list(folder.path()).expect("list"), []);
    }
}
