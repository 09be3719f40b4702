//! Tests of certificates with chains made by the `openssl` command (3.0 or later).
use super::*;
use crate::{
    key::{KeyKind, KeyRef, Purpose},
    provider::pure::PureProvider,
    vault::Vault,
};
use proptest::prelude::*;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

struct Authority {
    folder: tempfile::TempDir,
}

const SM2_SIGN: [&str; 3] = ["-sm3", "-sigopt", "distid:1234567812345678"];

fn openssl(folder: &Path, arguments: &[&str]) {
    let status = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("these tests need the `openssl` command, version 3.0 or later");
    assert!(status.success(), "openssl {arguments:?}");
}

impl Authority {
    /// A root, an intermediate that may issue leaves only, and a leaf.
    fn new() -> Self {
        let authority = Self { folder: tempfile::tempdir().unwrap() };
        authority.key("root");
        let root = [
            "req", "-x509", "-new", "-key", "root.key", "-subj", "/CN=Root", "-days", "30", "-out",
            "root.pem",
        ];
        let extension =
            ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"];
        openssl(authority.folder.path(), &[&root[..], &SM2_SIGN, &extension].concat());
        authority.issue("middle", "root", "basicConstraints=critical,CA:TRUE,pathlen:0");
        authority.issue("leaf", "middle", "keyUsage=critical,digitalSignature");
        authority
    }

    fn key(&self, name: &str) {
        let file = format!("{name}.key");
        let make = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2", "-out", &file];
        openssl(self.folder.path(), &make);
    }

    fn issue(&self, name: &str, issuer: &str, extension: &str) {
        self.key(name);
        let subject = format!("/CN={name}");
        let (key, csr, ca, ca_key) =
            (format!("{name}.key"), format!("{name}.csr"), format!("{issuer}.pem"), format!("{issuer}.key"));
        let request = ["req", "-new", "-key", &key, "-subj", &subject, "-out", &csr];
        openssl(self.folder.path(), &[&request[..], &SM2_SIGN].concat());
        fs::write(self.path("ext"), extension).unwrap();
        let out = format!("{name}.pem");
        let sign = [
            "x509",
            "-req",
            "-in",
            &csr,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-days",
            "20",
            "-extfile",
            "ext",
            "-out",
            &out,
            "-set_serial",
            "1234",
            "-vfyopt",
            "distid:1234567812345678",
        ];
        openssl(self.folder.path(), &[&sign[..], &SM2_SIGN].concat());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> Certificate {
        Certificate::read(&fs::read(self.path(&format!("{name}.pem"))).unwrap()).unwrap()
    }

    fn chain(&self, names: &[&str]) -> Vec<Certificate> {
        names.iter().map(|name| self.read(name)).collect()
    }
}

fn verify(chain: &[Certificate], roots: &[Certificate], now: i64) -> Result<PublicKey, CertificateError> {
    verify_chain(&PureProvider, chain, roots, now)
}

#[test]
fn a_chain_leads_to_its_root_while_all_of_it_is_valid() {
    let authority = Authority::new();
    let (chain, roots) = (authority.chain(&["leaf", "middle"]), authority.chain(&["root"]));
    let leaf = &chain[0];
    let now = leaf.not_before + 1;
    assert_eq!(verify(&chain, &roots, now), Ok(leaf.public.clone()));
    assert!(leaf.may_sign() && leaf.not_after - leaf.not_before == 20 * 86_400);
    assert_eq!(leaf.serial, [0x04, 0xd2]);
    assert_eq!(verify(&chain, &roots, leaf.not_after + 1), Err(OutOfTime));
    assert_eq!(verify(&chain, &roots, roots[0].not_before - 1), Err(OutOfTime));
}

#[test]
fn refuses_missing_links_foreign_roots_and_leaves_that_issue() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let roots = authority.chain(&["root"]);
    let now = authority.read("leaf").not_before + 1;
    assert_eq!(verify(&authority.chain(&["leaf"]), &roots, now), Err(Untrusted));
    assert_eq!(verify(&[], &roots, now), Err(Untrusted));
    assert_eq!(verify(&authority.chain(&["leaf", "middle"]), &[], now), Err(Untrusted));
    let other = foreign.chain(&["leaf", "middle"]);
    assert_eq!(verify(&other, &roots, now + 60), Err(Signature), "same names, other keys");

    authority.issue("below", "leaf", "keyUsage=critical,digitalSignature");
    let chain = authority.chain(&["below", "leaf", "middle"]);
    assert_eq!(verify(&chain, &roots, now + 60), Err(NoAuthority), "a leaf may not issue");
    authority.issue("deeper", "middle", "basicConstraints=critical,CA:TRUE");
    authority.issue("deepest", "deeper", "keyUsage=critical,digitalSignature");
    let chain = authority.chain(&["deepest", "deeper", "middle"]);
    assert_eq!(verify(&chain, &roots, now + 60), Err(NoAuthority), "the path is longer than allowed");
    authority.issue("odd", "middle", "nameConstraints=critical,permitted;DNS:example.cn");
    let chain = authority.chain(&["odd", "middle"]);
    assert_eq!(verify(&chain, &roots, now + 60), Err(UnknownCritical));
}

#[test]
fn any_flipped_bit_of_a_certificate_is_refused() {
    let authority = Authority::new();
    let (middle, roots) = (authority.read("middle"), authority.chain(&["root"]));
    let good = authority.read("leaf");
    let now = good.not_before + 1;
    let chain = |bytes: &[u8]| -> Result<PublicKey, CertificateError> {
        let leaf = Certificate::read(bytes)?;
        verify(&[leaf, Certificate::read(&middle.whole)?], &roots, now)
    };
    assert!(chain(&good.whole).is_ok());
    for at in 0..good.whole.len() {
        let mut bad = good.whole.clone();
        bad[at] ^= 1;
        assert!(chain(&bad).is_err(), "byte {at}");
    }
}

proptest! {
    #[test]
    fn reading_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Certificate::read(&bytes).is_err());
    }
}

#[test]
fn openssl_verifies_our_certificate_request_and_issues_for_it() {
    let authority = Authority::new();
    let vault = Vault::in_memory().unwrap();
    let key: KeyRef = "vault:bus/sign".parse().unwrap();
    vault.generate(&key, KeyKind::Sm2, Purpose::Sign).unwrap();
    let subject = Subject {
        country: "CN".into(),
        organization: "社会保障卡服务中心".into(),
        common_name: "Qiao".into(),
        ..Subject::default()
    };
    let pem = certificate_request(&vault.key(&key), &subject).unwrap();
    fs::write(authority.path("ours.csr"), &pem).unwrap();
    let verify_request =
        ["req", "-verify", "-noout", "-in", "ours.csr", "-vfyopt", "distid:1234567812345678"];
    openssl(authority.folder.path(), &verify_request);
    let sign = [
        "x509",
        "-req",
        "-in",
        "ours.csr",
        "-CA",
        "root.pem",
        "-CAkey",
        "root.key",
        "-days",
        "9",
        "-extfile",
        "ext",
        "-out",
        "ours.pem",
        "-vfyopt",
        "distid:1234567812345678",
    ];
    openssl(authority.folder.path(), &[&sign[..], &SM2_SIGN].concat());
    let ours = authority.chain(&["ours"]);
    let public = verify(&ours, &authority.chain(&["root"]), ours[0].not_before + 1).unwrap();
    assert_eq!(public, PublicKey::of(&vault.key(&key)).unwrap());
    assert!(certificate_request(&vault.key(&key), &Subject::default()).is_err());
}
