//! The one open end of the log: writes batches, starts new files, and knows what is not yet synced.
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    LogId, Position, frame,
    segment::{self, Heads},
};
use crate::{chain, codec};

/// Capacity the buffer of a batch keeps.
const BUFFER_BYTES: usize = 1 << 20;

/// Appends to the newest segment. Used under a lock by whoever commits.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    log: LogId,
    segment_bytes: u64,
    file: Arc<File>,
    end: Position,
    /// Written since the last sync.
    dirty: bool,
    /// Finished files that are not synced yet.
    finished: Vec<Arc<File>>,
    /// A file was made since the last sync: the folder needs one too.
    folder_dirty: bool,
    heads: Heads,
    /// Where a batch gets its places in the chain.
    buffer: Vec<u8>,
    /// A failed write may have left bytes behind the end that could not be cut off: go on in a new file.
    tainted: bool,
}

/// What a sync has to do; taken under the lock, done outside it.
#[derive(Debug)]
pub struct Unsynced {
    files: Vec<Arc<File>>,
    folder: Option<PathBuf>,
}

/// What came of a write.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    pub end: Position,
    /// Bytes the log grew on disk, headers included.
    pub grown: u64,
    pub rotated: bool,
    /// Bytes of the frames themselves.
    pub bytes: u64,
}

impl Writer {
    /// Starts file `number`, which must not exist.
    pub fn create(
        folder: &Path,
        log: LogId,
        number: u64,
        segment_bytes: u64,
        heads: Heads,
    ) -> io::Result<Self> {
        let file = Arc::new(new_file(folder, log, number, &heads)?);
        let end = Position::start_of(number);
        let folder = folder.to_path_buf();
        let finished = Vec::new();
        Ok(Self {
            folder,
            log,
            segment_bytes,
            file,
            end,
            dirty: true,
            finished,
            folder_dirty: true,
            heads,
            buffer: Vec::new(),
            tainted: false,
        })
    }

    /// Where the chain stands.
    pub fn heads(&self) -> Heads {
        self.heads
    }

    /// Writes records that waited (see [`frame::waiting`]) with their places in the chain. On an error none counts as written.
    pub fn append(&mut self, waiting: &[u8]) -> io::Result<Written> {
        let mut head = self.heads.written;
        let mut buffer = std::mem::take(&mut self.buffer);
        for payload in frame::waiting(waiting) {
            let at = frame::begin(&mut buffer);
            buffer.extend_from_slice(payload);
            if payload.first() == Some(&codec::FORMAT_VERSION) {
                head = head.after(payload);
                chain::push(&mut buffer, &head);
            }
            frame::finish(&mut buffer, at);
        }
        let written = self.write(&buffer);
        if written.is_ok() {
            self.heads.written = head;
        }
        buffer.clear();
        buffer.shrink_to(BUFFER_BYTES);
        self.buffer = buffer;
        written
    }

    /// Writes a checkpoint over the chain up to `signed`.
    pub fn checkpoint(&mut self, payload: &[u8], signed: chain::Head) -> io::Result<Written> {
        let mut bytes = Vec::with_capacity(frame::FRAME_HEAD_BYTES + payload.len());
        let at = frame::begin(&mut bytes);
        bytes.extend_from_slice(payload);
        frame::finish(&mut bytes, at);
        let written = self.write(&bytes)?;
        self.heads.signed = signed;
        Ok(written)
    }

    pub fn end(&self) -> Position {
        self.end
    }

    /// Writes whole frames behind the end. On an error nothing counts as written and the end stays where it was.
    pub fn write(&mut self, frames: &[u8]) -> io::Result<Written> {
        let full = self.end.offset + frames.len() as u64 > self.segment_bytes;
        let rotated = self.tainted || (full && self.end.offset > segment::HEADER_BYTES);
        if rotated {
            self.rotate()?;
        }
        // Positioned, so that a part-written batch is overwritten by the next one.
        if let Err(error) = self.file.write_all_at(frames, self.end.offset) {
            self.tainted = self.file.set_len(self.end.offset).is_err();
            return Err(error);
        }
        self.end.offset += frames.len() as u64;
        self.dirty = true;
        let grown = frames.len() as u64 + if rotated { segment::HEADER_BYTES } else { 0 };
        Ok(Written { end: self.end, grown, rotated, bytes: frames.len() as u64 })
    }

