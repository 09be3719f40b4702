//! Time stamps on evidence: asked of the authority that the settings name, and checked. For `qiao audit export` and `verify`.
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue, Method, header};
use qiao_connectors::{Endpoint, HttpConfig, HttpConnector, HttpOperation};
use qiao_core::{
    Clock, Connector, Outbound, SystemClock,
    connector::{AnswerBody, OutboundBody},
};
use qiao_store::audit::{Evidence, EvidenceStamp};
use qiao_vault::{
    KeyHandle, KeyKind, KeyRef, PureProvider, Purpose, Vault,
    certificate::{Certificate, CertificateUse, PublicKey, Subject, Validity, issue_certificate},
    revocation::Revocation,
    timestamp::{StampRequest, StampTrust, TimeStamp, TimeStampAuthority, TimeStampQuery, verify_token},
};

use crate::{cli::Failed, config::Config, needed_keys::own_key, unseal};

/// How long an authority may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// A file of certificates is at most this long.
const LARGEST: u64 = 1 << 20;
/// The pairs of the development authority, and its root certificate in the data folder.
const ROOT: &str = "vault:time-stamp/root";
const SIGN: &str = "vault:time-stamp/sign";
const ROOT_FILE: &str = "time-stamp-root.cer";
const SIGN_FILE: &str = "time-stamp.cer";
/// The development authority's own policy, below the arc for examples.
const POLICY: &str = "2.999.1";
const TEN_YEARS: i64 = 10 * 365 * 86_400;

fn now() -> i64 {
    SystemClock.now_us() / 1_000_000
}

/// Asks the settings' authority for a time stamp and puts it into the evidence, once it was checked.
pub async fn add(evidence: &mut Evidence, config: &Config) -> Result<TimeStamp, Failed> {
    let asked = config.time_stamps.clone().ok_or_else(|| {
        Failed("the settings name no time-stamp authority: see `timeStamps`; `timeStamps: {}` is the development authority".to_owned())
    })?;
    let request = StampRequest { hash: asked.hash, policy: asked.policy.clone(), certificate: true };
    let query = TimeStampQuery::new(&PureProvider, &evidence.stamped(), &request)?;
    let answer = match &asked.url {
        Some(url) => post(url, query.der()).await?,
        None => development(config)?.answer(query.der()),
    };
    let roots = roots(config)?;
    let policies: Vec<_> = asked.policy.into_iter().collect();
    let trust = StampTrust { roots: &roots, more: &[], revocation: Revocation::None, policies: &policies };
    let tolerance = asked.tolerance.map_or(60, |time| u32::try_from(time.0.as_secs()).unwrap_or(u32::MAX));
    let stamp = query
        .read_answer(&PureProvider, &answer, &trust, now(), tolerance)
        .map_err(|error| Failed(format!("the time-stamp authority's answer does not hold: {error}")))?;
    let token = stamp.token.iter().map(|byte| format!("{byte:02x}")).collect();
    evidence.time_stamp = Some(EvidenceStamp { hash: asked.hash, token });
    Ok(stamp)
}

/// Whether the evidence's time stamp holds under these roots; none where it carries none.
pub fn check(evidence: &Evidence, roots: &[Certificate]) -> Result<Option<TimeStamp>, String> {
    let Some(stamped) = &evidence.time_stamp else { return Ok(None) };
    let token = qiao_vault::TextForm::Hex.decode(&stamped.token).ok_or("its time stamp is no hex")?;
    let trust = StampTrust { roots, more: &[], revocation: Revocation::None, policies: &[] };
    let stamp = verify_token(&PureProvider, &token, &evidence.stamped(), stamped.hash, &trust)
        .map_err(|error| format!("its time stamp does not hold: {error}"))?;
    Ok(Some(stamp))
}

/// The roots of the settings' authority.
pub fn roots(config: &Config) -> Result<Vec<Certificate>, Failed> {
    let stamps = config
        .time_stamps
        .as_ref()
        .ok_or_else(|| Failed("the settings name no time-stamp authority".to_owned()))?;
    certificates(&stamps.authorities.clone().unwrap_or_else(|| config.data.join(ROOT_FILE)))
}

