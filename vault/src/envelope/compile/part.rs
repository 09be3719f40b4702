//! Compiles one part. For `compile`.
use super::{Compiler, Type};
use crate::{
    envelope::{
        op::{Mode, Op, Pairs, Piece, Selector},
        spec::{
            CipherWire, PaddingName, PairsSpec, PartSpec, ReadSpec, Sm2CipherSpec, Sm4ModeName, Sm4Spec,
            StripSpec,
        },
    },
    format::CipherFormat,
    key::{KeyKind, Purpose},
    provider::{DEFAULT_SM2_ID, Padding},
};

/// Answers and wires are small; a longer random value is a mistake.
const MAX_RANDOM: u32 = 1024;

impl Compiler<'_> {
    /// `None` after a reported mistake.
    pub(super) fn part(&mut self, path: &str, part: &PartSpec) -> Option<Op> {
        let kinds: Vec<String> = part.kinds().into_iter().map(camel_case).collect();
        let [kind] = kinds.as_slice() else {
            let message = match kinds.is_empty() {
                true => "say how the part is computed, for example `random: 16`".to_owned(),
                false => format!("a part is computed in one way, not by {}", kinds.join(" and ")),
            };
            self.mistake(path, message);
            return None;
        };
        let path = format!("{path}.{kind}");
        self.plain_part(&path, part).or_else(|| self.crypto_part(&path, part))
    }

    fn plain_part(&mut self, path: &str, part: &PartSpec) -> Option<Op> {
        if let Some(length) = part.random {
            if !(1..=MAX_RANDOM).contains(&length) {
                self.mistake(path, format!("1 to {MAX_RANDOM} random bytes"));
                return None;
            }
            return Some(Op::Random(length as usize));
        }
        if let Some(text) = &part.text {
            return self.template(path, text).map(Op::Text);
        }
        if let Some(name) = &part.param {
            if !self.params.contains(name) {
                self.params.push(name.clone());
            }
            return Some(Op::Param(name.clone()));
        }
        if let Some(spec) = &part.read {
            return self.read(path, spec);
        }
        if let Some(spec) = &part.encode {
            return Some(Op::Encode {
                data: self.bytes(&format!("{path}.data"), &spec.data)?,
                form: spec.form,
            });
        }
        if let Some(spec) = &part.decode {
            return Some(Op::Decode {
                data: self.bytes(&format!("{path}.data"), &spec.data)?,
                form: spec.form,
            });
        }
        if let Some(parts) = &part.concat {
            let slots: Vec<_> = (0..)
                .zip(parts)
                .map(|(i, name): (usize, _)| self.bytes(&format!("{path}[{i}]"), name))
                .collect();
            return slots.into_iter().collect::<Option<_>>().map(Op::Concat);
        }
        if let Some(spec) = &part.cut {
            return Some(Op::Cut {
                data: self.bytes(&format!("{path}.data"), &spec.data)?,
                from: spec.from,
                to: spec.to,
            });
        }
        if let Some(spec) = &part.strip_prefix {
            return self.strip(path, spec, false);
        }
        if let Some(spec) = &part.strip_suffix {
            return self.strip(path, spec, true);
        }
        if let Some(fields) = &part.json {
            return Some(Op::Json(self.fields(path, fields)));
        }
        if let Some(name) = &part.parse_json {
            return self.bytes(path, name).map(Op::ParseJson);
        }
        if let Some(name) = &part.canonical_json {
            return self.bytes(path, name).map(Op::CanonicalJson);
        }
        part.sorted_pairs.as_ref().and_then(|spec| self.pairs(path, spec))
    }

    fn crypto_part(&mut self, path: &str, part: &PartSpec) -> Option<Op> {
        let key_path = format!("{path}.key");
        let data_path = format!("{path}.data");
        if let Some(name) = &part.key_bytes {
            return self.key(path, name, &["shared"], KeyKind::Secret, Purpose::Secret).map(Op::KeyBytes);
        }
        if let Some(name) = &part.sm3 {
            return self.bytes(path, name).map(Op::Sm3);
        }
        if let Some(spec) = &part.hmac_sm3 {
            let data = self.bytes(&data_path, &spec.data);
            let key = self.key_source(&key_path, &spec.key, KeyKind::Hmac, Purpose::Mac);
            return Some(Op::Hmac { data: data?, key: key? });
        }
        if let Some(spec) = &part.sm2_sign {
            let data = self.bytes(&data_path, &spec.data);
            let key = self.key(&key_path, &spec.key, &["ours"], KeyKind::Sm2, Purpose::Sign);
            let id = self.id(path, spec.id.as_deref(), spec.id_part.as_deref());
            return Some(Op::Sm2Sign { data: data?, key: key?, id: id?, format: spec.format });
        }
        if let Some(spec) = &part.sm2_verify {
            let data = self.bytes(&data_path, &spec.data);
            let signature = self.bytes(&format!("{path}.signature"), &spec.signature);
            let key = self.key(&key_path, &spec.key, &["theirs"], KeyKind::Sm2, Purpose::Sign);
            let id = self.id(path, spec.id.as_deref(), spec.id_part.as_deref());
            return Some(Op::Sm2Verify {
                data: data?,
                signature: signature?,
                key: key?,
                id: id?,
                format: spec.format,
            });
        }
        if let Some(spec) = &part.sm2_encrypt {
            let data = self.bytes(&data_path, &spec.data);
            let key = self.key(&key_path, &spec.key, &["theirs"], KeyKind::Sm2, Purpose::Encrypt);
            return Some(Op::Sm2Encrypt { format: self.cipher_format(path, spec)?, data: data?, key: key? });
        }
        if let Some(spec) = &part.sm2_decrypt {
            let data = self.bytes(&data_path, &spec.data);
            let key = self.key(&key_path, &spec.key, &["ours"], KeyKind::Sm2, Purpose::Encrypt);
            return Some(Op::Sm2Decrypt { format: self.cipher_format(path, spec)?, data: data?, key: key? });
        }
        self.classic_part(path, part)
    }

    fn classic_part(&mut self, path: &str, part: &PartSpec) -> Option<Op> {
        let ciphers = [
            (&part.sm4_encrypt, false, true),
            (&part.sm4_decrypt, false, false),
            (&part.aes_encrypt, true, true),
            (&part.aes_decrypt, true, false),
        ];
        for (spec, aes, encrypt) in ciphers {
            if let Some(spec) = spec {
                return self.cipher(path, spec, aes, encrypt);
            }
        }
        if let Some(name) = &part.sha256 {
            return self.bytes(path, name).map(Op::Sha256);
        }
        if let Some(spec) = &part.hmac_sha256 {
            let data = self.bytes(&format!("{path}.data"), &spec.data);
            let key = self.key_source(&format!("{path}.key"), &spec.key, KeyKind::Hmac, Purpose::Mac);
            return Some(Op::HmacSha256 { data: data?, key: key? });
        }
        if let Some(spec) = &part.sign {
            let data = self.bytes(&format!("{path}.data"), &spec.data);
            let kind = spec.algorithm.key_kind();
            let key = self.key(&format!("{path}.key"), &spec.key, &["ours"], kind, Purpose::Sign);
            return Some(Op::Sign { data: data?, key: key?, algorithm: spec.algorithm });
        }
        if let Some(spec) = &part.verify {
            let data = self.bytes(&format!("{path}.data"), &spec.data);
            let signature = self.bytes(&format!("{path}.signature"), &spec.signature);
            let kind = spec.algorithm.key_kind();
            let key = self.key(&format!("{path}.key"), &spec.key, &["theirs"], kind, Purpose::Sign);
            return Some(Op::Verify {
                data: data?,
                signature: signature?,
                key: key?,
                algorithm: spec.algorithm,
            });
        }
        let Some(spec) = &part.equals else { return self.asn1_part(path, part) };
        let left = self.bytes(&format!("{path}.left"), &spec.left);
        let right = self.bytes(&format!("{path}.right"), &spec.right);
        Some(Op::Equals { left: left?, right: right? })
    }

    fn read(&mut self, path: &str, spec: &ReadSpec) -> Option<Op> {
        let from = match &spec.from {
            Some(name) => Some(self.slot(&format!("{path}.from"), name, Type::Json)?),
            None if self.sealing => {
                self.mistake(path, "there is no wire to read while sealing; give `from`");
                return None;
            }
            None => None,
        };
        let field = match spec.field.starts_with('/') {
            true => Selector::Pointer(spec.field.clone()),
            false => Selector::Member(spec.field.clone()),
        };
        Some(Op::Read { from, field, form: spec.form, optional: spec.optional })
    }

    fn strip(&mut self, path: &str, spec: &StripSpec, end: bool) -> Option<Op> {
        let data = self.bytes(&format!("{path}.data"), &spec.data);
        let what = match (&spec.text, &spec.part) {
            (Some(text), None) => Some(Piece::Literal(text.clone().into_bytes())),
            (None, Some(name)) => self.bytes(&format!("{path}.part"), name).map(Piece::Part),
            _ => {
                self.mistake(path, "give either `text` or `part`");
                None
            }
        };
        Some(Op::Strip { data: data?, what: what?, end, optional: spec.optional })
    }

    fn pairs(&mut self, path: &str, spec: &PairsSpec) -> Option<Op> {
        if spec.pairs.is_empty() && spec.object.is_none() {
            self.mistake(path, "give `pairs` or `object`");
            return None;
        }
        let mut pairs = Vec::with_capacity(spec.pairs.len());
        for (key, part) in &spec.pairs {
            pairs.push((key.clone(), self.bytes(&format!("{path}.pairs.{key}"), part)?));
        }
        let object = match &spec.object {
            Some(name) => Some(self.slot(&format!("{path}.object"), name, Type::Json)?),
            None => None,
        };
        Some(Op::SortedPairs(Pairs {
            pairs,
            object,
            except: spec.except.clone(),
            keep_empty: spec.keep_empty,
            between: spec.between.clone().unwrap_or_else(|| "=".into()),
            join: spec.join.clone().unwrap_or_else(|| "&".into()),
        }))
    }

    fn id(&mut self, path: &str, id: Option<&str>, part: Option<&str>) -> Option<Piece> {
        match (id, part) {
            (None, None) => Some(Piece::Literal(DEFAULT_SM2_ID.to_vec())),
            (Some(id), None) => Some(Piece::Literal(id.as_bytes().to_vec())),
            (None, Some(part)) => self.bytes(&format!("{path}.idPart"), part).map(Piece::Part),
            (Some(_), Some(_)) => {
                self.mistake(path, "give either `id` or `idPart`");
                None
            }
        }
    }

    fn cipher_format(&mut self, path: &str, spec: &Sm2CipherSpec) -> Option<CipherFormat> {
        if spec.format != Some(CipherWire::Der) {
            let (order, point) = (spec.order.unwrap_or_default(), spec.point.unwrap_or_default());
            return Some(CipherFormat::Raw { order, point });
        }
        if spec.order.is_some() || spec.point.is_some() {
            self.mistake(path, "`order` and `point` belong to raw ciphertexts, not to `format: der`");
            return None;
        }
        Some(CipherFormat::Der)
    }

    fn cipher(&mut self, path: &str, spec: &Sm4Spec, aes: bool, encrypt: bool) -> Option<Op> {
        let kind = if aes { KeyKind::Aes } else { KeyKind::Sm4 };
        let data = self.bytes(&format!("{path}.data"), &spec.data);
        let key = self.key_source(&format!("{path}.key"), &spec.key, kind, Purpose::Encrypt);
        let mode = self.mode(path, spec);
        Some(Op::Cipher { aes, encrypt, data: data?, key: key?, mode: mode? })
    }

    fn mode(&mut self, path: &str, spec: &Sm4Spec) -> Option<Mode> {
        use Sm4ModeName::{Cbc, Ccm, Ctr, Ecb, Gcm};
        let padded = matches!(spec.mode, Ecb | Cbc);
        if spec.padding.is_some() && !padded {
            self.mistake(format!("{path}.padding"), "only `ecb` and `cbc` pad");
        }
        if spec.aad.is_some() && !matches!(spec.mode, Gcm | Ccm) {
            self.mistake(format!("{path}.aad"), "only `gcm` and `ccm` authenticate additional data");
        }
        let padding = match spec.padding {
            None | Some(PaddingName::Pkcs7) => Padding::Pkcs7,
            Some(PaddingName::Zero) => Padding::Zero,
            Some(PaddingName::None) => Padding::None,
        };
        let iv_path = format!("{path}.iv");
        let iv = match (&spec.iv, spec.mode) {
            (None, Ecb) => return Some(Mode::Ecb(padding)),
            (Some(_), Ecb) => {
                self.mistake(iv_path, "`ecb` has no IV");
                return None;
            }
            (None, _) => {
                self.mistake(iv_path, "this mode needs an IV");
                return None;
            }
            (Some(name), _) => self.bytes(&iv_path, name)?,
        };
        let aad = match &spec.aad {
            Some(name) => Some(self.bytes(&format!("{path}.aad"), name)?),
            None => None,
        };
        Some(match spec.mode {
            Cbc => Mode::Cbc(iv, padding),
            Ctr => Mode::Ctr(iv),
            Gcm => Mode::Gcm(iv, aad),
            Ccm | Ecb => Mode::Ccm(iv, aad),
        })
    }
}

fn camel_case(field: &str) -> String {
    let mut out = String::with_capacity(field.len());
    let mut upper = false;
    for c in field.chars() {
        match (c, upper) {
            ('_', _) => upper = true,
            (c, true) => {
                out.push(c.to_ascii_uppercase());
                upper = false;
            }
            (c, false) => out.push(c),
        }
    }
    out
}