    fn rotate(&mut self) -> io::Result<()> {
        let number = self.end.segment + 1;
        let file = Arc::new(new_file(&self.folder, self.log, number, &self.heads)?);
        self.finished.push(std::mem::replace(&mut self.file, file));
        self.end = Position::start_of(number);
        self.folder_dirty = true;
        self.tainted = false;
        Ok(())
    }

    /// Takes what is not synced. Give it back with [`Writer::sync_failed`] where the sync failed.
    pub fn take_unsynced(&mut self) -> Unsynced {
        let mut files = std::mem::take(&mut self.finished);
        if std::mem::take(&mut self.dirty) {
            files.push(Arc::clone(&self.file));
        }
        let folder = std::mem::take(&mut self.folder_dirty).then(|| self.folder.clone());
        Unsynced { files, folder }
    }

    /// After a failed sync the kernel may have dropped the pages: later writes go to a new file, and what was not synced stays to be tried again.
    pub fn sync_failed(&mut self, unsynced: Unsynced) {
        self.tainted = true;
        self.folder_dirty |= unsynced.folder.is_some();
        self.finished.extend(unsynced.files.into_iter().filter(|file| !Arc::ptr_eq(file, &self.file)));
        self.dirty = true;
    }
}

impl Unsynced {
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folder.is_none()
    }

    /// Blocks until all of it is on the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.files.iter().try_for_each(|file| file.sync_data())?;
        self.folder.as_ref().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

fn new_file(folder: &Path, log: LogId, number: u64, heads: &Heads) -> io::Result<File> {
    let place = segment::path(folder, number);
    let file = File::options().write(true).create_new(true).open(&place)?;
    if let Err(error) = file.write_all_at(&segment::header(number, log, heads), 0) {
        // Best effort: what stays is a file without a header, which opening removes.
        return Err(std::fs::remove_file(&place).err().unwrap_or(error));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: u64 = segment::HEADER_BYTES;

    fn create(folder: &Path, segment_bytes: u64) -> Writer {
        let log = LogId([1; 16]);
        Writer::create(folder, log, 1, segment_bytes, Heads::start(log)).expect("created")
    }

    #[test]
    fn a_batch_that_does_not_fit_goes_whole_into_the_next_file() {
        let folder = tempfile::tempdir().expect("folder");
        let mut writer = create(folder.path(), HEADER + 60);
        let first = writer.write(&[1; 50]).expect("written");
        let second = writer.write(&[2; 20]).expect("written");
        let third = writer.write(&[3; 300]).expect("a batch is never split");
        assert_eq!(first.end, Position { segment: 1, offset: HEADER + 50 });
        assert_eq!(
            (second.rotated, second.end, second.grown),
            (true, Position { segment: 2, offset: HEADER + 20 }, HEADER + 20)
        );
        assert_eq!((third.rotated, third.end), (true, Position { segment: 3, offset: HEADER + 300 }));
        let unsynced = writer.take_unsynced();
        assert_eq!((unsynced.files.len(), unsynced.folder.is_some()), (3, true));
        unsynced.sync().expect("synced");
        assert!(writer.take_unsynced().is_empty());
    }

    #[test]
    fn a_failed_rotation_leaves_the_end_and_the_next_write_succeeds() {
        let folder = tempfile::tempdir().expect("folder");
        let mut writer = create(folder.path(), HEADER + 60);
        writer.write(&[1; 50]).expect("written");
        std::fs::write(segment::path(folder.path(), 2), b"in the way").expect("written");
        writer.write(&[2; 50]).expect_err("file 2 exists");
        assert_eq!(writer.end(), Position { segment: 1, offset: HEADER + 50 });
        std::fs::remove_file(segment::path(folder.path(), 2)).expect("removed");
        assert_eq!(
            writer.write(&[2; 50]).expect("written").end,
            Position { segment: 2, offset: HEADER + 50 }
        );
    }

    #[test]
    fn after_a_failed_sync_writing_goes_on_in_a_new_file() {
        let folder = tempfile::tempdir().expect("folder");
        let mut writer = create(folder.path(), HEADER + 1_000);
        writer.write(&[1; 50]).expect("written");
        let unsynced = writer.take_unsynced();
        writer.sync_failed(unsynced);
        assert_eq!(
            writer.write(&[2; 50]).expect("written").end,
            Position { segment: 2, offset: HEADER + 50 }
        );
        assert_eq!(writer.take_unsynced().files.len(), 2, "the first file is tried again");
    }
}
