//! The bounded pool of a device's sessions: one thread each, so that a device that hangs holds up no caller beyond its
//! deadline; and what happens when the device goes and comes back. For the driver.
use super::{
    SdfSettings,
    opened::{Opened, Passwords, Place},
};
use crate::{
    external::{DeviceKind, DeviceStatus, Failures},
    provider::CryptoError,
};
use parking_lot::{Condvar, Mutex};
use qiao_sdf::{Class, Device, Library, SdfError, Session};
use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

const GONE: CryptoError = CryptoError::Failed("the device is gone; it is tried again after a pause");
const SILENT: CryptoError = CryptoError::Failed("the device did not answer within its deadline");
const ALL_TAKEN: CryptoError = CryptoError::Busy("all sessions of the device are in use");
const NO_THREAD: CryptoError = CryptoError::Failed("no thread could be started for the device");
/// How long fewer sessions are asked for after the device gave no further one.
const FEWER: Duration = Duration::from_secs(10);

/// Why something was not done in a session.
#[derive(Debug)]
pub(super) enum Problem {
    /// The device's own words.
    Device(SdfError),
    /// The device's words where they are about data that came from outside.
    Data(SdfError),
    /// Our own conclusion, with the device's words where it has some.
    Told(CryptoError, Option<SdfError>),
}

impl From<SdfError> for Problem {
    fn from(error: SdfError) -> Self {
        Self::Device(error)
    }
}

impl From<CryptoError> for Problem {
    fn from(error: CryptoError) -> Self {
        Self::Told(error, None)
    }
}

impl Problem {
    pub(super) fn of_data(error: SdfError) -> Self {
        Self::Data(error)
    }

    /// For callers whose input is their own.
    pub(super) fn plain(self) -> CryptoError {
        match self {
            Self::Device(error) | Self::Data(error) => match error.class() {
                Class::Exhausted => CryptoError::Busy(error.text()),
                _ => CryptoError::Failed(error.text()),
            },
            Self::Told(error, _) => error,
        }
    }

    /// For callers whose input came from outside: whatever the device has against it is the one refusal.
    pub(super) fn data(self) -> CryptoError {
        match self {
            Self::Data(error) if matches!(error.class(), Class::Data | Class::Other) => CryptoError::Refused,
            other => other.plain(),
        }
    }

    fn words(&self) -> Option<SdfError> {
        match self {
            Self::Device(error) | Self::Data(error) => Some(*error),
            Self::Told(_, error) => *error,
        }
    }
}

type Task = Box<dyn FnOnce(&mut Option<Opened>) + Send>;

/// The calling half of a session's thread.
struct Worker {
    tasks: Sender<Task>,
    /// The device's connection it belongs to.
    generation: u64,
    /// Whether it has served before, so that its session may have grown stale.
    used: bool,
}

struct State {
    idle: Vec<Worker>,
    /// Threads with a session, or about to open or close one.
    alive: usize,
    /// Less than the settings' number for a while after the device gave no further session.
    most: usize,
    fewer_until: Option<Instant>,
    /// Rises when the connection is found lost.
    generation: u64,
    retry_at: Option<Instant>,
    pause: Duration,
    /// Calls that wait for a session.
    waiting: usize,
    failures: Failures,
}

struct Shared {
    name: String,
    library: Arc<Library>,
    passwords: Arc<Passwords>,
    sessions: usize,
    wait: Duration,
    answer: Duration,
    pause: (Duration, Duration),
    /// The open device, and the generation it was opened for.
    device: Mutex<(u64, Option<Arc<Device>>)>,
    state: Mutex<State>,
    freed: Condvar,
}

/// The pool. Dropping it closes idle sessions; one that is busy closes when its call returns.
pub(super) struct Pool(Arc<Shared>);

/// What to do after a failed call.
enum Next {
    Again,
    Fail(Problem),
}

impl Pool {
    pub(super) fn new(name: &str, library: Arc<Library>, settings: SdfSettings) -> Self {
        let pairs = settings.passwords.into_iter().map(|(index, word)| (Place::Pair(index), word));
        let keks = settings.kek_passwords.into_iter().map(|(index, word)| (Place::Kek(index), word));
        let passwords = Passwords { given: pairs.chain(keks).collect(), refused: Mutex::default() };
        let state = State {
            idle: Vec::new(),
            alive: 0,
            most: settings.sessions,
            fewer_until: None,
            generation: 0,
            retry_at: None,
            pause: settings.pause.0,
            waiting: 0,
            failures: Failures::default(),
        };
        Self(Arc::new(Shared {
            name: name.to_owned(),
            library,
            passwords: Arc::new(passwords),
            sessions: settings.sessions,
            wait: settings.wait,
            answer: settings.answer,
            pause: settings.pause,
            device: Mutex::default(),
            state: Mutex::new(state),
            freed: Condvar::new(),
        }))
    }

