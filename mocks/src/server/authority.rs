//! The development authority of a mock server: issues the certificates of TLS listeners that bring none of their own.
use std::{fs, io, io::Write as _, net::IpAddr, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use russh::keys::{
    PrivateKey,
    ssh_key::{LineEnding, private::Ed25519Keypair},
};
use rustls::{pki_types::CertificateDer, pki_types::PrivateKeyDer};

const NAME: &str = "Qiao mock partners: development authority, not for production";
const CERTIFICATE: &str = "mock-authority.pem";
const KEY: &str = "mock-authority-key.pem";
const HOST_KEY: &str = "mock-host-key";

/// The authority, its key in memory or in a folder.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Of SFTP listeners.
    host_key: PrivateKey,
    pem: String,
    host: IpAddr,
}

/// A certificate with its key.
pub type Issued = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Authority {
    /// The authority kept in `folder`, made there when missing; without a folder a new one. `host`: an address its certificates are for.
    ///
    /// # Errors
    /// Files that cannot be read, written or used.
    pub fn open(folder: Option<&Path>, host: IpAddr) -> io::Result<Self> {
        let kept = match folder.map(|folder| fs::read_to_string(folder.join(KEY))) {
            Some(Ok(key)) => Some(key),
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => None,
            Some(Err(error)) => return Err(error),
            None => None,
        };
        let key = kept.as_deref().map_or_else(KeyPair::generate, KeyPair::from_pem).map_err(unusable)?;
        let written = key.serialize_pem();
        let mut params = CertificateParams::new(Vec::new()).map_err(unusable)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, NAME);
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(unusable)?;
        let pem = match folder {
            Some(folder) if kept.is_some() => fs::read_to_string(folder.join(CERTIFICATE))?,
            Some(folder) => {
                fs::create_dir_all(folder)?;
                write_private(&folder.join(KEY), &written)?;
                fs::write(folder.join(CERTIFICATE), issuer.pem())?;
                issuer.pem()
            }
            None => issuer.pem(),
        };
        Ok(Self { issuer, host_key: host_key(folder)?, pem, host })
    }

    /// Its certificate as PEM, for clients to believe.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The key by which SFTP clients know the mock server.
    pub fn host_key(&self) -> &PrivateKey {
        &self.host_key
    }

    /// A certificate for localhost, the address listened on and `names`; `expired`: one whose time is over.
    ///
    /// # Errors
    /// Names that are none.
    pub fn issue(&self, names: &[String], expired: bool) -> Result<Issued, String> {
        let own = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned(), self.host.to_string()];
        let mut all: Vec<String> = own.into_iter().chain(names.iter().cloned()).collect();
        all.sort();
        all.dedup();
        let mut params = CertificateParams::new(all).map_err(|error| error.to_string())?;
        if expired {
            (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
        }
        let key = KeyPair::generate().map_err(|error| error.to_string())?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(|error| error.to_string())?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(str::to_owned)?;
        Ok((vec![certificate.der().clone()], key))
    }
}

fn unusable(error: rcgen::Error) -> io::Error {
    io::Error::other(format!("the development authority: {error}"))
}

/// The SSH host key, Ed25519, kept beside the authority.
fn host_key(folder: Option<&Path>) -> io::Result<PrivateKey> {
    let path = folder.map(|folder| folder.join(HOST_KEY));
    let kept = match path.as_ref().map(fs::read_to_string) {
        Some(Ok(text)) => Some(text),
        Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => None,
    };
    let wrong = |error: russh::keys::ssh_key::Error| io::Error::other(format!("the SSH host key: {error}"));
    if let Some(text) = kept {
        return PrivateKey::from_openssh(text).map_err(wrong);
    }
    let mut seed = [0; 32];
    let filled = rustls::crypto::ring::default_provider().secure_random.fill(&mut seed);
    filled.map_err(|_| io::Error::other("the SSH host key: no random numbers"))?;
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    if let Some(path) = path {
        write_private(&path, &key.to_openssh(LineEnding::LF).map_err(wrong)?)?;
    }
    Ok(key)
}

/// Readable by the owner alone.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_authority_stays_the_same_and_its_key_is_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let host = IpAddr::from([127, 0, 0, 1]);
        let first = Authority::open(Some(folder.path()), host).expect("made");
        let again = Authority::open(Some(folder.path()), host).expect("kept");
        assert_eq!(first.pem(), again.pem());
        assert_eq!(first.host_key().public_key(), again.host_key().public_key());
        let mode = fs::metadata(folder.path().join(KEY)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (chain, _) = again.issue(&["bank.example".into()], false).expect("issued");
        assert_eq!(chain.len(), 1);
        assert!(again.issue(&["名".into()], false).is_err());
    }
}
