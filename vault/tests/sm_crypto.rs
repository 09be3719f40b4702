//! The vault against an independent implementation of another language: `sm-crypto-v2` from npm, both ways, on a thousand random
//! keys and messages with leading zeros, empty and large ones.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
use qiao_vault::{
    CipherFormat, CipherOrder, DEFAULT_SM2_ID, Padding, PointForm, Provider, PureProvider, SignatureFormat,
    Sm4Mode,
    provider::{
        Sm2Public, Sm2Secret,
        agreement::{Exchange, Initiative, Peer},
        sm2_z,
    },
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

const ROUNDS: usize = 1000;
const C1C2C3: CipherFormat = CipherFormat::Raw { order: CipherOrder::C1c2c3, point: PointForm::Bare };
const C1C3C2: CipherFormat = CipherFormat::Raw { order: CipherOrder::C1c3c2, point: PointForm::Bare };
const IDS: [&str; 4] = ["1234567812345678", "ALICE123@YAHOO.COM", "上海市", ""];

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    PureProvider.random(&mut bytes).unwrap();
    bytes
}

fn array<const N: usize>(length_checked: &[u8]) -> [u8; N] {
    length_checked.try_into().unwrap()
}

/// Runs `tests/peers/sm_crypto.js` over all cases at once; one answer for each.
fn peer(cases: &[Value]) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let installed = Command::new("timeout")
        .args(["240", "bash"])
        .arg(root.join("scripts/peers.sh"))
        .arg("node")
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(installed.status.success(), "scripts/peers.sh node failed");
    let folder = PathBuf::from(String::from_utf8(installed.stdout).unwrap().trim());
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: Vec<String> = cases.iter().map(Value::to_string).collect();
    std::fs::write(file.path(), lines.join("\n")).unwrap();
    let output = Command::new("timeout")
        .args(["240", "node"])
        .arg(root.join("tests/peers/sm_crypto.js"))
        .arg(file.path())
        .env("NODE_PATH", folder.join("node_modules"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "tests/peers/sm_crypto.js failed");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// One key with everything made of it, and what is to be checked when the peer has answered.
struct Case {
    secret: Arc<dyn Sm2Secret>,
    public: Arc<dyn Sm2Public>,
    id: &'static str,
    message: Vec<u8>,
    plain: Vec<u8>,
    format: SignatureFormat,
    exchange: Option<Exchange>,
    asked: Value,
}

/// Every eighth scalar begins with zeros; every fiftieth key has a coordinate that does.
fn scalar(round: usize) -> [u8; 32] {
    loop {
        let mut scalar = *PureProvider.sm2_generate().unwrap();
        if round.is_multiple_of(8) {
            scalar[..1 + round / 8 % 24].fill(0);
        }
        let point = PureProvider.sm2_secret(&scalar).unwrap().point();
        if round % 50 != 1 || point[0] == 0 || point[32] == 0 {
            return scalar;
        }
    }
}

/// Empty ones, those around block and digest borders, some large; one in three begins with zeros.
fn message(round: usize) -> Vec<u8> {
    let length = match round {
        7 => 1 << 20,
        _ if round % 100 == 9 => 20_000,
        _ => [0, 1, 2, 15, 16, 17, 31, 32, 33, 55, 56, 64, 255, 256, 257, 1000][round % 16],
    };
    let mut bytes = random(length);
    let zeros = length.min([0, 1, 9][round % 3]);
    bytes[..zeros].fill(0);
    bytes
}

impl Case {
    fn new(round: usize) -> Self {
        let ours = PureProvider;
        let scalar = scalar(round);
        let secret = ours.sm2_secret(&scalar).unwrap();
        let public = ours.sm2_public(&secret.point()).unwrap();
        let (id, message) = (IDS[round % IDS.len()], message(round));
        // SM2 has no ciphertext of an empty message.
        let plain = if message.is_empty() { vec![0] } else { message.clone() };
        let format = [SignatureFormat::Raw, SignatureFormat::Der][round / 4 % 2];
        let digest = ours.sm3(&[&sm2_z(&ours, &secret.point(), id.as_bytes()).unwrap(), &message]);
        let encrypt = || public.encrypt(&plain).unwrap();
        let mut tampered = C1C3C2.write(&encrypt());
        let at = 64 + round % (tampered.len() - 64);
        tampered[at] ^= 1 << (round % 8);
        let (key, iv): ([u8; 16], [u8; 16]) = (array(&random(16)), array(&random(16)));
        let (aad, mac_key) = (random(round % 40), random(round % 130));
        let sm4 = |mode| hex::encode(ours.sm4_encrypt(&key, &mode, &message).unwrap());
        let exchange = round.is_multiple_of(10).then(|| Exchange::start(&ours).unwrap());
        let asked = json!({
            "secret": hex::encode(scalar),
            "public": format!("04{}", hex::encode(secret.point())),
            "id": id,
            "other": round.is_multiple_of(10).then(|| IDS[(round + 1) % IDS.len()]),
            "message": hex::encode(&message),
            "plain": hex::encode(&plain),
            "der": format == SignatureFormat::Der,
            "signature": hex::encode(format.write(&secret.sign_digest(&digest).unwrap())),
            "c1c3c2": hex::encode(C1C3C2.write(&encrypt())),
            "c1c2c3": hex::encode(C1C2C3.write(&encrypt())),
            "cipherDer": round.is_multiple_of(2).then(|| hex::encode(CipherFormat::Der.write(&encrypt()))),
            "tampered": round.is_multiple_of(5).then(|| hex::encode(tampered)),
            "order": round % 2,
            "key": hex::encode(key),
            "iv": hex::encode(iv),
            "aad": hex::encode(&aad),
            "macKey": hex::encode(&mac_key),
            "sm3": hex::encode(ours.sm3(&[&message])),
            "hmac": hex::encode(ours.hmac_sm3(&mac_key, &[&message])),
            "ecb": sm4(Sm4Mode::Ecb { padding: Padding::Pkcs7 }),
            "cbc": sm4(Sm4Mode::Cbc { iv: &iv, padding: Padding::Pkcs7 }),
            "gcm": sm4(Sm4Mode::Gcm { nonce: &iv[..12], aad: &aad }),
            "fresh": exchange.as_ref().map(|exchange| format!("04{}", hex::encode(exchange.point()))),
        });
        Self { secret, public, id, message, plain, format, exchange, asked }
    }

    fn check(self, answer: &Value) {
        let Self { asked, .. } = &self;
        let plain = &asked["plain"];
        assert_eq!(answer["public"], asked["public"]);
        assert_eq!(answer["sm3"], asked["sm3"]);
        assert_eq!(answer["hmac"], asked["hmac"]);
        let der = if asked["cipherDer"].is_null() { &Value::Null } else { plain };
        assert_eq!(answer["opened"], json!({ "c1c3c2": plain, "c1c2c3": plain, "der": der }));
        assert_ne!(&answer["openedTampered"], plain);
        assert_eq!(answer["verified"], true);
        assert_ne!(answer["verifiedWithOtherId"], true);
        self.check_blocks(&answer["blocks"]);

        let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
        let format = if self.asked["order"] == 0 { C1C2C3 } else { C1C3C2 };
        let cipher = format.read(&bytes(&answer["cipher"])).unwrap();
        match self.secret.decrypt(&cipher) {
            Ok(opened) => assert_eq!(*opened, self.plain),
            // GB/T 32918.4 §6.1 A5 and §7.1 B4: a mask of zeros, one in 256 for a single byte, is drawn again and never
            // opened. The peer sends it, the content open to all.
            Err(_) => assert_eq!(cipher[96..], self.plain),
        }
        let signature = self.format.read(&bytes(&answer["signature"])).unwrap();
        let digest = |id: &str| {
            let z = sm2_z(&PureProvider, &self.public.point(), id.as_bytes()).unwrap();
            PureProvider.sm3(&[&z, &self.message])
        };
        self.public.verify_digest(&digest(self.id), &signature).unwrap();
        self.public.verify_digest(&digest("another"), &signature).unwrap_err();

        if let Some(exchange) = self.exchange {
            let point = |name: &str| -> [u8; 64] { array(&bytes(&answer["exchange"][name])[1..]) };
            let (public, ephemeral) = (point("public"), point("fresh"));
            let peer = Peer { public: &public, ephemeral: &ephemeral, id: b"initiator" };
            let own_id = self.id.as_bytes();
            let agreed = exchange
                .finish(&PureProvider, &*self.secret, own_id, &peer, Initiative::Responder, 48)
                .unwrap();
            assert_eq!(*agreed.key, bytes(&answer["exchange"]["key"]));
        }
    }

    fn check_blocks(&self, answer: &Value) {
        for mode in ["ecb", "cbc", "gcm"] {
            assert_eq!(answer[mode], self.asked[mode], "{mode}");
        }
        for opened in ["openedEcb", "openedCbc", "openedGcm"] {
            assert_eq!(answer[opened], self.asked["message"], "{opened}");
        }
        assert_eq!(answer["openedGcmWithOtherTag"], Value::Null);
    }
}

#[test]
fn a_thousand_keys_and_messages_go_both_ways() {
    assert_eq!(DEFAULT_SM2_ID, IDS[0].as_bytes());
    let cases: Vec<Case> = (0..ROUNDS).map(Case::new).collect();
    let asked: Vec<Value> = cases.iter().map(|case| case.asked.clone()).collect();
    let answers = peer(&asked);
    assert_eq!(answers.len(), ROUNDS);
    for (round, (case, answer)) in cases.into_iter().zip(&answers).enumerate() {
        println!("round {round}");
        case.check(answer);
    }
}
