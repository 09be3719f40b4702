//! Runs a compiled envelope over one message. For `Envelope::seal` and `Envelope::open`.
use super::{
    Envelope, Params, Stamp,
    json::{canonical, pair_text},
    op::{Field, KeySource, Mode, Op, OpenMessage, Pairs, Piece, SealMessage, Selector, Slot, Step},
};
use crate::{
    classic,
    encoding::TextForm,
    error::VaultError,
    key::KeyKind,
    message::{self, SignerTrust},
    provider::{CryptoError, Provider, Sm4Mode},
    revocation::Revocation,
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

type Bytes = Zeroizing<Vec<u8>>;

enum Computed<'a> {
    Given(&'a [u8]),
    Bytes(Bytes),
    Json(Value),
    /// A check that held.
    Nothing,
}

/// One message on its way through the steps.
struct Run<'a> {
    provider: &'a dyn Provider,
    params: &'a Params,
    wire: Option<&'a Value>,
    /// Which accepting version of shared keys to use; above 0 only when an earlier one refused.
    rank: usize,
    values: Vec<Computed<'a>>,
}

pub(super) fn seal(envelope: &Envelope, plain: &[u8], params: &Params) -> Result<Value, VaultError> {
    let mut values = Vec::with_capacity(envelope.seal.len() + 1);
    values.push(Computed::Given(plain));
    let mut run = Run { provider: &*envelope.provider, params, wire: None, rank: 0, values };
    for step in &envelope.seal {
        // What fails while sealing is our own doing, never a sender's: say it openly.
        let value = run.compute(step).map_err(|error| match error {
            VaultError::Refused { .. } => {
                VaultError::invalid(format!("part {} cannot be computed", step.name))
            }
            VaultError::Invalid { what } => VaultError::invalid(format!("part {}: {what}", step.name)),
            other => other,
        })?;
        run.values.push(value);
    }
    run.object(&envelope.write)
}

pub(super) fn open(
    envelope: &Envelope,
    wire: &Value,
    params: &Params,
) -> Result<(Bytes, Option<Stamp>), VaultError> {
    let mut rank = 0;
    loop {
        let refused = match open_with(envelope, wire, params, rank) {
            Err(error @ VaultError::Refused { .. }) => error,
            other => return other,
        };
        rank += 1;
        if envelope.shared_keys.iter().all(|key| key.accepting_versions() <= rank) {
            return Err(refused);
        }
    }
}

fn open_with(
    envelope: &Envelope,
    wire: &Value,
    params: &Params,
    rank: usize,
) -> Result<(Bytes, Option<Stamp>), VaultError> {
    let values = Vec::with_capacity(envelope.open.len());
    let mut run = Run { provider: &*envelope.provider, params, wire: Some(wire), rank, values };
    let mut plain = 0;
    for (slot, step) in envelope.open.iter().enumerate() {
        // Once a value depends on the message, an unusable one is the sender's doing and must not be told apart.
        let value = run.compute(step).map_err(|error| match error {
            VaultError::Refused { .. } | VaultError::Invalid { .. } => {
                VaultError::Refused { part: step.name.clone() }
            }
            other => other,
        })?;
        run.values.push(value);
        if step.name == "plain" {
            plain = slot;
        }
    }
    // Every check held: what is stamped is the sender's own.
    let stamp = envelope.freshness.as_ref().map(|freshness| freshness.stamp(|slot| run.bytes(slot)));
    match run.values.swap_remove(plain) {
        Computed::Bytes(bytes) => Ok((bytes, stamp)),
        _ => Err(VaultError::invalid("the description computes no `plain`")),
    }
}

