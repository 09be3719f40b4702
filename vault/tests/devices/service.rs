//! A signature and cipher service over HTTPS in this process, with keys of its own, that misbehaves as told.
use qiao_vault::{Padding, Provider, PureProvider, Sm4Mode};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What the service does with the next requests.
#[derive(Clone, Debug, PartialEq)]
pub enum Mood {
    Well,
    /// Answers so, whatever is asked.
    Says(u16, &'static str),
    /// Takes the request and never answers.
    Silent,
    /// Takes the request and hangs up.
    HangsUp,
}

pub struct Service {
    pub port: u16,
    /// PEM of the authority its certificate comes from.
    pub authority: String,
    inner: Arc<Inner>,
}

struct Inner {
    tls: Arc<rustls::ServerConfig>,
    mood: Mutex<Mood>,
    changed: Condvar,
    scalar: [u8; 32],
    sm4: [u8; 16],
    pub asked: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
    stopped: AtomicBool,
}

impl Service {
    pub fn start() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &authority).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();
        let inner = Arc::new(Inner {
            tls: Arc::new(tls),
            mood: Mutex::new(Mood::Well),
            changed: Condvar::new(),
            scalar: *PureProvider.sm2_generate().unwrap(),
            sm4: [0x42; 16],
            asked: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = inner.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (serving, stream) = (serving.clone(), stream.unwrap());
                std::thread::spawn(move || serving.connection(stream));
            }
        });
        Self { port, authority: authority.pem(), inner }
    }

    pub fn endpoint(&self) -> String {
        format!("https://127.0.0.1:{}/api", self.port)
    }

    pub fn set(&self, mood: Mood) {
        *self.inner.mood.lock().unwrap() = mood;
        self.inner.changed.notify_all();
    }

    /// Requests so far.
    pub fn asked(&self) -> usize {
        self.inner.asked.load(Ordering::Relaxed)
    }

    /// Requests under way, now and at most.
    pub fn under_way(&self) -> (usize, usize) {
        (self.inner.under_way.load(Ordering::Relaxed), self.inner.most.load(Ordering::Relaxed))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.inner.stopped.store(true, Ordering::Relaxed);
        self.set(Mood::HangsUp);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

type Stream = BufReader<rustls::StreamOwned<rustls::ServerConnection, TcpStream>>;

impl Inner {
    fn connection(&self, stream: TcpStream) {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let connection = rustls::ServerConnection::new(self.tls.clone()).unwrap();
        let mut stream = BufReader::new(rustls::StreamOwned::new(connection, stream));
        // A handshake the client breaks off ends here as well.
        while let Some((head, body)) = request(&mut stream) {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let now = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(now, Ordering::Relaxed);
            let answer = self.answer(&head, &body);
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            let Some((status, text)) = answer else { return };
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{text}", text.len());
            if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, head: &str, body: &Value) -> Option<(u16, String)> {
        let mood = {
            let mood = self.mood.lock().unwrap();
            let silent = |mood: &mut Mood| *mood == Mood::Silent;
            self.changed.wait_timeout_while(mood, Duration::from_secs(60), silent).unwrap().0.clone()
        };
        match mood {
            Mood::Says(status, text) => Some((status, text.to_owned())),
            Mood::Silent | Mood::HangsUp => None,
            Mood::Well if !head.to_lowercase().contains("authorization: bearer opensesame") => {
                Some((401, json!({"code": "NO"}).to_string()))
            }
            Mood::Well => Some(match self.done(head, body) {
                Some(result) => (200, json!({"code": 0, "data": {"result": result}}).to_string()),
                None => (200, json!({"code": "BAD-DATA"}).to_string()),
            }),
        }
    }

    fn done(&self, head: &str, body: &Value) -> Option<String> {
        let bytes = |name: &str| hex::decode(body[name].as_str()?).ok();
        let key = PureProvider.sm2_secret(&self.scalar).unwrap();
        let made = match head.split_whitespace().nth(1)? {
            "/api/keys/city%2Fsign" | "/api/keys/city%2Fopen" => key.point().to_vec(),
            "/api/sign" => key.sign_digest(&bytes("digest")?.try_into().ok()?).ok()?.to_vec(),
            "/api/decrypt" => {
                let cipher = qiao_vault::CipherFormat::Der.read(&bytes("cipher")?)?;
                key.decrypt(&cipher).ok()?.to_vec()
            }
            "/api/sm4" => {
                let (data, iv) = (bytes("data")?, bytes("iv")?);
                let mode = match body["mode"].as_str()? {
                    "CBC" => Sm4Mode::Cbc { iv: &iv, padding: Padding::None },
                    _ => Sm4Mode::Ecb { padding: Padding::None },
                };
                match body["direction"].as_str()? {
                    "encrypt" => PureProvider.sm4_encrypt(&self.sm4, &mode, &data).ok()?,
                    _ => PureProvider.sm4_decrypt(&self.sm4, &mode, &data).ok()?.to_vec(),
                }
            }
            _ => return None,
        };
        Some(hex::encode(made))
    }
}

fn request(stream: &mut Stream) -> Option<(String, Value)> {
    let mut head = String::new();
    loop {
        let before = head.len();
        stream.read_line(&mut head).ok().filter(|read| *read > 0)?;
        if head[before..].trim().is_empty() {
            break;
        }
    }
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, serde_json::from_slice(&body).unwrap_or_default()))
}
