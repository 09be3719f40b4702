//! The compiled form of an envelope: references resolved to slots, keys to handles, texts to pieces. For `compile` and `run`.
use crate::{
    classic::{ClassicSignature, RsaEncryption},
    encoding::TextForm,
    format::{CipherFormat, SignatureFormat},
    message::{MessageForm, MessageKind, OwnKey, Recipient, Signer},
    provider::Padding,
    vault::KeyHandle,
};

/// Index of a part among the values computed so far.
pub(super) type Slot = usize;

pub(super) struct Step {
    /// For the operator, when this step refuses.
    pub(super) name: String,
    pub(super) op: Op,
}

pub(super) struct Field {
    pub(super) name: String,
    pub(super) slot: Slot,
    pub(super) form: TextForm,
}

pub(super) enum Op {
    Random(usize),
    Text(Vec<Piece>),
    Param(String),
    Read { from: Option<Slot>, field: Selector, form: TextForm, optional: bool },
    Encode { data: Slot, form: TextForm },
    Decode { data: Slot, form: TextForm },
    Concat(Vec<Slot>),
    Cut { data: Slot, from: i64, to: Option<i64> },
    KeyBytes(KeyHandle),
    Strip { data: Slot, what: Piece, end: bool, optional: bool },
    Json(Vec<Field>),
    ParseJson(Slot),
    CanonicalJson(Slot),
    SortedPairs(Pairs),
    Sm3(Slot),
    Hmac { data: Slot, key: KeySource },
    Sm2Sign { data: Slot, key: KeyHandle, id: Piece, format: SignatureFormat },
    Sm2Verify { data: Slot, signature: Slot, key: KeyHandle, id: Piece, format: SignatureFormat },
    Sm2Encrypt { data: Slot, key: KeyHandle, format: CipherFormat },
    Sm2Decrypt { data: Slot, key: KeyHandle, format: CipherFormat },
    Cipher { aes: bool, encrypt: bool, data: Slot, key: KeySource, mode: Mode },
    Sha256(Slot),
    HmacSha256 { data: Slot, key: KeySource },
    Sign { data: Slot, key: KeyHandle, algorithm: ClassicSignature },
    Verify { data: Slot, signature: Slot, key: KeyHandle, algorithm: ClassicSignature },
    RsaEncrypt { data: Slot, key: KeyHandle, scheme: RsaEncryption },
    RsaDecrypt { data: Slot, key: KeyHandle, scheme: RsaEncryption, length: Option<usize> },
    SealMessage(Box<SealMessage>),
    OpenMessage(Box<OpenMessage>),
    Equals { left: Slot, right: Slot },
}

pub(super) struct SealMessage {
    pub(super) kind: MessageKind,
    pub(super) data: Slot,
    pub(super) signers: Vec<Signer>,
    pub(super) recipients: Vec<Recipient>,
    pub(super) form: MessageForm,
}

pub(super) struct OpenMessage {
    pub(super) kind: MessageKind,
    pub(super) data: Slot,
    pub(super) detached: Option<Slot>,
    pub(super) keys: Vec<OwnKey>,
    /// The partner's key and distinguishing identifier.
    pub(super) signer: Option<(KeyHandle, Vec<u8>)>,
}

pub(super) enum Piece {
    Literal(Vec<u8>),
    Part(Slot),
}

pub(super) enum Selector {
    Member(String),
    Pointer(String),
}

pub(super) struct Pairs {
    pub(super) pairs: Vec<(String, Slot)>,
    pub(super) object: Option<Slot>,
    pub(super) except: Vec<String>,
    pub(super) keep_empty: bool,
    pub(super) between: String,
    pub(super) join: String,
}

pub(super) enum KeySource {
    Part(Slot),
    Vault(KeyHandle),
}

pub(super) enum Mode {
    Ecb(Padding),
    Cbc(Slot, Padding),
    Ctr(Slot),
    Gcm(Slot, Option<Slot>),
    Ccm(Slot, Option<Slot>),
}
