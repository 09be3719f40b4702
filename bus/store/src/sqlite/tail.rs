//! Finds a call in the part of the log that the index has not: of this process, or of one that runs beside it.
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use qiao_core::{CallId, CallRecord, StoreError};

use super::unavailable;
use crate::{
    LogId, Position, codec,
    log::{reader::Reader, segment},
    recorder::State,
};

/// How long a look into the log may take; a few GB at most.
const LOOK_DEADLINE: Duration = Duration::from_secs(10);

pub enum Tail {
    Own(Arc<State>),
    /// The log folder of another process.
    Watched(PathBuf),
}

impl Tail {
    /// The log's id, or none where there is no log.
    pub fn log(&self) -> Result<Option<LogId>, StoreError> {
        match self {
            Tail::Own(state) => Ok(Some(state.log)),
            Tail::Watched(folder) if !folder.exists() => Ok(None),
            Tail::Watched(folder) => {
                segment::identify(folder).map_err(|error| unavailable(folder, &error.to_string()))
            }
        }
    }

    /// Looks through the log from `position` on.
    pub async fn find(&self, position: Position, id: CallId) -> Result<Option<CallRecord>, StoreError> {
        let (folder, end) = match self {
            Tail::Own(state) => (state.folder.clone(), Some(state.end())),
            Tail::Watched(folder) => (folder.clone(), None),
        };
        let until = Instant::now() + LOOK_DEADLINE;
        let place = folder.clone();
        let look = tokio::task::spawn_blocking(move || look(&folder, position, end, id, until));
        look.await.map_err(|_| unavailable(&place, "the look into the log panicked"))?
    }
}

fn look(
    folder: &Path,
    mut at: Position,
    end: Option<Position>,
    id: CallId,
    until: Instant,
) -> Result<Option<CallRecord>, StoreError> {
    let io = |error: std::io::Error| unavailable(folder, &error.to_string());
    let end = match end {
        Some(end) => end,
        None => match segment::list(folder).map_err(io)?.last() {
            Some(newest) => Position { segment: newest.number, offset: newest.bytes },
            None => return Ok(None),
        },
    };
    let mut reader = Reader::watching(folder);
    while at < end {
        if Instant::now() >= until {
            return Err(unavailable(
                folder,
                "the part of the log that is not in the store is too large to search",
            ));
        }
        let batch = match reader.read(at, end, usize::MAX) {
            Ok(batch) => batch,
            // Shipped and deleted meanwhile: the caller asks the index once more.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        for payload in batch.payloads() {
            if codec::summary(payload).is_ok_and(|head| head.id == id) {
                let corrupt = |error: codec::CodecError| StoreError::Corrupt {
                    place: folder.display().to_string(),
                    reason: format!("call {id}: {error}"),
                };
                return codec::decode(payload).map(Some).map_err(corrupt);
            }
        }
        at = batch.next;
    }
    Ok(None)
}
