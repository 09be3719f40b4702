//! The ASN.1 parts of the vault against an independent implementation, the `openssl` command (3.0 or later): messages, time stamps,
//! revocation lists, OCSP, RSA encryption. OpenSSL signs no SM2 messages or time stamps, so messages are taken apart by it and
//! each part checked, and time stamps are held on P-256.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
use qiao_vault::{
    KeyHandle, KeyKind, KeyRef, PureProvider, Purpose, RsaEncryption, Vault,
    certificate::{Certificate, CertificateUse, PublicKey, Subject, Validity, issue_certificate},
    key_text::{read_pem_public, read_pem_secret, read_sm2_secret},
    message::{self, MessageForm, MessageKind, Recipient, Signer, TypeOids},
    revocation::{CertIdHash, OcspQuery, Revocation, RevocationList, Status, issue_list},
    timestamp::{StampHash, StampRequest, StampTrust, TimeStampAuthority, TimeStampQuery},
};
use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

const ID: &str = "distid:1234567812345678";

/// A folder in which `openssl` runs.
struct Openssl(tempfile::TempDir);

impl Openssl {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn certificate(&self, name: &str) -> Certificate {
        Certificate::read(&self.read(name)).unwrap()
    }

    /// Whether it succeeded, and what it printed.
    fn try_run(&self, line: &str) -> (bool, Vec<u8>) {
        let output = Command::new("openssl")
            .args(line.split_whitespace())
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .expect("these tests need the `openssl` command, version 3.0 or later");
        (output.status.success(), output.stdout)
    }

    fn run(&self, line: &str) -> Vec<u8> {
        let (done, printed) = self.try_run(line);
        assert!(done, "openssl {line}");
        printed
    }

    fn key(&self, name: &str, curve: &str) {
        self.run(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve} -out {name}.key"));
    }

    fn digest(curve: &str) -> String {
        if curve == "SM2" { format!("-sm3 -sigopt {ID}") } else { "-sha256".into() }
    }

    /// A self-signed authority `ca`.
    fn authority(&self, curve: &str) {
        self.key("ca", curve);
        let extensions =
            "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign";
        let sign = Self::digest(curve);
        self.run(&format!(
            "req -x509 -new -key ca.key -subj /CN=Root -days 30 -out ca.pem {extensions} {sign}"
        ));
    }

