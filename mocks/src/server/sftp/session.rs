//! The SFTP subsystem, version 3 (draft-ietf-secsh-filexfer-02), over a user's tree in memory.
use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use russh_sftp::protocol::{Attrs, Data, File, FileAttributes, Handle, Name, OpenFlags, Status, StatusCode};

use super::{hang_up, put};
use crate::{
    server::{beforehand, sockets::Place},
    sftp::{
        SftpForm,
        tree::{MAX_FILE, Node, Tree, normal},
    },
    spec::FaultKind,
};

/// Open files and folders of one session at most.
const MAX_HANDLES: usize = 64;
/// Bytes of one read at most.
const MAX_READ: usize = 64 << 10;

/// One session.
pub struct Files {
    place: Place,
    user: String,
    line: Arc<socket2::Socket>,
    open: HashMap<String, Open>,
    next: u64,
}

enum Open {
    Reading { path: String, bytes: Bytes },
    Writing { path: String, bytes: Vec<u8> },
    Listing(Option<Vec<File>>),
}

impl Files {
    pub fn new(place: Place, user: &str, line: Arc<socket2::Socket>) -> Self {
        Self { place, user: user.to_owned(), line, open: HashMap::new(), next: 0 }
    }

    /// The user's tree and what there is around it. A stopped partner hangs up.
    fn tree(&self) -> Result<(Arc<Mutex<Tree>>, Arc<SftpForm>), StatusCode> {
        let current = self.place.current();
        let Some((partner, number)) = &current else {
            hang_up(&self.line);
            return Err(StatusCode::ConnectionLost);
        };
        let listener = &partner.listeners[*number];
        let form = listener.sftp.clone().ok_or(StatusCode::Failure)?;
        Ok((partner.runtime.files(&listener.id, &self.user), form))
    }

    /// Refuses where a dial says so.
    fn permitted(&self) -> Result<(), StatusCode> {
        let Some((partner, number)) = self.place.current() else { return Err(StatusCode::ConnectionLost) };
        let refused = |kind| kind == FaultKind::Refused;
        match beforehand::strike(&self.place, &partner, &partner.listeners[number], "SFTP", &refused) {
            Some(_) => Err(StatusCode::PermissionDenied),
            None => Ok(()),
        }
    }

    fn keep(&mut self, id: u32, open: Open) -> Result<Handle, StatusCode> {
        if self.open.len() >= MAX_HANDLES {
            return Err(StatusCode::Failure);
        }
        self.next += 1;
        let handle = self.next.to_string();
        self.open.insert(handle.clone(), open);
        Ok(Handle { id, handle })
    }

    fn attributes(&self, path: &str) -> Result<FileAttributes, StatusCode> {
        let path = normal(path).ok_or(StatusCode::NoSuchFile)?;
        let (tree, form) = self.tree()?;
        if path == "/" || form.folders().any(|folder| folder == path) {
            return Ok(folder());
        }
        let tree = tree.lock();
        tree.get(&path).map(file).ok_or(StatusCode::NoSuchFile)
    }

    /// The path of a file that may be put.
    fn writable(&self, path: &str, form: &SftpForm) -> Result<String, StatusCode> {
        let path = normal(path).ok_or(StatusCode::PermissionDenied)?;
        match path.rsplit_once('/') {
            Some((folder, name)) if !name.is_empty() && form.takes(folder) => Ok(path),
            _ => Err(StatusCode::PermissionDenied),
        }
    }
}

fn folder() -> FileAttributes {
    FileAttributes { size: Some(0), permissions: Some(0o040_755), ..FileAttributes::empty() }
}

fn file(node: &Node) -> FileAttributes {
    FileAttributes {
        size: Some(node.bytes.len() as u64),
        permissions: Some(0o100_644),
        atime: Some(node.modified),
        mtime: Some(node.modified),
        ..FileAttributes::empty()
    }
}

fn done(id: u32) -> Status {
    Status { id, status_code: StatusCode::Ok, error_message: "Ok".into(), language_tag: "en-US".into() }
}

impl russh_sftp::server::Handler for Files {
    type Error = StatusCode;

    fn unimplemented(&self) -> StatusCode {
        StatusCode::OpUnsupported
    }

