//! Segment files: names, headers, listing, and what opening does with what a crash left behind.
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{LogError, LogId, frame};

/// Length of the header: magic 8, format u32, file number u64, log id 16, CRC-32 of all before u32; little endian.
pub const HEADER_BYTES: u64 = 8 + 4 + 8 + 16 + 4;

const MAGIC: &[u8; 8] = b"QIAOLOG\n";
const FORMAT: u32 = 1;
const SUFFIX: &str = ".seg";
const DAMAGED_SUFFIX: &str = ".damaged";
/// Files set aside for an operator to look at; the oldest go beyond this.
const MAX_SET_ASIDE: usize = 4;

pub fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:020}{SUFFIX}"))
}

/// The header of a new file.
pub fn header(number: u64, log: LogId) -> [u8; HEADER_BYTES as usize] {
    let mut header = [0; HEADER_BYTES as usize];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    header[12..20].copy_from_slice(&number.to_le_bytes());
    header[20..36].copy_from_slice(&log.0);
    let sum = crc32fast::hash(&header[..36]);
    header[36..].copy_from_slice(&sum.to_le_bytes());
    header
}

/// The log id in a file's header, or none where the header is damaged. Its frames do not depend on it.
fn read_header(path: &Path) -> Result<Option<LogId>, LogError> {
    let mut header = [0; HEADER_BYTES as usize];
    let mut file = File::open(path).map_err(LogError::io("open", path))?;
    if let Err(error) = file.read_exact(&mut header) {
        let torn = error.kind() == io::ErrorKind::UnexpectedEof;
        return if torn { Ok(None) } else { Err(LogError::io("read", path)(error)) };
    }
    let sum = crc32fast::hash(&header[..36]).to_le_bytes();
    if header[..8] != MAGIC[..] || header[36..] != sum {
        return Ok(None);
    }
    let found = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    if found != FORMAT {
        return Err(LogError::Newer { place: path.display().to_string(), found, known: FORMAT });
    }
    let mut id = [0; 16];
    id.copy_from_slice(&header[20..36]);
    Ok(Some(LogId(id)))
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
        log = log.or(id);
    }
    Ok(Recovered { log: log.unwrap_or_else(LogId::generate), segments, next })
}

/// The log id that the files of a folder carry, or none where there is no readable file.
pub fn identify(folder: &Path) -> Result<Option<LogId>, LogError> {
    for listed in list(folder).map_err(LogError::io("list", folder))?.iter().rev() {
        if let Some(id) = read_header(&path(folder, listed.number))? {
            return Ok(Some(id));
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
        let mut bytes = header(number, LogId([7; 16])).to_vec();
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
        bytes[40 + 13 + 9] ^= 1;
        fs::write(path(folder.path(), 1), &bytes).expect("written");
        let found = recover(folder.path()).expect("opens");
        assert_eq!(found.segments[0].bytes, bytes.len() as u64);
    }

    #[test]
    fn a_file_without_a_whole_header_is_removed_and_its_number_not_used_again() {
        let folder = tempfile::tempdir().expect("folder");
        segment(folder.path(), 1, &[b"first"]);
        fs::write(path(folder.path(), 2), [1; 39]).expect("written");
        let found = recover(folder.path()).expect("opens");
        assert_eq!((found.next, found.segments.len(), found.log), (3, 1, LogId([7; 16])));
        assert!(!path(folder.path(), 2).exists());
    }

    #[test]
    fn a_later_format_is_refused_and_named() {
        let folder = tempfile::tempdir().expect("folder");
        let mut bytes = header(1, LogId([7; 16]));
        bytes[8] = 2;
        let sum = crc32fast::hash(&bytes[..36]);
        bytes[36..].copy_from_slice(&sum.to_le_bytes());
        fs::write(path(folder.path(), 1), bytes).expect("written");
        let error = recover(folder.path()).expect_err("format 2");
        assert!(error.to_string().contains("log format 2"), "{error}");
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
