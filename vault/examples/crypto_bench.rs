//! Measures the vault on one core, in CPU time, against the required figures and Debian's OpenSSL in the same run, as a Markdown
//! table: `cargo run --release -p qiao-vault --example crypto_bench`. `make bench` puts it into docs/benchmarks.md.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]
use qiao_softdevice::rig::{Keys, Rig};
use qiao_vault::{
    CipherFormat, ClassicSignature, DEFAULT_SM2_ID, Envelope, EnvelopeSpec, KeyHandle, KeyKind, KeyRef, Mask,
    Padding, Params, ProtectedField, Provider, Purpose, RsaEncryption, SdfDevice, SdfSettings, Side,
    SignatureFormat, Sm4Mode, Vault, Zeroizing,
    certificate::{Certificate, CertificateUse, PublicKey, Subject, Validity, issue_certificate},
    classic::{aes_encrypt, hmac_sha256, hmac_sha512},
    key_text::read_pem_secret,
    message::{self, Identity, MessageForm, MessageKind, OwnKey, Recipient, Signer, SignerTrust},
    required_keys,
    revocation::Revocation,
    timestamp::{StampRequest, StampTrust, TimeStampAuthority, TimeStampQuery},
};
use std::{
    hint::black_box,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

const WINDOWS: usize = 15;
const WINDOW: Duration = Duration::from_millis(200);
const LARGE: usize = 64 << 10;

/// CPU seconds of this thread, so that a busy machine does not spoil the figures; wall time where Linux does not tell.
fn cpu(start: Instant) -> f64 {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse::<f64>().ok())
        .map_or_else(|| start.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

/// Operations per second of CPU time, best of many windows.
fn rate<T>(operation: impl FnMut() -> T) -> f64 {
    let origin = Instant::now();
    rate_by(|| cpu(origin), operation)
}

/// Operations per second of wall time, for what other threads do: one caller, who waits for each.
fn rate_of_one_caller<T>(operation: impl FnMut() -> T) -> f64 {
    let origin = Instant::now();
    rate_by(|| origin.elapsed().as_secs_f64(), operation)
}

fn rate_by<T>(clock: impl Fn() -> f64, mut operation: impl FnMut() -> T) -> f64 {
    black_box(operation());
    (0..WINDOWS).fold(0.0, |best: f64, _| {
        let (start, before) = (Instant::now(), clock());
        let mut count = 0;
        while start.elapsed() < WINDOW {
            for _ in 0..4 {
                black_box(operation());
            }
            count += 4;
        }
        best.max(f64::from(count) / (clock() - before))
    })
}

struct Row {
    name: &'static str,
    unit: &'static str,
    required: Option<f64>,
    ours: f64,
    openssl: Option<f64>,
}

fn main() {
    let vault = Vault::in_memory().unwrap();
    let mut rows = asymmetric(&vault);
    rows.extend(symmetric(&**vault.provider()));
    rows.extend(classic(&vault));
    rows.extend(envelope(&vault));
    rows.extend(asn1(&vault));
    rows.extend(stored(&vault));
    rows.extend(device(&vault));
    println!("| operation | Qiao ({}) | required | | OpenSSL | of OpenSSL |", vault.provider().name());
    println!("|---|--:|--:|--:|--:|--:|");
    rows.iter().for_each(Row::print);
    println!(
        "\nOpenSSL is Debian's `{}`, measured by its own `openssl speed`, over digests where it signs.",
        version()
    );
}

impl Row {
    fn print(&self) {
        let number = |value: f64| if value < 1000.0 { format!("{value:.1}") } else { format!("{value:.0}") };
        let cell = |value: Option<f64>| value.map_or("–".into(), number);
        let verdict = self.required.map_or("–".into(), |required| {
            let ratio = self.ours / required;
            let verdict = if ratio < 1.0 { "**missed**" } else { "met" };
            format!("{ratio:.2}× {verdict}")
        });
        println!(
            "| {}, {} | {} | {} | {verdict} | {} | {} |",
            self.name,
            self.unit,
            number(self.ours),
            cell(self.required),
            cell(self.openssl),
            self.openssl.map_or("–".into(), |theirs| format!("{:.2}×", self.ours / theirs)),
        );
    }
}

fn key(vault: &Vault, name: &str, purpose: Purpose) -> KeyHandle {
    let key: KeyRef = name.parse().unwrap();
    vault.generate(&key, KeyKind::Sm2, purpose).unwrap();
    vault.key(&key)
}

/// Signatures are over a message of 256 bytes with the identifier, as partners send them, not over a digest.
fn asymmetric(vault: &Vault) -> Vec<Row> {
    let provider = &**vault.provider();
    let (sign, encrypt) =
        (key(vault, "vault:sign", Purpose::Sign), key(vault, "vault:encrypt", Purpose::Encrypt));
    let message = [0x41; 256];
    let (raw, form) = (SignatureFormat::Raw, CipherFormat::default());
    let signature = sign.sign(&message, DEFAULT_SM2_ID, raw).unwrap();
    let cipher = encrypt.encrypt(&message, form).unwrap();
    let (their_sign, their_verify) = openssl_pair("sm2", "+F7");
    let row = |name, required, ours, openssl| Row {
        name,
        unit: "per second",
        required: Some(required),
        ours,
        openssl,
    };
    let generate = || provider.sm2_secret(&provider.sm2_generate().unwrap()).unwrap();
    let verify = || sign.verify(black_box(&message), DEFAULT_SM2_ID, &signature, raw).unwrap();
    vec![
        row("SM2 key generation", 5000.0, rate(generate), None),
        row("SM2 sign", 12000.0, rate(|| sign.sign(&message, DEFAULT_SM2_ID, raw).unwrap()), their_sign),
        row("SM2 verify", 5500.0, rate(verify), their_verify),
        row("SM2 encrypt 256 bytes", 3000.0, rate(|| encrypt.encrypt(&message, form).unwrap()), None),
        row("SM2 decrypt 256 bytes", 5000.0, rate(|| encrypt.decrypt(&cipher, form).unwrap()), None),
    ]
}

fn symmetric(provider: &dyn Provider) -> Vec<Row> {
    let (key, iv, data) = ([3; 16], [5; 16], vec![0x41; LARGE]);
    let megabytes = LARGE as f64 / 1e6;
    let hmac = rate(|| provider.hmac_sm3(&key, &[&data[..1024]]));
    let bytes = |arguments: &[&str]| openssl_bytes(arguments).map(|value| value / 1e6);
    let their_hmac = openssl_bytes(&["-bytes", "1024", "-hmac", "sm3"]).map(|value| value / 1024.0);
    let row = |name, required, ours: f64, openssl| Row {
        name,
        unit: "MB/s",
        required,
        ours: ours * megabytes,
        openssl,
    };
    let sm4 = |mode: Sm4Mode<'_>| rate(|| provider.sm4_encrypt(&key, &mode, &data).unwrap());
    let large = LARGE.to_string();
    vec![
        Row {
            name: "HMAC-SM3 of 1 KiB",
            unit: "per second",
            required: Some(30000.0),
            ours: hmac,
            openssl: their_hmac,
        },
        row(
            "SM4-ECB",
            Some(12.5),
            sm4(Sm4Mode::Ecb { padding: Padding::Pkcs7 }),
            bytes(&["-bytes", &large, "-evp", "sm4-ecb"]),
        ),
        row("SM4-CCM", Some(12.5), sm4(Sm4Mode::Ccm { nonce: &iv[..12], aad: b"" }), None),
        row("SM3", None, rate(|| provider.sm3(&[&data])), bytes(&["-bytes", &large, "-evp", "sm3"])),
        row(
            "SM4-CBC",
            Some(12.5),
            sm4(Sm4Mode::Cbc { iv: &iv, padding: Padding::Pkcs7 }),
            bytes(&["-bytes", &large, "-evp", "sm4-cbc"]),
        ),
        row(
            "SM4-CTR",
            Some(12.5),
            sm4(Sm4Mode::Ctr { iv: &iv }),
            bytes(&["-bytes", &large, "-evp", "sm4-ctr"]),
        ),
        row("SM4-GCM", Some(12.5), sm4(Sm4Mode::Gcm { nonce: &iv[..12], aad: b"" }), None),
    ]
}

/// What old partners ask for; the RSA key is made by OpenSSL.
fn classic(vault: &Vault) -> Vec<Row> {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .stderr(Stdio::null())
        .output()
        .expect("the RSA rows need the `openssl` command");
    let key: KeyRef = "vault:rsa".parse().unwrap();
    let pkcs8 = read_pem_secret(std::str::from_utf8(&made.stdout).unwrap()).unwrap();
    vault.import(&key, KeyKind::Rsa, Purpose::Sign, &pkcs8).unwrap();
    let (rsa, algorithm, message) = (vault.key(&key), ClassicSignature::RsaPkcs1, [0x41; 256]);
    let signature = rsa.sign_classic(&message, algorithm).unwrap();
    let key: KeyRef = "vault:rsa-cipher".parse().unwrap();
    vault.import(&key, KeyKind::Rsa, Purpose::Encrypt, &pkcs8).unwrap();
    let (cipher, scheme) = (vault.key(&key), RsaEncryption::OaepSha256);
    let wrapped = cipher.encrypt_rsa(&[7; 16], scheme).unwrap();
    let row_free = |name, ours| Row { name, unit: "per second", required: None, ours, openssl: None };
    let (their_sign, their_verify) = openssl_pair("rsa2048", "+F2");
    let (data, iv) = (vec![0x41; LARGE], [5; 16]);
    let aes = |mode: Sm4Mode<'_>| rate(|| aes_encrypt(&[3; 16], &mode, &data).unwrap()) * LARGE as f64 / 1e6;
    let row = |name, required, ours, openssl| Row {
        name,
        unit: "per second",
        required: Some(required),
        ours,
        openssl,
    };
    let bulk = |name, ours, openssl: Option<f64>| Row {
        name,
        unit: "MB/s",
        required: Some(75.0),
        ours,
        openssl: openssl.map(|value| value / 1e6),
    };
    let large = LARGE.to_string();
    vec![
        row("RSA-2048 sign", 1100.0, rate(|| rsa.sign_classic(&message, algorithm).unwrap()), their_sign),
        row(
            "RSA-2048 verify",
            20000.0,
            rate(|| rsa.verify_classic(&message, algorithm, &signature).unwrap()),
            their_verify,
        ),
        row_free("RSA-2048 OAEP-SHA256 decrypt", rate(|| cipher.decrypt_rsa(&wrapped, scheme).unwrap())),
        row(
            "HMAC-SHA256 of 1 KiB",
            40000.0,
            rate(|| hmac_sha256(&[3; 16], &data[..1024])),
            openssl_bytes(&["-bytes", "1024", "-hmac", "sha256"]).map(|value| value / 1024.0),
        ),
        row(
            "HMAC-SHA512 of 1 KiB",
            40000.0,
            rate(|| hmac_sha512(&[3; 16], &data[..1024])),
            openssl_bytes(&["-bytes", "1024", "-hmac", "sha512"]).map(|value| value / 1024.0),
        ),
        bulk(
            "AES-128-CBC",
            aes(Sm4Mode::Cbc { iv: &iv, padding: Padding::Pkcs7 }),
            openssl_bytes(&["-bytes", &large, "-evp", "aes-128-cbc"]),
        ),
        bulk(
            "AES-128-CTR",
            aes(Sm4Mode::Ctr { iv: &iv }),
            openssl_bytes(&["-bytes", &large, "-evp", "aes-128-ctr"]),
        ),
        bulk(
            "AES-128-GCM",
            aes(Sm4Mode::Gcm { nonce: &iv[..12], aad: b"" }),
            openssl_bytes(&["-bytes", &large, "-evp", "aes-128-gcm"]),
        ),
    ]
}

/// The light JSON envelope over 1 KiB: SM2 encryption of a session key, SM4-CBC, SM2 signature.
fn envelope(vault: &Vault) -> Vec<Row> {
    let spec: EnvelopeSpec = serde_json::from_str(include_str!("light.json")).unwrap();
    for required in required_keys(&spec) {
        vault.generate(&required.key, required.kind, required.purpose).unwrap();
    }
    let compiled =
        |side| Envelope::compile(&spec, vault, side).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let (bus, partner) = (compiled(Side::Bus), compiled(Side::Partner));
    let plain = [0x41; 1024];
    let wire = bus.seal(&plain, &Params::new()).unwrap();
    let row = |name, ours| Row { name, unit: "per second", required: None, ours, openssl: None };
    vec![
        row("light envelope of 1 KiB sealed", rate(|| bus.seal(&plain, &Params::new()).unwrap())),
        row("light envelope of 1 KiB opened", rate(|| partner.open(&wire, &Params::new()).unwrap())),
    ]
}

/// Time stamps with SM2 and SM3, issued and checked with the authority's chain, and a message for one recipient.
fn asn1(vault: &Vault) -> Vec<Row> {
    let provider = &**vault.provider();
    let validity = Validity { not_before: 0, not_after: 4_000_000_000 };
    let subject = |name: &str| Subject { common_name: name.into(), ..Subject::default() };
    let root = key(vault, "vault:root", Purpose::Sign);
    let certify = |of: &KeyHandle, issuer: Option<&Certificate>, name: &str, usage| {
        let public = PublicKey::of(of).unwrap();
        let der = issue_certificate(&root, issuer, &subject(name), &public, usage, validity).unwrap();
        Certificate::read(&der).unwrap()
    };
    let roots = [certify(&root, None, "Root", CertificateUse::Authority { path_length: 0 })];
    let stamper = key(vault, "vault:tsa", Purpose::Sign);
    let certificate = certify(&stamper, Some(&roots[0]), "TSA", CertificateUse::TimeStamping);
    let clock = Arc::new(|| 1_767_225_600_000);
    let authority = TimeStampAuthority::new(stamper, certificate, "1.2.3", clock).unwrap();
    let query = TimeStampQuery::new(provider, &[0x41; 256], &StampRequest::default()).unwrap();
    let answer = authority.answer(query.der());
    let trust = StampTrust { roots: &roots, more: &[], revocation: Revocation::None, policies: &[] };
    let check = || query.read_answer(provider, &answer, &trust, 1_767_225_600, 1).unwrap();

    let (sign, encrypt) =
        (key(vault, "vault:alice", Purpose::Sign), key(vault, "vault:bob", Purpose::Encrypt));
    let alice = certify(&sign, Some(&roots[0]), "Alice", CertificateUse::Sign);
    let bob = certify(&encrypt, Some(&roots[0]), "Bob", CertificateUse::Encrypt);
    let (signers, to) = ([Signer::new(sign, &alice)], [Recipient::Certificate(bob.clone())]);
    let (kind, form) = (MessageKind::SignedAndEnveloped, MessageForm::default());
    let seal = || message::seal(provider, kind, &[0x41; 1024], &signers, &to, &form, 0).unwrap();
    let sealed = seal();
    let keys = [OwnKey { key: encrypt, identity: Identity::of(&bob) }];
    let chain =
        SignerTrust::Chain { roots: &roots, more: &[], revocation: Revocation::None, now: 1_767_225_600 };
    let open = || message::open(provider, kind, &sealed, None, &keys, &chain).unwrap();
    let row = |name, required, ours| Row { name, unit: "per second", required, ours, openssl: None };
    vec![
        row("time stamp issued", Some(100.0), rate(|| authority.answer(query.der()))),
        row("time stamp checked", Some(50.0), rate(check)),
        row("GB/T 35275 message of 1 KiB sealed", None, rate(seal)),
        row("GB/T 35275 message of 1 KiB opened", None, rate(open)),
    ]
}

/// What a store keeps instead of the values: a protected field, a kept body of 1 KiB (salted, digested, sealed) and a record's
/// place in the chain of its log (the digest of 512 bytes, and the link over the link before).
fn stored(vault: &Vault) -> Vec<Row> {
    let provider = &**vault.provider();
    let (index, data): (KeyRef, KeyRef) = ("vault:index".parse().unwrap(), "vault:data".parse().unwrap());
    vault.generate(&index, KeyKind::Hmac, Purpose::Mac).unwrap();
    vault.generate(&data, KeyKind::Sm4, Purpose::Encrypt).unwrap();
    let field = ProtectedField::new(vault, "call.idNo", &index, &data, Mask { start: 3, end: 4 });
    let sealed = field.protect("310101199003074511").unwrap().sealed;
    let (key, body) = (vault.key(&data), [0x41; 1024]);
    let keep = || {
        let mut plain = Zeroizing::new(vec![0; 16]);
        provider.random(&mut plain).unwrap();
        plain.extend_from_slice(&body);
        (provider.sm3(&[&plain]), key.seal_value(&plain, b"call.body").unwrap())
    };
    let mut link = [0; 32];
    let next = || {
        link = provider.sm3(&[&link, &7_u64.to_le_bytes(), &provider.sm3(&[&body[..512]])]);
        link
    };
    let row = |name, ours| Row { name, unit: "per second", required: None, ours, openssl: None };
    vec![
        row("field sealed (hash, value, mask)", rate(|| field.protect("310101199003074511").unwrap())),
        row("field opened", rate(|| field.reveal(&sealed).unwrap())),
        row("kept body of 1 KiB sealed", rate(keep)),
        row("record of 512 bytes linked", rate(next)),
    ]
}

/// The way to a device and back, with the software device behind the C interface: one caller, wall time.
fn device(vault: &Vault) -> Vec<Row> {
    let rig = Rig::new(&Keys::new().pair(1, "word", &[3; 32], &[4; 32])).expect("the software device");
    let passwords = [(1, Zeroizing::new(b"word".to_vec()))].into();
    let settings = SdfSettings { passwords, ..SdfSettings::new(rig.path()) };
    vault.attach(Arc::new(SdfDevice::new("hsm", settings).unwrap())).unwrap();
    let key: KeyRef = "vault:hsm/sign".parse().unwrap();
    vault.adopt(&key, KeyKind::Sm2, Purpose::Sign, "hsm", "1").unwrap();
    let (key, raw) = (vault.key(&key), SignatureFormat::Raw);
    let sign = || key.sign(&[0x41; 256], DEFAULT_SM2_ID, raw).unwrap();
    let ours = rate_of_one_caller(sign);
    let name = "SM2 sign through the software device";
    vec![Row { name, unit: "per second", required: None, ours, openssl: None }]
}

/// `OpenSSL 3.0.19 27 Jan 2026 (Library: …)`, its first half.
fn version() -> String {
    let output = Command::new("openssl").arg("version").output().expect("the `openssl` command");
    String::from_utf8_lossy(&output.stdout).split(" (").next().unwrap_or_default().trim().to_owned()
}

/// Rates per second of user time, as `openssl speed` counts without `-elapsed`.
fn openssl_speed(arguments: &[&str]) -> Option<String> {
    let output = Command::new("openssl")
        .args(["speed", "-mr", "-seconds", "2"])
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()
}

/// Signatures and verifications per second. `+F7:0:256:CurveSM2:3031.5:3264.2`, `+F2:2:2048:0.000648:0.000019`
fn openssl_pair(name: &str, mark: &str) -> (Option<f64>, Option<f64>) {
    let text = openssl_speed(&[name]).unwrap_or_default();
    let fields: Vec<&str> =
        text.lines().find(|line| line.starts_with(mark)).unwrap_or("").split(':').collect();
    let mut numbers = fields.iter().rev().filter_map(|field| field.parse::<f64>().ok());
    let verify = numbers.next();
    (numbers.next(), verify)
}

/// Bytes per second. `+F:25:SM4-CBC:120331377.78`
fn openssl_bytes(arguments: &[&str]) -> Option<f64> {
    let text = openssl_speed(arguments)?;
    text.lines().find(|line| line.starts_with("+F:"))?.rsplit(':').next()?.parse().ok()
}