/// The certificates in a file: PEM, one or more, or DER.
pub fn certificates(file: &Path) -> Result<Vec<Certificate>, Failed> {
    let failed = |why: String| Failed(format!("{}: {why}", file.display()));
    let length = std::fs::metadata(file).map_err(|error| failed(error.to_string()))?.len();
    if length > LARGEST {
        return Err(failed(format!("{length} bytes; certificates have at most {LARGEST}")));
    }
    let bytes = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    let read = |bytes: &[u8]| Certificate::read(bytes).map_err(|error| failed(error.to_string()));
    let Some(text) = std::str::from_utf8(&bytes).ok().filter(|text| text.contains("-----BEGIN")) else {
        return Ok(vec![read(&bytes)?]);
    };
    let end = "-----END CERTIFICATE-----";
    let found: Result<Vec<_>, _> =
        text.split_inclusive(end).filter(|one| one.contains(end)).map(|one| read(one.as_bytes())).collect();
    found.and_then(|found| match found.is_empty() {
        true => Err(failed("holds no certificate".to_owned())),
        false => Ok(found),
    })
}

/// RFC 3161 §3.4.
async fn post(url: &str, query: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut config = HttpConfig::new("time-stamps");
    config.endpoints.push(Endpoint::new(url));
    config.operations.push(HttpOperation::new("stamp"));
    config.limits.answer_bytes = 1 << 20;
    let connector = HttpConnector::new(config)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/timestamp-query"));
    let outbound = Outbound {
        operation: 0,
        path: String::new(),
        changing: false,
        method: Method::POST,
        headers,
        body: OutboundBody::Whole(bytes::Bytes::copy_from_slice(query)),
        deadline: Instant::now() + PATIENCE,
        attempt: 0,
        idempotency_key: None,
        traceparent: None,
        avoid: None,
    };
    let failed = |why: String| Failed(format!("the time-stamp authority at {url}: {why}"));
    let answer = connector.call(outbound).await.map_err(|fault| failed(fault.to_string()))?;
    match answer.body {
        AnswerBody::Whole(body) if answer.status == 200 => Ok(body.to_vec()),
        _ => Err(failed(format!("answered with status {}", answer.status))),
    }
}

/// The authority for development: its pairs are made in the vault and its certificates in the data folder when it is first asked.
fn development(config: &Config) -> Result<TimeStampAuthority, Failed> {
    let vault = unseal::open(&config.vault)?;
    let (root, sign) = (pair(&vault, ROOT)?, pair(&vault, SIGN)?);
    let (root_file, sign_file) = (config.data.join(ROOT_FILE), config.data.join(SIGN_FILE));
    let validity = Validity { not_before: now() - 3600, not_after: now() + TEN_YEARS };
    let name = |name: &str| Subject { common_name: name.into(), ..Subject::default() };
    let kept = |file: &PathBuf, key: &KeyHandle| -> Option<Certificate> {
        let certificate = Certificate::read(&std::fs::read(file).ok()?).ok()?;
        PublicKey::of(key).is_ok_and(|own| own == certificate.public).then_some(certificate)
    };
    let root_certificate = match kept(&root_file, &root) {
        Some(known) => known,
        None => {
            let subject = name("Qiao development time stamps, root");
            let usage = CertificateUse::Authority { path_length: 0 };
            write(
                &root_file,
                &issue_certificate(&root, None, &subject, &PublicKey::of(&root)?, usage, validity)?,
            )?
        }
    };
    let certificate = match kept(&sign_file, &sign) {
        Some(known) => known,
        None => {
            let (subject, public) = (name("Qiao development time stamps"), PublicKey::of(&sign)?);
            let usage = CertificateUse::TimeStamping;
            let issuer = Some(&root_certificate);
            write(&sign_file, &issue_certificate(&root, issuer, &subject, &public, usage, validity)?)?
        }
    };
    let clock = Arc::new(|| SystemClock.now_us() / 1000);
    Ok(TimeStampAuthority::new(sign, certificate, POLICY, clock)?)
}

fn pair(vault: &Vault, name: &str) -> Result<KeyHandle, Failed> {
    let key: KeyRef = own_key(name);
    if !vault.exists(&key) {
        vault.generate(&key, KeyKind::Sm2, Purpose::Sign)?;
    }
    Ok(vault.key(&key))
}

fn write(file: &Path, der: &[u8]) -> Result<Certificate, Failed> {
    std::fs::write(file, der).map_err(|error| Failed(format!("{}: {error}", file.display())))?;
    Ok(Certificate::read(der)?)
}
