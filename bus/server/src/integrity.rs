//! What was signed is what runs: program, settings and definitions against a signed manifest, grants and callers against their
//! seals. At start, and for the definitions at every reload.
use std::path::{Path, PathBuf};

use qiao_engine::load::DefinitionFile;
use qiao_mappings::strict::Mistake;
use qiao_vault::{
    KeyHandle, PureProvider, Vault, VaultError,
    integrity::{IntegrityError, SignedManifest, sign_files},
    seals::{self, Broken},
};

use crate::{
    config::{Config, IntegrityConfig, SignedConfig},
    needed_keys,
};

/// Manifests name files from the root of the file system.
const ROOT: &str = "/";
/// What seals cover, below the definitions' folder.
const SEALED: [&str; 2] = ["callers/", "grants/"];

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum IntegrityProblem {
    #[error(
        "the settings say nothing of `integrity`: name the signed manifest there (`qiao manifest sign` writes it), or write `integrity: off` for a node that is not in production"
    )]
    NotSaid,
    #[error("integrity.publicKey: {0}")]
    PublicKey(String),
    #[error(transparent)]
    Broken(#[from] IntegrityError),
    #[error("{0}: {1}")]
    Unreadable(PathBuf, std::io::Error),
}

/// Compares program, settings, definitions and mock partners with the manifest. Before anything else of the node is opened, so
/// the vault may be sealed.
pub fn at_start(config: &Config) -> Result<(), IntegrityProblem> {
    match &config.integrity {
        None => Err(IntegrityProblem::NotSaid),
        Some(IntegrityConfig::Off(_)) => {
            tracing::warn!("integrity is off: program and definitions run as they are found");
            Ok(())
        }
        Some(IntegrityConfig::On(signed)) => {
            let files = verify(config, signed)?;
            tracing::info!(files, manifest = %signed.manifest.display(), "what was signed is what runs");
            Ok(())
        }
    }
}

/// Compares everything the manifest covers, which must be all that this node runs; gives the number of files.
pub fn verify(config: &Config, signed: &SignedConfig) -> Result<usize, IntegrityProblem> {
    let manifest = read(signed)?;
    for path in covered(config)? {
        manifest.require(&path)?;
    }
    Ok(manifest.verify()?)
}

/// The manifest of what this node runs, signed.
pub fn sign(config: &Config, signer: &KeyHandle) -> Result<String, IntegrityProblem> {
    let paths = covered(config)?;
    let below = |path: &PathBuf| path.display().to_string().trim_start_matches('/').to_owned();
    let covers: Vec<String> = paths.iter().map(below).collect();
    let covers: Vec<&str> = covers.iter().map(String::as_str).collect();
    Ok(sign_files(Path::new(ROOT), &covers, signer)?)
}

/// The program, the settings, the definitions and the mock partners, by their real paths.
fn covered(config: &Config) -> Result<Vec<PathBuf>, IntegrityProblem> {
    let program = std::env::current_exe();
    let program = program.map_err(|error| IntegrityProblem::Unreadable("the program".into(), error))?;
    let mut paths = vec![program, config.definitions.folder.clone()];
    paths.extend(config.file.clone());
    paths.extend(config.mocks.as_ref().map(|mocks| mocks.folder.clone()));
    paths.iter().map(|path| real(path)).collect()
}

fn real(path: &Path) -> Result<PathBuf, IntegrityProblem> {
    path.canonicalize().map_err(|error| IntegrityProblem::Unreadable(path.into(), error))
}

fn read(signed: &SignedConfig) -> Result<SignedManifest, IntegrityProblem> {
    let public = public_key(&signed.public_key).map_err(IntegrityProblem::PublicKey)?;
    Ok(SignedManifest::read(&PureProvider, &public, &signed.manifest, Path::new(ROOT))?)
}

/// x ‖ y of a public key in hex, with its leading 04.
pub fn public_key(text: &str) -> Result<[u8; 64], String> {
    let bytes = hex::decode(text.trim()).map_err(|_| "it is not hexadecimal".to_owned())?;
    match &bytes[..] {
        [4, point @ ..] => point.try_into().ok(),
        _ => None,
    }
    .ok_or_else(|| "an SM2 public key is 04, x, y: 130 hex digits".to_owned())
}

/// The node's own keys that its vault lacks.
pub fn missing_keys(config: &Config, vault: &Vault) -> Vec<Mistake> {
    let file =
        config.file.as_ref().map_or_else(|| "the settings".to_owned(), |file| file.display().to_string());
    let missing = needed_keys::node_keys(config).into_iter().filter(|needed| !vault.exists(&needed.key));
    missing
        .map(|needed| {
            Mistake::of_file(&file, format!("the vault lacks {}, which {} needs", needed.key, needed.by))
                .with_remedy("`qiao keys generate --missing` makes it")
        })
        .collect()
}

