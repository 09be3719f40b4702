//! The vault against an independent implementation: the `openssl` command (3.0 or later), both ways for every operation.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
use qiao_vault::{
    CipherFormat, ClassicSignature, KeyHandle, KeyKind, KeyRef, Padding, Provider, PureProvider, Purpose,
    SignatureFormat, Sm4Mode, Vault,
    key_text::{read_pem_public, read_pem_secret, read_sm2_secret, write_sm2_public_pem},
};
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A folder with a key pair made by OpenSSL and both halves of it in a vault.
struct Peer {
    folder: tempfile::TempDir,
    sign: KeyHandle,
    encrypt: KeyHandle,
}

fn openssl(args: &[&str], input: &[u8]) -> (bool, Vec<u8>) {
    let mut child = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("these tests need the `openssl` command, version 3.0 or later");
    // A peer that refuses early closes its input; its exit code tells.
    drop(child.stdin.take().unwrap().write_all(input));
    let output = child.wait_with_output().unwrap();
    (output.status.success(), output.stdout)
}

impl Peer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (secret, public) = (folder.path().join("secret.pem"), folder.path().join("public.pem"));
        let (made, pem) = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2"], b"");
        assert!(made);
        std::fs::write(&secret, &pem).unwrap();
        let scalar = read_sm2_secret(std::str::from_utf8(&pem).unwrap()).unwrap();
        let vault = Vault::in_memory().unwrap();
        let key = |name: &str, purpose| {
            let key: KeyRef = name.parse().unwrap();
            vault.import(&key, KeyKind::Sm2, purpose, &*scalar).unwrap();
            vault.key(&key)
        };
        let (sign, encrypt) = (key("vault:sign", Purpose::Sign), key("vault:encrypt", Purpose::Encrypt));
        std::fs::write(&public, write_sm2_public_pem(&sign.public().unwrap()).unwrap()).unwrap();
        Self { folder, sign, encrypt }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pkeyutl(&self, args: &[&str], files: &[(&str, &Path)], input: &[u8]) -> (bool, Vec<u8>) {
        let message = self.path("input");
        std::fs::write(&message, input).unwrap();
        let mut all: Vec<&str> = vec!["pkeyutl", "-in", message.to_str().unwrap()];
        all.extend(args);
        for (option, path) in files {
            all.extend([*option, path.to_str().unwrap()]);
        }
        openssl(&all, b"")
    }
}

const LENGTHS: [usize; 6] = [1, 16, 31, 255, 256, 3000];

#[test]
fn signatures_hold_both_ways() {
    let peer = Peer::new();
    for (length, id) in
        LENGTHS.into_iter().zip(["1234567812345678", "ALICE123@YAHOO.COM"].into_iter().cycle())
    {
        let option = format!("distid:{id}");
        let sm2_sm3 = ["-rawin", "-digest", "sm3", "-pkeyopt", &option];
        let message: Vec<u8> = (0..length).map(|n| n as u8).collect();
        let signature = peer.sign.sign(&message, id.as_bytes(), SignatureFormat::Der).unwrap();
        let file = peer.path("signature");
        std::fs::write(&file, signature).unwrap();
        let verify = [&["-verify", "-pubin"], &sm2_sm3[..]].concat();
        let public = peer.path("public.pem");
        let files = [("-inkey", public.as_path()), ("-sigfile", file.as_path())];
        assert!(peer.pkeyutl(&verify, &files, &message).0, "ours of {length} bytes");
        assert!(!peer.pkeyutl(&verify, &files, &message[1..]).0, "OpenSSL refuses another message");

        let secret = peer.path("secret.pem");
        let sign = [&["-sign"], &sm2_sm3[..]].concat();
        let (signed, signature) = peer.pkeyutl(&sign, &[("-inkey", &secret)], &message);
        assert!(signed);
        peer.sign.verify(&message, id.as_bytes(), &signature, SignatureFormat::Der).unwrap();
        peer.sign.verify(&message, b"another", &signature, SignatureFormat::Der).unwrap_err();
    }
}

/// The first of so many that begins with a zero byte at each place, as DER writes it: an integer of fewer bytes.
fn short<const N: usize>(mut make: impl FnMut() -> Vec<u8>, places: [fn(&[u8]) -> u8; N]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for place in places {
        let one = (0..20_000).map(|_| make()).find(|der| place(der) < 32);
        found.push(one.expect("one in 256 is short"));
    }
    found
}

#[test]
fn signatures_and_ciphertexts_whose_numbers_begin_with_zeros_are_read_by_both() {
    let peer = Peer::new();
    // SEQUENCE, length, INTEGER, length, the first number, INTEGER, length, the second.
    let sign = || peer.sign.sign(b"message", b"1234567812345678", SignatureFormat::Der).unwrap();
    let signatures = short(sign, [|der| der[3], |der| der[4 + usize::from(der[3]) + 1]]);
    let (public, secret) = (peer.path("public.pem"), peer.path("secret.pem"));
    let verify = ["-verify", "-pubin", "-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678"];
    for signature in signatures {
        let file = peer.path("signature");
        std::fs::write(&file, &signature).unwrap();
        assert!(peer.pkeyutl(&verify, &[("-inkey", &public), ("-sigfile", &file)], b"message").0);
        peer.sign.verify(b"message", b"1234567812345678", &signature, SignatureFormat::Der).unwrap();
        // The raw form keeps the zeros.
        let raw = SignatureFormat::Der.read(&signature).unwrap();
        assert!(raw[0] == 0 || raw[32] == 0);
        peer.sign.verify(b"message", b"1234567812345678", &raw, SignatureFormat::Raw).unwrap();
    }
    let encrypt = || peer.encrypt.encrypt(b"message", CipherFormat::Der).unwrap();
    for cipher in short(encrypt, [|der| der[3], |der| der[4 + usize::from(der[3]) + 1]]) {
        assert_eq!(peer.pkeyutl(&["-decrypt"], &[("-inkey", &secret)], &cipher), (true, b"message".to_vec()));
        assert_eq!(*peer.encrypt.decrypt(&cipher, CipherFormat::Der).unwrap(), b"message");
    }
}