    fn issue(&self, name: &str, curve: &str, serial: u32, extensions: &str) {
        self.key(name, curve);
        let sign = Self::digest(curve);
        self.run(&format!("req -new -key {name}.key -subj /CN={name} -out {name}.csr {sign}"));
        self.write("extensions", extensions);
        let verify = if curve == "SM2" { format!("-vfyopt {ID}") } else { String::new() };
        let how =
            format!("-days 20 -extfile extensions -out {name}.pem -set_serial {serial} {verify} {sign}");
        self.run(&format!("x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key {how}"));
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

fn import(vault: &Vault, name: &str, kind: KeyKind, purpose: Purpose, material: &[u8]) -> KeyHandle {
    let key: KeyRef = name.parse().unwrap();
    vault.import(&key, kind, purpose, material).unwrap();
    vault.key(&key)
}

#[test]
fn lists_and_ocsp_answers_of_openssl_are_read() {
    for curve in ["SM2", "P-256"] {
        let openssl = Openssl::new();
        openssl.authority(curve);
        openssl.issue("good", curve, 4660, "keyUsage=critical,digitalSignature");
        openssl.issue("bad", curve, 4661, "keyUsage=critical,digitalSignature");
        let hash = if curve == "SM2" { "sm3" } else { "sha256" };
        openssl.write(
            "ca.cnf",
            format!("[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ndefault_md={hash}\ncrlnumber=number\ndefault_crl_days=7\n"),
        );
        openssl.write("number", "01\n");
        let [root, good, bad] = ["ca.pem", "good.pem", "bad.pem"].map(|name| openssl.certificate(name));
        let expires = "270101000000Z";
        openssl.write("index.txt", format!("V\t{expires}\t\t1234\tunknown\t/CN=good\n"));
        openssl
            .run("ca -config ca.cnf -revoke bad.pem -crl_reason keyCompromise -keyfile ca.key -cert ca.pem");
        let option = if curve == "SM2" { format!("-sigopt {ID}") } else { String::new() };
        openssl.run(&format!("ca -config ca.cnf -gencrl -keyfile ca.key -cert ca.pem -out crl.pem {option}"));

        let issuers = std::slice::from_ref(&root);
        let list = RevocationList::read(&PureProvider, &openssl.read("crl.pem"), issuers).unwrap();
        assert_eq!(list.len(), 1);
        assert_eq!(list.status(&good, &root, now()), Status::Good);
        assert!(matches!(list.status(&bad, &root, now()), Status::Revoked { reason: Some(1), .. }));

        for hash in [CertIdHash::Sm3, CertIdHash::Sha1, CertIdHash::Sha256] {
            for (certificate, nonce) in [(&good, true), (&bad, true), (&root, false)] {
                let query = OcspQuery::new(&PureProvider, certificate, &root, hash, nonce).unwrap();
                openssl.write("query.der", query.der());
                let (digest, option) = match curve {
                    "SM2" => ("sm3", format!("-rsigopt {ID}")),
                    _ => ("sha256", String::new()),
                };
                openssl.run(&format!(
                    "ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -reqin query.der -respout answer.der \
                     -rmd {digest} -ndays 1 {option}"
                ));
                let answer =
                    query.read_answer(&PureProvider, &openssl.read("answer.der"), &root, now()).unwrap();
                match answer.status {
                    Status::Good => assert_eq!(certificate.serial, good.serial),
                    Status::Revoked { reason, .. } => {
                        assert_eq!((reason, &certificate.serial), (Some(1), &bad.serial));
                    }
                    Status::Unknown => assert_eq!(certificate.serial, root.serial),
                }
            }
        }
    }
}

#[test]
fn openssl_reads_and_verifies_our_revocation_list() {
    let vault = Vault::in_memory().unwrap();
    let openssl = Openssl::new();
    let (key, der) = own_authority(&vault);
    let root = Certificate::read(&der).unwrap();
    openssl.write("root.der", &der);
    let validity = Validity { not_before: now() - 60, not_after: now() + 3600 };
    openssl.write("crl.der", issue_list(&key, &root, 5, validity, &[]).unwrap());
    openssl.run("x509 -inform DER -in root.der -out root.pem");
    openssl.run("crl -inform DER -in crl.der -CAfile root.pem -noout -verify");
}

fn subject(name: &str) -> Subject {
    Subject { country: "CN".into(), common_name: name.into(), ..Subject::default() }
}

/// A P-256 authority in the vault, whose signatures OpenSSL verifies without options.
fn own_authority(vault: &Vault) -> (KeyHandle, Vec<u8>) {
    let key: KeyRef = "vault:root".parse().unwrap();
    vault.generate(&key, KeyKind::P256, Purpose::Sign).unwrap();
    let key = vault.key(&key);
    let validity = Validity { not_before: now() - 3600, not_after: now() + 86_400 };
    let public = PublicKey::of(&key).unwrap();
    let usage = CertificateUse::Authority { path_length: 0 };
    let der = issue_certificate(&key, None, &subject("Root"), &public, usage, validity).unwrap();
    (key, der)
}

#[test]
fn time_stamps_hold_both_ways() {
    let openssl = Openssl::new();
    openssl.authority("P-256");
    let tsa = "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping";
    openssl.issue("tsa", "P-256", 77, tsa);
    openssl.write("data", b"what is stamped");
    let roots = [openssl.certificate("ca.pem")];
    let trust = StampTrust { roots: &roots, more: &[], revocation: Revocation::None, policies: &[] };

    // Theirs, checked here.
    openssl.write(
        "ts.cnf",
        "[tsa]\ndefault_tsa=t\n[t]\nserial=serial\nsigner_digest=sha256\ndefault_policy=1.2.3.4.1\ndigests=sm3,sha256\n\
         accuracy=secs:1,millisecs:500\ness_cert_id_alg=sha256\n",
    );
    for hash in [StampHash::Sm3, StampHash::Sha256] {
        let request = StampRequest { hash, ..StampRequest::default() };
        let query = TimeStampQuery::new(&PureProvider, b"what is stamped", &request).unwrap();
        openssl.write("query.tsq", query.der());
        openssl.run(
            "ts -reply -config ts.cnf -queryfile query.tsq -signer tsa.pem -inkey tsa.key -out answer.tsr",
        );
        let stamp = query.read_answer(&PureProvider, &openssl.read("answer.tsr"), &trust, now(), 60).unwrap();
        assert_eq!(stamp.accuracy, Some(1500));
    }

    // Ours, checked there: their question, our answer.
    let vault = Vault::in_memory().unwrap();
    let pem = String::from_utf8(openssl.read("tsa.key")).unwrap();
    let key = import(&vault, "vault:tsa", KeyKind::P256, Purpose::Sign, &read_pem_secret(&pem).unwrap());
    let clock = Arc::new(|| now() * 1000 + 7);
    let authority = TimeStampAuthority::new(key, openssl.certificate("tsa.pem"), "1.2.3", clock).unwrap();
    for options in ["-sm3 -cert", "-sha256 -cert -no_nonce", "-sm3 -cert -tspolicy 1.2.3"] {
        openssl.run(&format!("ts -query -data data {options} -out query.tsq"));
        openssl.write("answer.tsr", authority.answer(&openssl.read("query.tsq")));
        openssl.run("ts -verify -in answer.tsr -queryfile query.tsq -CAfile ca.pem");
        openssl.run("ts -verify -in answer.tsr -data data -CAfile ca.pem");
        openssl.write("other", b"what is not stamped");
        assert!(!openssl.try_run("ts -verify -in answer.tsr -data other -CAfile ca.pem").0);
    }
}

/// The n-th OCTET STRING that `asn1parse` printed, in hexadecimal.
fn octets(printed: &str, nth: usize) -> String {
    let line = printed.lines().filter(|line| line.contains("OCTET STRING")).nth(nth).unwrap();
    line.rsplit("[HEX DUMP]:").next().unwrap().to_lowercase()
}

#[test]
fn openssl_takes_a_signed_and_enveloped_message_apart() {
    let openssl = Openssl::new();
    openssl.authority("SM2");
    openssl.issue("signer", "SM2", 11, "keyUsage=critical,digitalSignature");
    openssl.issue("receiver", "SM2", 12, "keyUsage=critical,keyEncipherment");
    let vault = Vault::in_memory().unwrap();
    let pem = String::from_utf8(openssl.read("signer.key")).unwrap();
    let scalar = read_sm2_secret(&pem).unwrap();
    let key = import(&vault, "vault:sign", KeyKind::Sm2, Purpose::Sign, &*scalar);
    let signer = [Signer::new(key, &openssl.certificate("signer.pem"))];
    let to = [Recipient::Certificate(openssl.certificate("receiver.pem"))];
    let content = b"the content of the message";
    openssl.write("content", content);
    let form = MessageForm { types: TypeOids::Pkcs7, ..MessageForm::default() };
    let seal = |kind, form: &MessageForm| {
        let signers = if kind == MessageKind::Enveloped { &[][..] } else { &signer };
        let to = if kind == MessageKind::Signed { &[][..] } else { &to };
        message::seal(&PureProvider, kind, content, signers, to, form, now()).unwrap()
    };

    // As PKCS#7 it knows every kind, and refuses what does not fit the template.
    for kind in [MessageKind::Signed, MessageKind::Enveloped, MessageKind::SignedAndEnveloped] {
        for attributes in [false, true] {
            let made = seal(kind, &MessageForm { attributes, ..form });
            openssl.write("message.der", &made);
            openssl.run("pkcs7 -inform DER -in message.der -noout -print");
            openssl.write("message.der", &made[..made.len() - 1]);
            assert!(!openssl.try_run("pkcs7 -inform DER -in message.der -noout").0);
        }
    }

    // Under the national identifiers every part is taken out and checked on its own.
    openssl.write("message.der", seal(MessageKind::SignedAndEnveloped, &MessageForm::default()));
    let printed = String::from_utf8(openssl.run("asn1parse -inform DER -in message.der")).unwrap();
    assert!(printed.contains(":1.2.156.10197.6.1.4.2.4") && printed.contains(":1.2.156.10197.6.1.4.2.1"));
    let wrapped = octets(&printed, 0);
    openssl.write("wrapped", hex::decode(wrapped).unwrap());
    let session = openssl.run("pkeyutl -decrypt -inkey receiver.key -in wrapped");
    assert_eq!(session.len(), 16);
    let iv = octets(&printed, 1);
    let line = printed.lines().find(|line| line.contains("prim: cont [ 0 ]")).unwrap();
    let number = |mark: &str| {
        let digits = line.split_once(mark).unwrap().1.trim_start();
        digits.split(' ').next().unwrap().parse::<usize>().unwrap()
    };
    let start = line.split(':').next().unwrap().trim().parse::<usize>().unwrap() + number("hl=");
    openssl.write("cipher", &openssl.read("message.der")[start..start + number(" l=")]);
    let plain = openssl.run(&format!("enc -d -sm4-cbc -K {} -iv {iv} -in cipher", hex::encode(&session)));
    assert_eq!(plain, content);
    let count = printed.lines().filter(|line| line.contains("OCTET STRING")).count();
    let signature = octets(&printed, count - 1);
    openssl.write("signature", hex::decode(signature).unwrap());
    openssl.run(&format!(
        "pkeyutl -verify -rawin -digest sm3 -pkeyopt {ID} -certin -inkey signer.pem -in content -sigfile signature"
    ));
}

#[test]
fn rsa_ciphertexts_open_both_ways() {
    let openssl = Openssl::new();
    openssl.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out secret.pem");
    let public = openssl.run("pkey -in secret.pem -pubout -out public.pem");
    assert!(public.is_empty());
    let text = |name: &str| String::from_utf8(openssl.read(name)).unwrap();
    let vault = Vault::in_memory().unwrap();
    let pkcs8 = read_pem_secret(&text("secret.pem")).unwrap();
    let own = import(&vault, "vault:own", KeyKind::Rsa, Purpose::Encrypt, &pkcs8);
    let theirs: KeyRef = "vault:theirs".parse().unwrap();
    let spki = read_pem_public(&text("public.pem")).unwrap();
    vault.import_classic_public(&theirs, KeyKind::Rsa, Purpose::Encrypt, &spki).unwrap();
    let schemes = [
        (RsaEncryption::OaepSha256, "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256"),
        (RsaEncryption::OaepSha1, "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha1"),
        (RsaEncryption::Pkcs1, "-pkeyopt rsa_padding_mode:pkcs1"),
    ];
    for (scheme, options) in schemes {
        for length in [1, 16, 32] {
            let plain = vec![0x5a; length];
            openssl.write("cipher", vault.key(&theirs).encrypt_rsa(&plain, scheme).unwrap());
            let opened = openssl.run(&format!("pkeyutl -decrypt -inkey secret.pem -in cipher {options}"));
            assert_eq!(opened, plain, "{scheme:?}");
            openssl.write("plain", &plain);
            let cipher =
                openssl.run(&format!("pkeyutl -encrypt -pubin -inkey public.pem -in plain {options}"));
            let opened = match scheme {
                RsaEncryption::Pkcs1 => own.decrypt_rsa_key(&cipher, length),
                scheme => own.decrypt_rsa(&cipher, scheme),
            };
            assert_eq!(*opened.unwrap(), plain, "{scheme:?}");
        }
    }
}