    /// Runs something in a session. It may run again in a fresh session where the first was lost, so it must be repeatable,
    /// as signing, decrypting and making keys are.
    pub(super) fn call<T: Send + 'static>(
        &self,
        job: impl Fn(&mut Opened) -> Result<T, Problem> + Send + Sync + 'static,
    ) -> Result<T, Problem> {
        let job = Arc::new(job);
        let deadline = Instant::now() + self.0.wait;
        loop {
            let mut worker = self.0.acquire(deadline)?;
            let (send, answers) = mpsc::sync_channel(1);
            let (shared, job, generation) = (self.0.clone(), job.clone(), worker.generation);
            let task: Task = Box::new(move |opened| {
                let result = shared.open(opened, generation).and_then(|opened| {
                    let value = job(opened)?;
                    opened.used = true;
                    Ok(value)
                });
                // A caller that waits no longer wants no result.
                drop(send.send(result));
            });
            if worker.tasks.send(task).is_err() {
                return Err(NO_THREAD.into());
            }
            let problem = match answers.recv_timeout(self.0.answer) {
                Ok(Ok(value)) => {
                    worker.used = true;
                    self.0.give_back(worker);
                    return Ok(value);
                }
                Ok(Err(problem)) => problem,
                Err(RecvTimeoutError::Timeout) => SILENT.into(),
                Err(RecvTimeoutError::Disconnected) => NO_THREAD.into(),
            };
            match self.0.after(worker, problem) {
                Next::Again => {}
                Next::Fail(problem) => return Err(problem),
            }
        }
    }

    pub(super) fn status(&self, name: &str) -> DeviceStatus {
        let state = self.0.state.lock();
        let idle = state.idle.iter().filter(|worker| worker.generation == state.generation).count();
        let mut status = DeviceStatus {
            name: name.to_owned(),
            kind: DeviceKind::Sdf,
            answering: state.retry_at.is_none(),
            open: state.alive,
            most: self.0.sessions,
            in_use: state.alive.saturating_sub(idle),
            waiting: state.waiting,
            failures: 0,
            last_failure: None,
            last_failure_at: None,
        };
        state.failures.tell(&mut status);
        status
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // The threads keep `Shared` alive, and its idle workers the threads.
        let mut state = self.0.state.lock();
        state.generation += 1;
        state.idle.clear();
    }
}

impl Shared {
    /// A session's worker: an idle one, else a new one within the bound, else the next that is freed before the deadline.
    fn acquire(self: &Arc<Self>, deadline: Instant) -> Result<Worker, Problem> {
        let mut state = self.state.lock();
        let mut probing = false;
        loop {
            let now = Instant::now();
            match state.retry_at {
                Some(at) if !probing && now < at => {
                    state.failures.add(None);
                    return Err(GONE.into());
                }
                // One caller tries; the others go on failing fast until it knows.
                Some(_) if !probing => {
                    state.retry_at = Some(now + self.wait.max(state.pause));
                    probing = true;
                }
                _ => {}
            }
            if state.fewer_until.is_some_and(|until| until <= now) {
                (state.fewer_until, state.most) = (None, self.sessions);
            }
            let generation = state.generation;
            while let Some(worker) = state.idle.pop() {
                if worker.generation == generation {
                    return Ok(worker);
                }
            }
            if state.alive < state.most {
                state.alive += 1;
                drop(state);
                return self.start(generation);
            }
            state.waiting += 1;
            let late = self.freed.wait_until(&mut state, deadline).timed_out();
            state.waiting -= 1;
            if late {
                state.failures.add(Some(ALL_TAKEN.to_string()));
                return Err(ALL_TAKEN.into());
            }
        }
    }

    fn start(self: &Arc<Self>, generation: u64) -> Result<Worker, Problem> {
        let (tasks, waiting) = mpsc::channel();
        let place = Occupied(self.clone());
        let thread = std::thread::Builder::new().name(format!("sdf-{}", self.name));
        // Dropped with the thread, or at once where there is none.
        let started = thread.spawn(move || serve(&waiting, place));
        started.map_err(|_| NO_THREAD)?;
        Ok(Worker { tasks, generation, used: false })
    }