    async fn open(
        &mut self,
        id: u32,
        filename: String,
        flags: OpenFlags,
        _: FileAttributes,
    ) -> Result<Handle, StatusCode> {
        self.permitted()?;
        let (tree, form) = self.tree()?;
        if !flags.intersects(OpenFlags::WRITE | OpenFlags::APPEND) {
            let path = normal(&filename).ok_or(StatusCode::NoSuchFile)?;
            let bytes = tree.lock().get(&path).map(|node| node.bytes.clone());
            return self.keep(id, Open::Reading { path, bytes: bytes.ok_or(StatusCode::NoSuchFile)? });
        }
        let path = self.writable(&filename, &form)?;
        let before = tree.lock().get(&path).map(|node| node.bytes.clone());
        let bytes = match before {
            Some(_) if flags.contains(OpenFlags::EXCLUDE) => return Err(StatusCode::Failure),
            None if !flags.contains(OpenFlags::CREATE) => return Err(StatusCode::NoSuchFile),
            Some(bytes) if !flags.contains(OpenFlags::TRUNCATE) => bytes.to_vec(),
            _ => Vec::new(),
        };
        self.keep(id, Open::Writing { path, bytes })
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, StatusCode> {
        if let Open::Writing { path, bytes } = self.open.remove(&handle).ok_or(StatusCode::Failure)? {
            let (tree, form) = self.tree()?;
            let modified = u32::try_from(self.place.shared.clock.now_ms() / 1000).unwrap_or(u32::MAX);
            let node = Node { bytes: bytes.into(), modified, breaks: false };
            if !tree.lock().put(&path, node, form.max_bytes) {
                return Err(StatusCode::Failure);
            }
            put::put(&self.place, &self.user, &path);
        }
        Ok(done(id))
    }

    async fn read(&mut self, id: u32, handle: String, offset: u64, len: u32) -> Result<Data, StatusCode> {
        let Some(Open::Reading { path, bytes }) = self.open.get(&handle) else {
            return Err(StatusCode::Failure);
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        if from >= bytes.len() {
            return Err(StatusCode::Eof);
        }
        let mut to = bytes.len().min(from.saturating_add((len as usize).min(MAX_READ)));
        let half = bytes.len() / 2;
        let (tree, _) = self.tree()?;
        if tree.lock().get(path).is_some_and(|node| node.breaks) {
            if from >= half {
                tree.lock().breaks_once(path);
                hang_up(&self.line);
                return Err(StatusCode::ConnectionLost);
            }
            to = to.min(half);
        }
        Ok(Data { id, data: bytes[from..to].to_vec() })
    }

    async fn write(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        data: Vec<u8>,
    ) -> Result<Status, StatusCode> {
        let Some(Open::Writing { bytes, .. }) = self.open.get_mut(&handle) else {
            return Err(StatusCode::Failure);
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let to = from.checked_add(data.len()).filter(|to| *to <= MAX_FILE).ok_or(StatusCode::Failure)?;
        if bytes.len() < to {
            bytes.resize(to, 0);
        }
        bytes[from..to].copy_from_slice(&data);
        Ok(done(id))
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, StatusCode> {
        Ok(Attrs { id, attrs: self.attributes(&path)? })
    }

    async fn lstat(&mut self, id: u32, path: String) -> Result<Attrs, StatusCode> {
        self.stat(id, path).await
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Result<Attrs, StatusCode> {
        let size = match self.open.get(&handle) {
            Some(Open::Reading { bytes, .. }) => bytes.len(),
            Some(Open::Writing { bytes, .. }) => bytes.len(),
            _ => return Err(StatusCode::Failure),
        };
        let attrs = FileAttributes {
            size: Some(size as u64),
            permissions: Some(0o100_644),
            ..FileAttributes::empty()
        };
        Ok(Attrs { id, attrs })
    }

    async fn setstat(&mut self, id: u32, _: String, _: FileAttributes) -> Result<Status, StatusCode> {
        Ok(done(id))
    }

    async fn fsetstat(&mut self, id: u32, _: String, _: FileAttributes) -> Result<Status, StatusCode> {
        Ok(done(id))
    }

    async fn opendir(&mut self, id: u32, path: String) -> Result<Handle, StatusCode> {
        self.permitted()?;
        let path = normal(&path).ok_or(StatusCode::NoSuchFile)?;
        let (tree, form) = self.tree()?;
        let mut folders: Vec<&str> = form.folders().collect();
        folders.sort_unstable();
        folders.dedup();
        let listing: Vec<File> = if path == "/" {
            folders.iter().map(|name| File::new(&name[1..], folder())).collect()
        } else if folders.contains(&path.as_str()) {
            tree.lock().list(&path).map(|(name, node)| File::new(name, file(node))).collect()
        } else {
            return Err(StatusCode::NoSuchFile);
        };
        self.keep(id, Open::Listing(Some(listing)))
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Result<Name, StatusCode> {
        let Some(Open::Listing(listing)) = self.open.get_mut(&handle) else {
            return Err(StatusCode::Failure);
        };
        match listing.take() {
            Some(mut files) if !files.is_empty() => {
                // A packet holds some hundred names.
                let rest = files.split_off(files.len().min(100));
                *listing = Some(rest);
                Ok(Name { id, files })
            }
            _ => Err(StatusCode::Eof),
        }
    }

    async fn realpath(&mut self, id: u32, path: String) -> Result<Name, StatusCode> {
        let path = normal(&path).ok_or(StatusCode::NoSuchFile)?;
        Ok(Name { id, files: vec![File::dummy(path)] })
    }

    async fn remove(&mut self, id: u32, filename: String) -> Result<Status, StatusCode> {
        let path = normal(&filename).ok_or(StatusCode::NoSuchFile)?;
        let (tree, _) = self.tree()?;
        let removed = tree.lock().remove(&path);
        removed.map(|_| done(id)).ok_or(StatusCode::NoSuchFile)
    }

    async fn rename(&mut self, id: u32, oldpath: String, newpath: String) -> Result<Status, StatusCode> {
        self.permitted()?;
        let (tree, form) = self.tree()?;
        let from = self.writable(&oldpath, &form)?;
        let to = self.writable(&newpath, &form)?;
        {
            let mut tree = tree.lock();
            if tree.get(&to).is_some() {
                return Err(StatusCode::Failure);
            }
            let node = tree.remove(&from).ok_or(StatusCode::NoSuchFile)?;
            if !tree.put(&to, node, form.max_bytes) {
                return Err(StatusCode::Failure);
            }
        }
        put::put(&self.place, &self.user, &to);
        Ok(done(id))
    }
}