/// What is wrong with definitions that were read: not signed, changed since, or grants and callers whose seal does not hold.
pub fn of_definitions(config: &Config, vault: &Vault, files: &[DefinitionFile]) -> Vec<Mistake> {
    let Some(IntegrityConfig::On(signed)) = &config.integrity else { return Vec::new() };
    let mut mistakes = not_as_signed(config, signed, files);
    match std::fs::read_to_string(&signed.seals) {
        Ok(text) => mistakes.extend(not_as_sealed(config, vault, &text, files)),
        Err(error) => mistakes.push(
            Mistake::of_file(signed.seals.display().to_string(), format!("cannot be read: {error}"))
                .with_remedy("`qiao grants seal` writes it"),
        ),
    }
    mistakes
}

fn not_as_signed(config: &Config, signed: &SignedConfig, files: &[DefinitionFile]) -> Vec<Mistake> {
    let folder = &config.definitions.folder;
    let whole = |file: &Path, why: &dyn ToString| vec![Mistake::of_file(shown(file, ""), why.to_string())];
    let (manifest, real) = match (read(signed), real(folder)) {
        (Ok(manifest), Ok(real)) => (manifest, real),
        (Err(error), _) => return whole(&signed.manifest, &error),
        (_, Err(error)) => return whole(folder, &error),
    };
    let wrong = files.iter().filter_map(|file| {
        let error = manifest.verify_bytes(&real.join(&file.path), file.text.as_bytes()).err()?;
        Some(Mistake::of_file(shown(folder, &file.path), error.to_string()))
    });
    let wrong: Vec<_> = wrong.collect();
    if !wrong.is_empty() {
        return wrong;
    }
    // What is signed and gone, and files beside the definitions, such as certificates.
    manifest.verify_below(&real).err().map_or_else(Vec::new, |error| whole(folder, &error))
}

/// What is wrong with grants and callers.
pub fn not_as_sealed(config: &Config, vault: &Vault, sealed: &str, files: &[DefinitionFile]) -> Vec<Mistake> {
    let folder = &config.definitions.folder;
    let of = |broken: &Broken| {
        let place = broken.name().map_or_else(|| seals_file(config), |name| shown(folder, name));
        let text = match broken.name() {
            Some(name) => format!("{}: {broken}", kind_and_id(name)),
            None => broken.to_string(),
        };
        Mistake::of_file(place, text)
            .with_remedy("put back what was sealed, or seal anew with `qiao grants seal`")
    };
    match seals::check(&key(vault), sealed, access_information(files)) {
        Ok(broken) => broken.iter().map(of).collect(),
        Err(error) => vec![Mistake::of_file(seals_file(config), error.to_string())],
    }
}

/// Seals grants and callers as they were read.
pub fn seal(vault: &Vault, files: &[DefinitionFile]) -> Result<String, VaultError> {
    seals::seal(&key(vault), access_information(files))
}

/// The definitions that say who may call what.
pub fn access_information(files: &[DefinitionFile]) -> impl Iterator<Item = (&str, &[u8])> {
    let covered = |file: &&DefinitionFile| SEALED.iter().any(|folder| file.path.starts_with(folder));
    files.iter().filter(covered).map(|file| (&*file.path, file.text.as_bytes()))
}

fn key(vault: &Vault) -> KeyHandle {
    vault.key(&needed_keys::own_key(needed_keys::GRANTS_SEAL))
}

fn seals_file(config: &Config) -> String {
    match &config.integrity {
        Some(IntegrityConfig::On(signed)) => signed.seals.display().to_string(),
        _ => "the seals".to_owned(),
    }
}

/// `grants/card-ems.yaml` → `grant card-ems`.
fn kind_and_id(path: &str) -> String {
    let (folder, file) = path.split_once('/').unwrap_or(("", path));
    format!("{} {}", folder.trim_end_matches('s'), file.trim_end_matches(".yaml"))
}

fn shown(folder: &Path, path: &str) -> String {
    let folder = folder.display().to_string();
    if path.is_empty() { folder } else { format!("{}/{path}", folder.trim_end_matches('/')) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_is_130_hex_digits_from_04_on() {
        assert_eq!(public_key(&format!("04{}", "ab".repeat(64))).expect("a key"), [0xab; 64]);
        for text in ["", "04", "zz", &"ab".repeat(64), &format!("03{}", "ab".repeat(64))] {
            assert!(public_key(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_definition_is_named_by_its_kind_and_id() {
        assert_eq!(kind_and_id("grants/card-ems.yaml"), "grant card-ems");
        assert_eq!(kind_and_id("callers/portal.yaml"), "caller portal");
    }
}