    /// The session of a thread, opened at its first task.
    fn open<'a>(&self, opened: &'a mut Option<Opened>, generation: u64) -> Result<&'a mut Opened, Problem> {
        if opened.is_none() {
            let session = self.session(generation)?;
            *opened = Some(Opened::new(session, self.passwords.clone())?);
        }
        opened.as_mut().ok_or_else(|| NO_THREAD.into())
    }

    /// A new session. A device that came back may not know the old connection any more, so that is renewed once.
    fn session(&self, generation: u64) -> Result<Session, SdfError> {
        let device = self.device(generation)?;
        match device.session() {
            Err(error) if error.class() == Class::Other => {
                let mut current = self.device.lock();
                if current.1.as_ref().is_some_and(|known| Arc::ptr_eq(known, &device)) {
                    current.1 = None;
                }
                drop(current);
                self.device(generation)?.session()
            }
            result => result,
        }
    }

    /// The open device, opened anew for each generation.
    fn device(&self, generation: u64) -> Result<Arc<Device>, SdfError> {
        let mut current = self.device.lock();
        match &current.1 {
            Some(device) if current.0 >= generation => Ok(device.clone()),
            _ => {
                current.1 = None;
                let device = Device::open(&self.library)?;
                *current = (generation, Some(device.clone()));
                Ok(device)
            }
        }
    }

    fn give_back(&self, worker: Worker) {
        let mut state = self.state.lock();
        if worker.generation == state.generation {
            (state.retry_at, state.pause) = (None, self.pause.0);
            state.idle.push(worker);
        }
        drop(state);
        self.freed.notify_one();
    }

    /// Judges a failed call: what becomes of its session, of the connection, and of the call.
    fn after(&self, worker: Worker, problem: Problem) -> Next {
        let words = problem.words();
        let silent = matches!(problem, Problem::Told(error, None) if error == SILENT || error == NO_THREAD);
        let class = words.map(|error| error.class());
        let told = matches!(problem, Problem::Told(..));
        if let Some(error) = words.filter(|error| error.class() != Class::Data) {
            self.state.lock().failures.add(Some(error.to_string()));
        }
        match class {
            _ if silent => {
                self.state.lock().failures.add(Some(SILENT.to_string()));
                self.lost(&worker, true);
                Next::Fail(problem)
            }
            Some(Class::Device) => {
                // A session from before may only be older than the device's last restart: one fresh attempt.
                self.lost(&worker, !worker.used);
                if worker.used { Next::Again } else { Next::Fail(problem) }
            }
            Some(Class::Exhausted) if !told => {
                if self.fewer(&worker) {
                    Next::Again
                } else {
                    Next::Fail(problem)
                }
            }
            // The worker is dropped with its session, which may be what is wrong.
            Some(Class::Other) if worker.used && !told => Next::Again,
            Some(Class::Other) if !told => Next::Fail(problem),
            // The session is well: the device answered, and said no.
            _ => {
                self.give_back(Worker { used: true, ..worker });
                Next::Fail(problem)
            }
        }
    }

    /// The connection is lost: its idle sessions are dropped, and `pausing` leaves the device alone for a while.
    fn lost(&self, worker: &Worker, pausing: bool) {
        let mut state = self.state.lock();
        if worker.generation == state.generation {
            state.generation += 1;
            state.idle.clear();
            if pausing {
                state.retry_at = Some(Instant::now() + state.pause);
                state.pause = (state.pause * 2).min(self.pause.1);
            }
        }
        drop(state);
        self.freed.notify_all();
    }

    /// The device gives no further session: whether there are others of ours to wait for.
    fn fewer(&self, worker: &Worker) -> bool {
        let mut state = self.state.lock();
        let others = state.alive.saturating_sub(1);
        if others == 0 || worker.used {
            return false;
        }
        state.most = others;
        state.fewer_until = Some(Instant::now() + FEWER);
        true
    }
}

/// A thread's place among the pool's; freed when its session is closed, however the thread ends.
struct Occupied(Arc<Shared>);

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.state.lock().alive -= 1;
        self.0.freed.notify_one();
    }
}

fn serve(tasks: &Receiver<Task>, place: Occupied) {
    let mut opened = None;
    // Ends when the worker is dropped: given up, or the pool gone.
    while let Ok(task) = tasks.recv() {
        task(&mut opened);
    }
    drop(opened);
    drop(place);
}
