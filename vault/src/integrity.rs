//! Signed manifests of files: the program, its definitions and whatever else must not change unseen. For start-up checks and
//! releases (GB/T 39786 level 3: integrity of executables and of important data).
use crate::{
    error::VaultError,
    format::SignatureFormat,
    provider::{DEFAULT_SM2_ID, Provider, sm2_z},
    vault::KeyHandle,
};
use serde::{Deserialize, Serialize};
use sm3::{Digest, Sm3};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Why the files are not what was signed. Each names the file and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum IntegrityError {
    #[error("the manifest {0} cannot be read: {1}")]
    Manifest(PathBuf, String),
    #[error("the signature of the manifest {0} does not hold; it was altered or signed by another key")]
    Signature(PathBuf),
    #[error("{0} was changed after it was signed; install it again or sign it anew")]
    Changed(PathBuf),
    #[error("{0} is signed but missing; install it again")]
    Missing(PathBuf),
    #[error("{0} is not in the signed manifest; remove it or sign anew")]
    Unsigned(PathBuf),
    #[error("{0} is not covered by the signed manifest; sign it anew with this path in it")]
    Uncovered(PathBuf),
    #[error("{0}: {1}")]
    Unreadable(PathBuf, String),
    #[error(transparent)]
    Vault(#[from] VaultError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    /// The exact text that is signed: a [`Manifest`] as JSON.
    manifest: String,
    /// r ‖ s in hex.
    signature: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// 1.
    qiao_manifest: u32,
    /// Files and folders that were named; a folder admits nothing but what is listed.
    covers: Vec<String>,
    /// Path below the root, with `/` → SM3 in hex.
    files: BTreeMap<String, String>,
}

/// Bounds what a manifest may list.
const MAX_FILES: usize = 100_000;
const MAX_MANIFEST: u64 = 64 << 20;

/// Signs the named files and folders below `root` and gives the manifest's text. Symbolic links are refused.
pub fn sign_files(root: &Path, covers: &[&str], signer: &KeyHandle) -> Result<String, IntegrityError> {
    let mut files = BTreeMap::new();
    for path in list(root, covers)? {
        let digest = digest(&root.join(&path))?;
        files.insert(path, digest);
    }
    let covers = covers.iter().map(|cover| (*cover).to_owned()).collect();
    let manifest = to_json(&Manifest { qiao_manifest: 1, covers, files })?;
    let signature = signer.sign(manifest.as_bytes(), DEFAULT_SM2_ID, SignatureFormat::Raw)?;
    to_json(&Signed { manifest, signature: hex::encode(signature) })
}

/// Checks a manifest's signature and then every file below `root` it covers; stops at the first that differs. `public` is the
/// signer's key x ‖ y, which the caller must have from a place an intruder cannot write. Works with a sealed vault.
/// Gives the number of files.
pub fn verify_files(
    provider: &dyn Provider,
    public: &[u8; 64],
    manifest_file: &Path,
    root: &Path,
) -> Result<usize, IntegrityError> {
    SignedManifest::read(provider, public, manifest_file, root)?.verify()
}

/// A manifest whose signature held. What it lists is yet to be compared with what is there.
pub struct SignedManifest {
    root: PathBuf,
    manifest: Manifest,
}

impl SignedManifest {
    /// Reads a manifest and checks its signature; see [`verify_files`].
    pub fn read(
        provider: &dyn Provider,
        public: &[u8; 64],
        manifest_file: &Path,
        root: &Path,
    ) -> Result<Self, IntegrityError> {
        let bad = |why: &dyn ToString| IntegrityError::Manifest(manifest_file.into(), why.to_string());
        let mut text = String::new();
        File::open(manifest_file)
            .and_then(|file| file.take(MAX_MANIFEST).read_to_string(&mut text))
            .map_err(|error| bad(&error))?;
        let signed: Signed = serde_json::from_str(&text).map_err(|error| bad(&error))?;
        check_signature(provider, public, &signed)
            .map_err(|_| IntegrityError::Signature(manifest_file.into()))?;
        let manifest: Manifest = serde_json::from_str(&signed.manifest).map_err(|error| bad(&error))?;
        if manifest.qiao_manifest != 1 {
            return Err(bad(&"it is newer than this program"));
        }
        Ok(Self { root: root.into(), manifest })
    }

    /// Compares every file; gives their number.
    pub fn verify(&self) -> Result<usize, IntegrityError> {
        let covers: Vec<&str> = self.manifest.covers.iter().map(String::as_str).collect();
        self.verify_covers(&covers, |_| true)
    }

    /// Compares the files at or below one path, which the manifest must cover; gives their number.
    pub fn verify_below(&self, path: &Path) -> Result<usize, IntegrityError> {
        let below = self.covered(path)?;
        let inside = |listed: &str| {
            listed == below || listed.strip_prefix(&*below).is_some_and(|rest| rest.starts_with('/'))
        };
        self.verify_covers(&[&below], inside)
    }

    /// Refuses a path that the manifest does not cover, however its file looks.
    pub fn require(&self, path: &Path) -> Result<(), IntegrityError> {
        self.covered(path).map(drop)
    }

    /// Compares bytes that were read already with what was signed of this file: what is used is what was checked.
    pub fn verify_bytes(&self, path: &Path, bytes: &[u8]) -> Result<(), IntegrityError> {
        let below = self.covered(path)?;
        match self.manifest.files.get(&below) {
            Some(expected) if *expected == hex::encode(Sm3::digest(bytes)) => Ok(()),
            Some(_) => Err(IntegrityError::Changed(path.into())),
            None => Err(IntegrityError::Unsigned(path.into())),
        }
    }

    /// The path below the root, where a cover is or contains it.
    fn covered(&self, path: &Path) -> Result<String, IntegrityError> {
        let uncovered = || IntegrityError::Uncovered(path.into());
        let below = path.strip_prefix(&self.root).ok().and_then(Path::to_str).ok_or_else(uncovered)?;
        let contains = |cover: &String| {
            below == cover || below.strip_prefix(&**cover).is_some_and(|rest| rest.starts_with('/'))
        };
        if !self.manifest.covers.iter().any(contains) {
            return Err(uncovered());
        }
        Ok(below.to_owned())
    }

    fn verify_covers(&self, covers: &[&str], wanted: impl Fn(&str) -> bool) -> Result<usize, IntegrityError> {
        let mut compared = 0;
        for (path, expected) in self.manifest.files.iter().filter(|(path, _)| wanted(path)) {
            let full = self.root.join(path);
            if digest(&full)? != *expected {
                return Err(IntegrityError::Changed(full));
            }
            compared += 1;
        }
        for path in list(&self.root, covers)? {
            if !self.manifest.files.contains_key(&path) {
                return Err(IntegrityError::Unsigned(self.root.join(path)));
            }
        }
        Ok(compared)
    }
}

fn check_signature(provider: &dyn Provider, public: &[u8; 64], signed: &Signed) -> Result<(), VaultError> {
    let refused = || VaultError::Refused { part: "manifest".into() };
    let signature: [u8; 64] =
        hex::decode(&signed.signature).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(refused)?;
    let digest = provider.sm3(&[&sm2_z(provider, public, DEFAULT_SM2_ID)?, signed.manifest.as_bytes()]);
    Ok(provider.sm2_public(public)?.verify_digest(&digest, &signature)?)
}

fn to_json(value: &impl Serialize) -> Result<String, IntegrityError> {
    serde_json::to_string_pretty(value).map_err(|error| VaultError::invalid(error.to_string()).into())
}

/// Every file below the covered paths, relative to `root`, with `/`.
fn list(root: &Path, covers: &[&str]) -> Result<Vec<String>, IntegrityError> {
    let mut found = Vec::new();
    let mut open: Vec<String> = covers.iter().map(|cover| (*cover).to_owned()).collect();
    while let Some(path) = open.pop() {
        let full = root.join(&path);
        let inside = !path.is_empty() && path.split('/').all(|part| !["", ".", ".."].contains(&part));
        if !inside {
            return Err(IntegrityError::Unreadable(full, "a covered path lies below the root".into()));
        }
        let kind = fs::symlink_metadata(&full).map_err(|error| unreadable(&full, &error))?.file_type();
        if kind.is_file() {
            found.push(path);
        } else if kind.is_dir() {
            for entry in fs::read_dir(&full).map_err(|error| unreadable(&full, &error))? {
                let name = entry.map_err(|error| unreadable(&full, &error))?.file_name();
                let name = name
                    .to_str()
                    .ok_or_else(|| IntegrityError::Unreadable(full.clone(), "a name is not UTF-8".into()))?;
                open.push(format!("{path}/{name}"));
            }
        } else {
            return Err(IntegrityError::Unreadable(full, "neither a file nor a folder".into()));
        }
        if found.len() + open.len() > MAX_FILES {
            return Err(IntegrityError::Unreadable(root.into(), format!("more than {MAX_FILES} files")));
        }
    }
    Ok(found)
}

/// SM3 of a file, read piece by piece.
fn digest(path: &Path) -> Result<String, IntegrityError> {
    let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut hash = Sm3::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(hex::encode(hash.finalize())),
            Ok(read) => hash.update(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(path, &error)),
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> IntegrityError {
    match error.kind() {
        io::ErrorKind::NotFound => IntegrityError::Missing(path.into()),
        _ => IntegrityError::Unreadable(path.into(), error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        key::{KeyKind, KeyRef, Purpose},
        provider::pure::PureProvider,
        vault::Vault,
    };

    struct Installed {
        folder: tempfile::TempDir,
        public: [u8; 64],
        signer: KeyHandle,
    }

    fn installed() -> Installed {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("routes/systems")).unwrap();
        fs::write(folder.path().join("qiao"), vec![0x7f; 200_000]).unwrap();
        fs::write(folder.path().join("routes/systems/ems.yaml"), "id: ems\n").unwrap();
        fs::write(folder.path().join("notes.txt"), "not covered").unwrap();
        let vault = Vault::in_memory().unwrap();
        let key: KeyRef = "vault:release/sign".parse().unwrap();
        vault.generate(&key, KeyKind::Sm2, Purpose::Sign).unwrap();
        let public = vault.export_public(&key).unwrap()[1..].try_into().unwrap();
        let signer = vault.key(&key);
        let text = sign_files(folder.path(), &["qiao", "routes"], &signer).unwrap();
        fs::write(folder.path().join("manifest.json"), text).unwrap();
        Installed { folder, public, signer }
    }

    impl Installed {
        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn verify(&self) -> Result<usize, IntegrityError> {
            verify_files(&PureProvider, &self.public, &self.path("manifest.json"), self.folder.path())
        }
    }

    #[test]
    fn signed_files_pass_and_what_is_not_covered_may_change() {
        let installed = installed();
        assert_eq!(installed.verify().unwrap(), 2);
        fs::write(installed.path("notes.txt"), "changed").unwrap();
        assert_eq!(installed.verify().unwrap(), 2);
    }

    #[test]
    fn one_flipped_byte_is_refused_and_the_file_named() {
        let installed = installed();
        let mut bytes = fs::read(installed.path("qiao")).unwrap();
        bytes[150_000] ^= 1;
        fs::write(installed.path("qiao"), bytes).unwrap();
        let error = installed.verify().unwrap_err();
        assert!(matches!(&error, IntegrityError::Changed(path) if path.ends_with("qiao")), "{error}");
    }

    #[test]
    fn a_removed_and_an_added_file_are_refused_and_named() {
        let first = installed();
        fs::remove_file(first.path("routes/systems/ems.yaml")).unwrap();
        assert!(matches!(first.verify(), Err(IntegrityError::Missing(path)) if path.ends_with("ems.yaml")));
        let second = installed();
        fs::write(second.path("routes/extra.yaml"), "").unwrap();
        assert!(
            matches!(second.verify(), Err(IntegrityError::Unsigned(path)) if path.ends_with("extra.yaml"))
        );
    }

    #[test]
    fn an_altered_manifest_and_a_foreign_signer_are_refused() {
        let installed = installed();
        let text = fs::read_to_string(installed.path("manifest.json")).unwrap();
        let at = text.find("ems.yaml").unwrap();
        let altered = format!("{}x{}", &text[..at], &text[at + 1..]);
        fs::write(installed.path("manifest.json"), altered).unwrap();
        assert!(matches!(installed.verify(), Err(IntegrityError::Signature(_))));
        fs::write(installed.path("manifest.json"), &text[..at]).unwrap();
        assert!(matches!(installed.verify(), Err(IntegrityError::Manifest(..))));

        let vault = Vault::in_memory().unwrap();
        let foreign: KeyRef = "vault:release/sign".parse().unwrap();
        vault.generate(&foreign, KeyKind::Sm2, Purpose::Sign).unwrap();
        let text = sign_files(installed.folder.path(), &["qiao", "routes"], &vault.key(&foreign)).unwrap();
        fs::write(installed.path("manifest.json"), text).unwrap();
        assert!(matches!(installed.verify(), Err(IntegrityError::Signature(_))));
    }

    #[test]
    fn a_path_the_manifest_does_not_cover_is_refused_whatever_it_holds() {
        let installed = installed();
        let read = || {
            let file = installed.path("manifest.json");
            SignedManifest::read(&PureProvider, &installed.public, &file, installed.folder.path()).unwrap()
        };
        let signed = read();
        signed.require(&installed.path("qiao")).unwrap();
        signed.require(&installed.path("routes/systems")).unwrap();
        for outside in ["notes.txt", "routes2", "qiao-other", "route"] {
            let error = signed.require(&installed.path(outside)).unwrap_err();
            assert!(matches!(error, IntegrityError::Uncovered(_)), "{outside}");
        }
        assert!(signed.require(Path::new("/etc/hostname")).is_err());
        let file = installed.path("routes/systems/ems.yaml");
        signed.verify_bytes(&file, b"id: ems\n").unwrap();
        assert!(matches!(signed.verify_bytes(&file, b"id: emt\n"), Err(IntegrityError::Changed(_))));
        let extra = installed.path("routes/systems/new.yaml");
        assert!(matches!(signed.verify_bytes(&extra, b""), Err(IntegrityError::Unsigned(_))));
    }

    #[test]
    fn one_folder_is_verified_apart_from_the_rest() {
        let installed = installed();
        fs::write(installed.path("qiao"), "replaced").unwrap();
        let file = installed.path("manifest.json");
        let root = installed.folder.path();
        let signed = SignedManifest::read(&PureProvider, &installed.public, &file, root).unwrap();
        assert_eq!(signed.verify_below(&installed.path("routes")).unwrap(), 1);
        assert!(matches!(signed.verify(), Err(IntegrityError::Changed(path)) if path.ends_with("qiao")));
        fs::write(installed.path("routes/extra.yaml"), "").unwrap();
        assert!(signed.verify_below(&installed.path("routes")).is_err());
    }

    #[test]
    fn links_and_paths_outside_the_root_are_refused() {
        let installed = installed();
        for outside in ["../etc", "/etc", "routes/../..", ""] {
            assert!(sign_files(installed.folder.path(), &[outside], &installed.signer).is_err(), "{outside}");
        }
        std::os::unix::fs::symlink("/etc/hostname", installed.path("routes/link")).unwrap();
        assert!(
            matches!(installed.verify(), Err(IntegrityError::Unreadable(path, _)) if path.ends_with("link"))
        );
    }
}
