//! Child processes pinned to a core, and what the kernel counted for them.
use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::Result;

/// The core of the proxy under test; load and upstream run on the other.
pub const PROXY_CORE: &str = "0";
pub const LOAD_CORE: &str = "1";

/// A child that ends with its owner.
pub struct Process {
    child: Child,
    /// The process whose CPU time counts: a worker of the child, or the child itself.
    pub counted: u32,
}

impl Process {
    /// Starts a command on one core and waits until it listens.
    pub fn start(core: &str, command: &[&str], folder: &Path, port: u16) -> Result<Self> {
        let log = fs::File::create(folder.join(format!("log-{port}")))?;
        let child = Command::new("taskset")
            .args(["-c", core])
            .args(command)
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut process = Self { counted: child.id(), child };
        process.wait_for(port)?;
        Ok(process)
    }

    /// Counts the worker of a server that has a master process, which starts it after it listens.
    pub fn count_worker(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Some(worker) = worker_of(self.child.id()) {
                self.counted = worker;
                return Ok(());
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Err("the server started no worker".into())
    }

    fn wait_for(&mut self, port: u16) -> Result<()> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the process for port {port} ended: {status}").into());
            }
            if Instant::now() > deadline {
                return Err(format!("nothing listens on {port}").into());
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(())
    }

    /// User and system time so far.
    pub fn cpu(&self) -> Result<(Duration, Duration)> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.counted))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| -> Result<Duration> {
            let ticks: u64 = fields.get(index).ok_or("short /proc stat")?.parse()?;
            // Linux counts in hundredths of a second for user space on every architecture.
            Ok(Duration::from_millis(ticks * 10))
        };
        Ok((ticks(11)?, ticks(12)?))
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.counted))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        let kib: u64 = line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse()?;
        Ok(kib * 1024)
    }
}

/// The child that does the work, for servers with a master process.
fn worker_of(process: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
    children.split_whitespace().last()?.parse().ok()
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGTERM, so that a master takes its workers along.
        drop(Command::new("kill").arg(self.child.id().to_string()).status());
        drop(self.child.wait());
    }
}
