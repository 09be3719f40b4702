//! Finds the shared library, gives each test a device of its own, and drives it. For tests.
use std::{
    ffi::{CString, c_char, c_int, c_uint},
    fmt::Write,
    io,
    path::{Path, PathBuf},
};

/// What a device is to hold; written as a key file.
#[derive(Clone, Default)]
pub struct Keys(String);

impl Keys {
    pub fn new() -> Self {
        Self::default()
    }

    /// The signing and the encryption pair of an index.
    pub fn pair(self, index: u32, password: &str, sign: &[u8; 32], encrypt: &[u8; 32]) -> Self {
        self.line(format_args!("pair {index} {password} {} {}", hex::encode(sign), hex::encode(encrypt)))
    }

    /// An SM4 key-encryption key.
    pub fn kek(self, index: u32, password: &str, key: &[u8; 16]) -> Self {
        self.line(format_args!("kek {index} {password} {}", hex::encode(key)))
    }

    /// Sessions open at once; 64 when left out.
    pub fn sessions(self, most: usize) -> Self {
        self.line(format_args!("sessions {most}"))
    }

    /// Most bytes one call takes; 65536 when left out.
    pub fn buffer(self, bytes: usize) -> Self {
        self.line(format_args!("buffer {bytes}"))
    }

    fn line(mut self, line: std::fmt::Arguments<'_>) -> Self {
        writeln!(self.0, "{line}").expect("a String takes every text");
        self
    }

    /// The content of a key file.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The shared library, which cargo builds beside the tests that depend on this crate.
pub fn library() -> io::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let name = format!("{}qiao_softdevice{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    test.ancestors()
        .skip(1)
        .take(3)
        .flat_map(|folder| [folder.join(&name), folder.join("deps").join(&name)])
        .find(|file| file.exists())
        .ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("{name} is not beside {}", test.display()))
        })
}

/// One device: a copy of the library, so that its state is nobody else's.
pub struct Rig {
    folder: tempfile::TempDir,
    library: libloading::Library,
}

impl Rig {
    pub fn new(keys: &Keys) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("device.so");
        std::fs::copy(library()?, &path)?;
        // SAFETY: our own library, whose start-up code does nothing.
        let library = unsafe { libloading::Library::new(&path) }.map_err(io::Error::other)?;
        let rig = Self { folder, library };
        rig.fill(keys)?;
        Ok(rig)
    }

    /// For a driver to load: the same copy, and so the same device.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("device.so")
    }

    /// For files of the test's own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces what the device holds; open sessions stay.
    pub fn fill(&self, keys: &Keys) -> io::Result<()> {
        let text = CString::new(keys.text()).map_err(io::Error::other)?;
        // SAFETY: the function has this signature and the text is a C string.
        let code = unsafe {
            let fill = self.library.get::<unsafe extern "C" fn(*const c_char) -> c_int>(b"softdevice_fill\0");
            fill.map_err(io::Error::other)?(text.as_ptr())
        };
        if code == 0 { Ok(()) } else { Err(io::Error::other("the device does not understand its keys")) }
    }

    /// Pulls the cable, or puts it back; either way every session is lost.
    pub fn unplug(&self, out: bool) {
        self.tell(b"softdevice_unplug\0", c_int::from(out));
    }

    /// Lets every call stand still inside the device, or lets them go on.
    pub fn hold(&self, hold: bool) {
        self.tell(b"softdevice_hold\0", c_int::from(hold));
    }

    fn tell(&self, name: &[u8], argument: c_int) {
        // SAFETY: the functions of `control` with one number have this signature.
        unsafe {
            let told = self.library.get::<unsafe extern "C" fn(c_int)>(name);
            told.expect("our own library has it")(argument);
        }
    }

    /// Lets the next calls fail with a return code.
    pub fn fail(&self, code: u32, times: u32) {
        // SAFETY: the function has this signature.
        unsafe {
            let fail = self.library.get::<unsafe extern "C" fn(c_uint, c_uint)>(b"softdevice_fail\0");
            fail.expect("our own library has it")(code, times);
        }
    }

    pub fn open_sessions(&self) -> u32 {
        self.count(0)
    }

    pub fn most_sessions(&self) -> u32 {
        self.count(1)
    }

    pub fn wrong_passwords(&self) -> u32 {
        self.count(2)
    }

    /// Calls that stand still inside the device.
    pub fn standing(&self) -> u32 {
        self.count(3)
    }

    pub fn calls(&self) -> u32 {
        self.count(4)
    }

    pub fn sessions_opened(&self) -> u32 {
        self.count(5)
    }

    fn count(&self, what: c_uint) -> u32 {
        // SAFETY: the function has this signature.
        unsafe {
            let count = self.library.get::<unsafe extern "C" fn(c_uint) -> c_uint>(b"softdevice_count\0");
            count.expect("our own library has it")(what)
        }
    }
}