impl<'a> Run<'a> {
    fn compute(&self, step: &Step) -> Result<Computed<'a>, VaultError> {
        let bytes = match &step.op {
            Op::Sm2Verify { data, signature, key, id, format } => {
                key.verify(self.bytes(*data), self.piece(id), self.bytes(*signature), *format)?;
                return Ok(Computed::Nothing);
            }
            Op::Equals { left, right } => {
                let same = crate::vault::constant_time_eq(self.bytes(*left), self.bytes(*right));
                return if same { Ok(Computed::Nothing) } else { Err(CryptoError::Refused.into()) };
            }
            Op::ParseJson(data) => {
                return serde_json::from_slice(self.bytes(*data))
                    .map(Computed::Json)
                    .map_err(|_| CryptoError::Refused.into());
            }
            Op::Sm2Sign { data, key, id, format } => {
                key.sign(self.bytes(*data), self.piece(id), *format)?.into()
            }
            Op::Sm2Encrypt { data, key, format } => key.encrypt(self.bytes(*data), *format)?.into(),
            Op::Sm2Decrypt { data, key, format } => key.decrypt(self.bytes(*data), *format)?,
            Op::Verify { data, signature, key, algorithm } => {
                key.verify_classic(self.bytes(*data), *algorithm, self.bytes(*signature))?;
                return Ok(Computed::Nothing);
            }
            Op::Sign { data, key, algorithm } => key.sign_classic(self.bytes(*data), *algorithm)?.into(),
            Op::Cipher { aes, encrypt, data, key, mode } => self.cipher(*aes, *encrypt, *data, key, mode)?,
            Op::Sha256(data) => classic::sha256(self.bytes(*data)).to_vec().into(),
            Op::HmacSha256 { data, key } => {
                let mac = |key: &[u8]| classic::hmac_sha256(key, self.bytes(*data)).to_vec();
                self.with_key(key, KeyKind::Hmac, mac)?.into()
            }
            Op::Sm3(data) => self.provider.sm3(&[self.bytes(*data)]).to_vec().into(),
            Op::Hmac { data, key } => {
                let mac = |key: &[u8]| self.provider.hmac_sm3(key, &[self.bytes(*data)]).to_vec();
                self.with_key(key, KeyKind::Hmac, mac)?.into()
            }
            Op::KeyBytes(key) => {
                key.with_bytes(KeyKind::Secret, self.available(key), |bytes| bytes.to_vec())?.into()
            }
            Op::RsaEncrypt { data, key, scheme } => key.encrypt_rsa(self.bytes(*data), *scheme)?.into(),
            Op::RsaDecrypt { data, key, scheme, length } => match length {
                Some(length) => key.decrypt_rsa_key_with(self.bytes(*data), *length, self.available(key))?,
                None => key.decrypt_rsa(self.bytes(*data), *scheme)?,
            },
            Op::SealMessage(op) => self.seal_message(op)?.into(),
            Op::OpenMessage(op) => self.open_message(op)?,
            other => self.shape(other)?,
        };
        Ok(Computed::Bytes(bytes))
    }

    fn seal_message(&self, op: &SealMessage) -> Result<Vec<u8>, VaultError> {
        let (data, now) = (self.bytes(op.data), crate::vault::now());
        message::seal(self.provider, op.kind, data, &op.signers, &op.recipients, &op.form, now)
    }

    fn open_message(&self, op: &OpenMessage) -> Result<Bytes, VaultError> {
        let trust = match &op.signer {
            Some((key, id)) => SignerTrust::Key { key, id },
            // An enveloped message has no signer.
            None => SignerTrust::Chain { roots: &[], more: &[], revocation: Revocation::None, now: 0 },
        };
        let detached = op.detached.map(|slot| self.bytes(slot));
        let opened = message::open(self.provider, op.kind, self.bytes(op.data), detached, &op.keys, &trust);
        match opened {
            Ok(opened) => Ok(opened.content),
            // The bytes may come from a decryption, so their shape must not be told apart either.
            Err(VaultError::Malformed { .. }) => Err(CryptoError::Refused.into()),
            Err(other) => Err(other),
        }
    }

    /// The operations without keys.
    fn shape(&self, op: &Op) -> Result<Bytes, VaultError> {
        let unusable = || VaultError::from(CryptoError::Refused);
        let bytes = match op {
            Op::Random(length) => {
                let mut bytes = Bytes::new(vec![0; *length]);
                self.provider.random(&mut bytes)?;
                bytes
            }
            Op::Text(pieces) => self.joined(pieces.iter().map(|piece| self.piece(piece))),
            Op::Param(name) => match self.params.get(name) {
                Some(value) => value.as_bytes().to_vec().into(),
                None => return Err(VaultError::MissingParam { name: name.clone() }),
            },
            Op::Read { from, field, form, optional } => self.read(*from, field, *form, *optional)?,
            Op::Encode { data, form } => {
                form.encode(self.bytes(*data)).ok_or_else(unusable)?.into_bytes().into()
            }
            Op::Decode { data, form } => {
                let text = std::str::from_utf8(self.bytes(*data)).map_err(|_| unusable())?;
                form.decode(text).ok_or_else(unusable)?.into()
            }
            Op::Concat(parts) => self.joined(parts.iter().map(|part| self.bytes(*part))),
            Op::Cut { data, from, to } => {
                cut(self.bytes(*data), *from, *to).ok_or_else(unusable)?.to_vec().into()
            }
            Op::Strip { data, what, end, optional } => {
                let (data, what) = (self.bytes(*data), self.piece(what));
                let rest = if *end { data.strip_suffix(what) } else { data.strip_prefix(what) };
                rest.or(optional.then_some(data)).ok_or_else(unusable)?.to_vec().into()
            }
            Op::Json(fields) => self.object(fields)?.to_string().into_bytes().into(),
            Op::CanonicalJson(data) => {
                let value = serde_json::from_slice(self.bytes(*data)).map_err(|_| unusable())?;
                canonical(&value).into_bytes().into()
            }
            Op::SortedPairs(pairs) => self.sorted_pairs(pairs)?,
            _ => return Err(VaultError::invalid("operation out of place")),
        };
        Ok(bytes)
    }

    fn bytes(&self, slot: Slot) -> &[u8] {
        match &self.values[slot] {
            Computed::Given(bytes) => bytes,
            Computed::Bytes(bytes) => bytes,
            // Compilation lets nothing refer to these as bytes.
            Computed::Json(_) | Computed::Nothing => &[],
        }
    }

    fn piece<'b>(&'b self, piece: &'b Piece) -> &'b [u8] {
        match piece {
            Piece::Literal(bytes) => bytes,
            Piece::Part(slot) => self.bytes(*slot),
        }
    }

    fn joined<'b>(&self, parts: impl Iterator<Item = &'b [u8]> + Clone) -> Bytes {
        let mut out = Bytes::new(Vec::with_capacity(parts.clone().map(<[u8]>::len).sum()));
        parts.for_each(|part| out.extend_from_slice(part));
        out
    }

    /// A key that has no version at this rank serves with its active one.
    fn available(&self, key: &crate::vault::KeyHandle) -> usize {
        if self.rank < key.accepting_versions() { self.rank } else { 0 }
    }

    fn with_key<T>(
        &self,
        key: &KeySource,
        kind: KeyKind,
        run: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, VaultError> {
        match key {
            KeySource::Part(slot) => Ok(run(self.bytes(*slot))),
            KeySource::Vault(key) => key.with_bytes(kind, self.available(key), run),
        }
    }

    fn cipher(
        &self,
        aes: bool,
        encrypt: bool,
        data: Slot,
        key: &KeySource,
        mode: &Mode,
    ) -> Result<Bytes, VaultError> {
        let aad = |slot: &Option<Slot>| slot.map_or(&[][..], |slot| self.bytes(slot));
        let mode = match mode {
            Mode::Ecb(padding) => Sm4Mode::Ecb { padding: *padding },
            Mode::Cbc(iv, padding) => Sm4Mode::Cbc { iv: self.bytes(*iv), padding: *padding },
            Mode::Ctr(iv) => Sm4Mode::Ctr { iv: self.bytes(*iv) },
            Mode::Gcm(nonce, extra) => Sm4Mode::Gcm { nonce: self.bytes(*nonce), aad: aad(extra) },
            Mode::Ccm(nonce, extra) => Sm4Mode::Ccm { nonce: self.bytes(*nonce), aad: aad(extra) },
        };
        let data = self.bytes(data);
        if aes {
            return Ok(self.with_key(key, KeyKind::Aes, |key| match encrypt {
                true => classic::aes_encrypt(key, &mode, data).map(Bytes::new),
                false => classic::aes_decrypt(key, &mode, data),
            })??);
        }
        if let KeySource::Vault(key) = key {
            return key.sm4_at(self.available(key), encrypt, &mode, data);
        }
        let run = |key: &[u8]| -> Result<Bytes, CryptoError> {
            let key = key.try_into().map_err(|_| CryptoError::Invalid("an SM4 key has 16 bytes"))?;
            match encrypt {
                true => self.provider.sm4_encrypt(key, &mode, data).map(Bytes::new),
                false => self.provider.sm4_decrypt(key, &mode, data),
            }
        };
        Ok(self.with_key(key, KeyKind::Sm4, run)??)
    }

    fn read(
        &self,
        from: Option<Slot>,
        field: &Selector,
        form: TextForm,
        optional: bool,
    ) -> Result<Bytes, VaultError> {
        let (Selector::Member(name) | Selector::Pointer(name)) = field;
        let source = match from.map(|slot| &self.values[slot]) {
            Some(Computed::Json(value)) => Some(value),
            Some(_) => None,
            None => self.wire,
        };
        let value = source.and_then(|source| match field {
            Selector::Member(name) => source.get(name),
            Selector::Pointer(pointer) => source.pointer(pointer),
        });
        // Inside a part the shape may depend on a decryption, so it must not be told apart from any other refusal.
        let malformed = |problem| match from {
            None => VaultError::Malformed { field: name.clone(), problem },
            Some(_) => CryptoError::Refused.into(),
        };
        match (value, form) {
            (None | Some(Value::Null), _) if optional => Ok(Bytes::default()),
            (None, _) => Err(malformed("is missing")),
            (Some(value), TextForm::Json) => Ok(value.to_string().into_bytes().into()),
            (Some(Value::String(text)), form) => {
                form.decode(text).map(Bytes::new).ok_or_else(|| malformed("is not in the agreed encoding"))
            }
            (Some(value @ (Value::Number(_) | Value::Bool(_))), TextForm::Text) => {
                Ok(value.to_string().into_bytes().into())
            }
            _ => Err(malformed("is not a text")),
        }
    }

    fn object(&self, fields: &[Field]) -> Result<Value, VaultError> {
        let mut object = Map::with_capacity(fields.len());
        for field in fields {
            let bytes = self.bytes(field.slot);
            let unfit =
                || VaultError::invalid(format!("field {}: the part is no {:?}", field.name, field.form));
            let value = match field.form {
                TextForm::Json => serde_json::from_slice(bytes).map_err(|_| unfit())?,
                form => Value::String(form.encode(bytes).ok_or_else(unfit)?),
            };
            object.insert(field.name.clone(), value);
        }
        Ok(Value::Object(object))
    }

    fn sorted_pairs(&self, spec: &Pairs) -> Result<Bytes, VaultError> {
        let mut pairs: Vec<(&str, Bytes)> = spec
            .pairs
            .iter()
            .map(|(key, slot)| (key.as_str(), Bytes::new(self.bytes(*slot).to_vec())))
            .collect();
        if let Some(slot) = spec.object {
            let Computed::Json(Value::Object(object)) = &self.values[slot] else {
                return Err(CryptoError::Refused.into());
            };
            let kept = object.iter().filter(|(key, _)| !spec.except.contains(key));
            pairs.extend(kept.map(|(key, value)| (key.as_str(), pair_text(value).into_bytes().into())));
        }
        if !spec.keep_empty {
            pairs.retain(|(_, value)| !value.is_empty());
        }
        pairs.sort_by_key(|(key, _)| *key);
        let mut out = Bytes::default();
        for (index, (key, value)) in pairs.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(spec.join.as_bytes());
            }
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(spec.between.as_bytes());
            out.extend_from_slice(value);
        }
        Ok(out)
    }
}

/// `None` where the range is not inside the data.
fn cut(data: &[u8], from: i64, to: Option<i64>) -> Option<&[u8]> {
    let place = |at: i64| -> Option<usize> {
        let length = i64::try_from(data.len()).ok()?;
        usize::try_from(if at < 0 { length + at } else { at }).ok()
    };
    data.get(place(from)?..to.map_or(Some(data.len()), place)?)
}