#[test]
fn ciphertexts_open_both_ways() {
    let peer = Peer::new();
    let (secret, public) = (peer.path("secret.pem"), peer.path("public.pem"));
    for length in LENGTHS {
        let message: Vec<u8> = (0..length).map(|n| (n * 7) as u8).collect();
        let cipher = peer.encrypt.encrypt(&message, CipherFormat::Der).unwrap();
        let opened = peer.pkeyutl(&["-decrypt"], &[("-inkey", &secret)], &cipher);
        assert_eq!(opened, (true, message.clone()), "ours of {length} bytes");
        let (sealed, cipher) = peer.pkeyutl(&["-encrypt", "-pubin"], &[("-inkey", &public)], &message);
        assert!(sealed);
        assert_eq!(*peer.encrypt.decrypt(&cipher, CipherFormat::Der).unwrap(), message);
    }
}

#[test]
fn sm4_modes_and_sm3_agree() {
    let (key, iv) = ([0x5a; 16], [0xf0; 16]);
    let (key_hex, iv_hex) = ("5a".repeat(16), "f0".repeat(16));
    for length in [0, 1, 15, 16, 17, 4096] {
        let message: Vec<u8> = (0..length).map(|n: usize| (n * 3) as u8).collect();
        let modes = [
            ("-sm4-ecb", Sm4Mode::Ecb { padding: Padding::Pkcs7 }),
            ("-sm4-cbc", Sm4Mode::Cbc { iv: &iv, padding: Padding::Pkcs7 }),
            ("-sm4-ctr", Sm4Mode::Ctr { iv: &iv }),
        ];
        for (name, mode) in modes {
            let mut args = vec!["enc", name, "-K", &key_hex];
            if name != "-sm4-ecb" {
                args.extend(["-iv", &iv_hex]);
            }
            let cipher = PureProvider.sm4_encrypt(&key, &mode, &message).unwrap();
            assert_eq!(openssl(&args, &message), (true, cipher.clone()), "{name} {length}");
        }
        let digest = PureProvider.sm3(&[&message]).to_vec();
        assert_eq!(openssl(&["dgst", "-sm3", "-binary"], &message), (true, digest));
        let mac = PureProvider.hmac_sm3(&key, &[&message]).to_vec();
        let option = format!("hexkey:{key_hex}");
        let args = ["dgst", "-sm3", "-binary", "-mac", "HMAC", "-macopt", &option];
        assert_eq!(openssl(&args, &message), (true, mac));
    }
}

#[test]
fn rsa_and_ecdsa_signatures_hold_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let rsa = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    let p256 = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"];
    let cases: [(&[&str], KeyKind, ClassicSignature, &[&str]); 3] = [
        (&rsa, KeyKind::Rsa, ClassicSignature::RsaPkcs1, &[]),
        (&rsa, KeyKind::Rsa, ClassicSignature::RsaPss, &pss),
        (&p256, KeyKind::P256, ClassicSignature::EcdsaDer, &[]),
    ];
    for (make, kind, algorithm, options) in cases {
        let (secret, public, signature) = (file("secret.pem"), file("public.pem"), file("signature"));
        let (made, pem) = openssl(make, b"");
        assert!(made);
        std::fs::write(&secret, &pem).unwrap();
        let (made, public_pem) = openssl(&["pkey", "-in", &secret, "-pubout"], b"");
        assert!(made);
        std::fs::write(&public, &public_pem).unwrap();
        let vault = Vault::in_memory().unwrap();
        let (own, theirs): (KeyRef, KeyRef) = ("vault:own".parse().unwrap(), "vault:theirs".parse().unwrap());
        let pkcs8 = read_pem_secret(std::str::from_utf8(&pem).unwrap()).unwrap();
        vault.import(&own, kind, Purpose::Sign, &pkcs8).unwrap();
        let spki = read_pem_public(std::str::from_utf8(&public_pem).unwrap()).unwrap();
        vault.import_classic_public(&theirs, kind, Purpose::Sign, &spki).unwrap();

        std::fs::write(&signature, vault.key(&own).sign_classic(b"message", algorithm).unwrap()).unwrap();
        let verify = [&["dgst", "-sha256", "-verify", &public, "-signature", &signature], options].concat();
        assert!(openssl(&verify, b"message").0, "{algorithm:?}");
        assert!(!openssl(&verify, b"massage").0);
        let (signed, made) = openssl(&[&["dgst", "-sha256", "-sign", &secret], options].concat(), b"message");
        assert!(signed);
        vault.key(&theirs).verify_classic(b"message", algorithm, &made).unwrap();
        assert!(vault.key(&theirs).verify_classic(b"massage", algorithm, &made).is_err());
    }
}
