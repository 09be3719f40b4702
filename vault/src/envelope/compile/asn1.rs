//! Compiles the parts for ASN.1 messages and RSA. For `compile`.
use super::Compiler;
use crate::{
    certificate::{Certificate, PublicKey},
    classic::RsaEncryption,
    envelope::{
        op::{Op, OpenMessage, SealMessage},
        spec::{IdentitySpec, OpenMessageSpec, PartSpec, RsaCipherSpec, SealMessageSpec},
    },
    key::{KeyKind, Purpose},
    message::{Identity, MessageKind, OwnKey, Recipient, Signer},
    provider::DEFAULT_SM2_ID,
    vault::KeyHandle,
};

impl Compiler<'_> {
    pub(super) fn asn1_part(&mut self, path: &str, part: &PartSpec) -> Option<Op> {
        if let Some(spec) = &part.seal_message {
            return self.seal_message(path, spec);
        }
        if let Some(spec) = &part.open_message {
            return self.open_message(path, spec);
        }
        if let Some(spec) = &part.rsa_encrypt {
            let data = self.bytes(&format!("{path}.data"), &spec.data);
            let key = self.rsa_key(path, spec, "theirs");
            if spec.length.is_some() {
                self.mistake(format!("{path}.length"), "only decrypting needs the length");
            }
            return Some(Op::RsaEncrypt { data: data?, key: key?, scheme: spec.scheme });
        }
        part.rsa_decrypt.as_ref().and_then(|spec| self.rsa_decrypt(path, spec))
    }

    fn rsa_key(&mut self, path: &str, spec: &RsaCipherSpec, role: &str) -> Option<KeyHandle> {
        self.key(&format!("{path}.key"), &spec.key, &[role], KeyKind::Rsa, Purpose::Encrypt)
    }

    fn rsa_decrypt(&mut self, path: &str, spec: &RsaCipherSpec) -> Option<Op> {
        let data = self.bytes(&format!("{path}.data"), &spec.data);
        let key = self.rsa_key(path, spec, "ours");
        let length = match (spec.scheme, spec.length) {
            (RsaEncryption::Pkcs1, Some(length @ 1..=64)) => Some(usize::from(length)),
            (RsaEncryption::Pkcs1, _) => {
                self.mistake(format!("{path}.length"), "`pkcs1` needs the key's length, 1 to 64 bytes");
                return None;
            }
            (_, None) => None,
            (_, Some(_)) => {
                self.mistake(format!("{path}.length"), "only `pkcs1` needs the length");
                return None;
            }
        };
        let key = key?;
        // It refuses nothing, so a later part's refusal is what makes older versions be tried.
        if length.is_some() && !self.sealing && !self.shared_keys.iter().any(|known| known.key() == key.key())
        {
            self.shared_keys.push(key.clone());
        }
        Some(Op::RsaDecrypt { data: data?, key, scheme: spec.scheme, length })
    }

    fn seal_message(&mut self, path: &str, spec: &SealMessageSpec) -> Option<Op> {
        let data = self.bytes(&format!("{path}.data"), &spec.data);
        let (signs, envelops) =
            self.wants(path, spec.kind, spec.signer.as_ref(), spec.recipient.as_ref(), "recipient");
        if spec.form.detached && spec.kind != MessageKind::Signed {
            self.mistake(
                format!("{path}.form.detached"),
                "only `signed` messages can leave their content out",
            );
        }
        let mut signers = Vec::new();
        if let Some(name) = spec.signer.as_ref().filter(|_| signs) {
            let path = format!("{path}.signer");
            let key = self.key(&path, name, &["ours"], KeyKind::Sm2, Purpose::Sign)?;
            let identity = self.identity(&path, name, &key)?;
            signers.push(Signer { key, identity, id: id(spec.id.as_deref()) });
        }
        let mut recipients = Vec::new();
        if let Some(name) = spec.recipient.as_ref().filter(|_| envelops) {
            let path = format!("{path}.recipient");
            let key = self.key(&path, name, &["theirs"], KeyKind::Sm2, Purpose::Encrypt)?;
            let identity = self.identity(&path, name, &key)?;
            recipients.push(Recipient::Key(key, identity));
        }
        let (kind, form) = (spec.kind, spec.form);
        Some(Op::SealMessage(Box::new(SealMessage { kind, data: data?, signers, recipients, form })))
    }

    fn open_message(&mut self, path: &str, spec: &OpenMessageSpec) -> Option<Op> {
        let data = self.bytes(&format!("{path}.data"), &spec.data);
        let (signs, envelops) = self.wants(path, spec.kind, spec.signer.as_ref(), spec.key.as_ref(), "key");
        let detached = match &spec.detached {
            Some(_) if spec.kind != MessageKind::Signed => {
                self.mistake(
                    format!("{path}.detached"),
                    "only `signed` messages can leave their content out",
                );
                return None;
            }
            Some(name) => Some(self.bytes(&format!("{path}.detached"), name)?),
            None => None,
        };
        let mut signer = None;
        if let Some(name) = spec.signer.as_ref().filter(|_| signs) {
            let key = self.key(&format!("{path}.signer"), name, &["theirs"], KeyKind::Sm2, Purpose::Sign)?;
            signer = Some((key, id(spec.id.as_deref())));
        }
        let mut keys = Vec::new();
        if let Some(name) = spec.key.as_ref().filter(|_| envelops) {
            let path = format!("{path}.key");
            let key = self.key(&path, name, &["ours"], KeyKind::Sm2, Purpose::Encrypt)?;
            let identity = self.identity(&path, name, &key)?;
            keys.push(OwnKey { key, identity });
        }
        Some(Op::OpenMessage(Box::new(OpenMessage { kind: spec.kind, data: data?, detached, keys, signer })))
    }

    /// Whether the kind signs and whether it envelops; a missing or surplus party is a mistake.
    fn wants(
        &mut self,
        path: &str,
        kind: MessageKind,
        signer: Option<&String>,
        other: Option<&String>,
        other_name: &str,
    ) -> (bool, bool) {
        let (signs, envelops) = (kind != MessageKind::Enveloped, kind != MessageKind::Signed);
        for (wanted, given, name) in [(signs, signer, "signer"), (envelops, other, other_name)] {
            match (wanted, given) {
                (true, None) => self.mistake(path, format!("this kind of message needs `{name}`")),
                (false, Some(_)) => {
                    self.mistake(format!("{path}.{name}"), format!("this kind of message has no `{name}`"));
                }
                _ => {}
            }
        }
        (signs, envelops)
    }

    fn identity(&mut self, path: &str, name: &str, key: &KeyHandle) -> Option<Identity> {
        let own = self.own_name(name);
        let Some(spec) = self.spec.identities.get(&own) else {
            self.mistake(path, format!("`identities` has no `{own}`"));
            return None;
        };
        let path = format!("identities.{own}");
        match read_identity(spec, key) {
            Ok(identity) => Some(identity),
            Err(message) => {
                self.mistake(path, message);
                None
            }
        }
    }
}

fn id(given: Option<&str>) -> Vec<u8> {
    given.map_or(DEFAULT_SM2_ID, str::as_bytes).to_vec()
}

fn read_identity(spec: &IdentitySpec, key: &KeyHandle) -> Result<Identity, String> {
    match (&spec.certificate, &spec.issuer, &spec.serial) {
        (Some(pem), None, None) => {
            let certificate = Certificate::read(pem.as_bytes()).map_err(|error| error.to_string())?;
            if PublicKey::of(key).is_ok_and(|public| public != certificate.public) {
                return Err(format!("the certificate is of another key than {}", key.key()));
            }
            Ok(Identity::of(&certificate))
        }
        (None, Some(issuer), Some(serial)) => {
            let serial = hex::decode(serial).map_err(|_| "a serial number is hexadecimal")?;
            Identity::named(issuer, &serial).map_err(|error| error.to_string())
        }
        _ => Err("give either `certificate`, or `issuer` and `serial`".into()),
    }
}
