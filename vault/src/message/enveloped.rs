//! RecipientInfos and EncryptedContentInfo (GB/T 35275 §9): the wrapped session keys and the encrypted content. For messages.
use super::{
    ContentCipher, Identity, MAX_PARTIES, MessageForm, OwnKey, Recipient, RecipientName, TypeOids, WrapForm,
    WrapOid, refused, signed,
};
use crate::{
    error::VaultError,
    format::{CipherFormat, CipherOrder, PointForm, der, oid},
    provider::{Padding, Provider, Sm4Mode},
};
use zeroize::Zeroizing;

/// A session key for one recipient.
pub(super) struct RecipientInfo<'a> {
    name: Name<'a>,
    wrapped: &'a [u8],
}

enum Name<'a> {
    Issuer(&'a [u8], &'a [u8]),
    KeyId(&'a [u8]),
}

impl Name<'_> {
    fn is(&self, identity: &Identity) -> bool {
        match self {
            Self::Issuer(issuer, serial) => identity.issuer == *issuer && identity.serial == *serial,
            Self::KeyId(id) => identity.key_id.as_deref() == Some(*id),
        }
    }
}

/// Takes recipientInfos.
pub(super) fn take_recipients<'a>(body: &mut &'a [u8]) -> Option<Vec<RecipientInfo<'a>>> {
    let mut set = der::take(body, der::SET)?;
    let mut found = Vec::new();
    while !set.is_empty() {
        let mut info = der::take(&mut set, der::SEQUENCE)?;
        let version = der::take(&mut info, der::INTEGER)?;
        let name = match (version, der::optional(&mut info, KEY_ID)?) {
            ([2], Some(id)) => Name::KeyId(id),
            // PKCS#7 and many devices say 0, GB/T 35275 says 1.
            ([0 | 1], None) => {
                signed::take_named(&mut info).map(|(issuer, serial)| Name::Issuer(issuer, serial))?
            }
            _ => return None,
        };
        let algorithm = der::take_algorithm(&mut info)?.0;
        let wrapped = der::take_octets(&mut info)?;
        let known = [oid::SM2_ENCRYPT, oid::SM2].contains(&algorithm) && info.is_empty();
        found.push(known.then_some(RecipientInfo { name, wrapped })?);
        (found.len() <= MAX_PARTIES).then_some(())?;
    }
    (!found.is_empty()).then_some(found)
}

/// The session key wrapped for the first of our keys that the message addresses.
pub(super) fn unwrap(
    recipients: &[RecipientInfo<'_>],
    keys: &[OwnKey],
) -> Result<Zeroizing<[u8; 16]>, VaultError> {
    let ours = recipients
        .iter()
        .find_map(|info| keys.iter().find(|own| info.name.is(&own.identity)).map(|own| (info, own)));
    let (info, own) = ours.ok_or_else(|| refused("recipient"))?;
    let order = CipherOrder::C1c3c2;
    let format = match info.wrapped {
        [4, rest @ ..] if rest.len() == 112 => CipherFormat::Raw { order, point: PointForm::Prefixed },
        bytes if bytes.len() == 112 && der::read_sequence(bytes).is_none() => RAW,
        _ => CipherFormat::Der,
    };
    let key = own.key.decrypt(info.wrapped, format)?;
    let key: [u8; 16] = key.as_slice().try_into().map_err(|_| refused("session key"))?;
    Ok(Zeroizing::new(key))
}

pub(super) fn write_recipients(
    provider: &dyn Provider,
    recipients: &[Recipient],
    key: &[u8; 16],
    form: &MessageForm,
) -> Result<Vec<u8>, VaultError> {
    let algorithm = match form.wrap {
        WrapOid::Sm2Encrypt => oid::SM2_ENCRYPT,
        WrapOid::Sm2 => oid::SM2,
    };
    let format = match form.wrapped {
        WrapForm::Der => CipherFormat::Der,
        WrapForm::Raw => RAW,
    };
    let mut infos = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        let (mut info, wrapped) = match recipient {
            Recipient::Key(handle, identity) => (write_name(identity, form)?, handle.encrypt(key, format)?),
            Recipient::Certificate(certificate) => {
                let point = certificate
                    .public
                    .sm2()
                    .ok_or_else(|| VaultError::invalid("a recipient's certificate must be of an SM2 key"))?;
                let wrapped = format.write(&provider.sm2_public(&point)?.encrypt(key)?);
                (write_name(&Identity::of(certificate), form)?, wrapped)
            }
        };
        info.extend(der::algorithm(algorithm, super::seal::parameters(form)));
        der::put_octets(&mut info, &wrapped);
        infos.push(der::sequence(&info));
    }
    Ok(der::set_of(der::SET, infos))
}

/// The version that goes with the name, and the name.
fn write_name(identity: &Identity, form: &MessageForm) -> Result<Vec<u8>, VaultError> {
    let (version, name) = match (form.recipients, &identity.key_id) {
        (RecipientName::IssuerAndSerial, _) => (1, signed::write_named(&identity.issuer, &identity.serial)),
        (RecipientName::SubjectKeyId, Some(id)) => (2, der::wrap(KEY_ID, &[id])),
        (RecipientName::SubjectKeyId, None) => {
            return Err(VaultError::invalid("the recipient's certificate has no subject key identifier"));
        }
    };
    Ok([&[der::INTEGER, 1, version][..], &name].concat())
}

/// [0] IMPLICIT SubjectKeyIdentifier.
const KEY_ID: u8 = 0x80;
const RAW: CipherFormat = CipherFormat::Raw { order: CipherOrder::C1c3c2, point: PointForm::Bare };

/// EncryptedContentInfo.
pub(super) struct EncryptedContent<'a> {
    /// Of CBC; ECB has none.
    iv: Option<&'a [u8]>,
    padding: Padding,
    pub(super) content_type: &'a [u8],
    cipher: &'a [u8],
}

impl<'a> EncryptedContent<'a> {
    pub(super) fn take(body: &mut &'a [u8]) -> Option<Self> {
        let mut info = der::take(body, der::SEQUENCE)?;
        let content_type = der::take(&mut info, der::OID)?;
        let (algorithm, mut parameters) = der::take_algorithm(&mut info)?;
        let cipher = der::take(&mut info, 0x80)?;
        let iv = match algorithm {
            // The bare identifier has an IV for CBC and none for ECB.
            oid::SM4_CBC => Some(der::take_octets(&mut parameters).filter(|iv| iv.len() == 16)?),
            oid::SM4 if parameters.first() == Some(&der::OCTET_STRING) => {
                Some(der::take_octets(&mut parameters).filter(|iv| iv.len() == 16)?)
            }
            oid::SM4_ECB | oid::SM4 => {
                (parameters.is_empty() || parameters == [der::NULL, 0]).then_some(())?;
                parameters = &[];
                None
            }
            _ => return None,
        };
        let bare_ecb = algorithm == oid::SM4 && iv.is_none();
        let padding = if bare_ecb { Padding::None } else { Padding::Pkcs7 };
        let data = [oid::GM_DATA, oid::PKCS7_DATA].contains(&content_type);
        let whole = !cipher.is_empty() && cipher.len() % 16 == 0;
        let complete = data && whole && parameters.is_empty() && info.is_empty();
        complete.then_some(Self { iv, padding, content_type, cipher })
    }

    pub(super) fn decrypt(
        &self,
        provider: &dyn Provider,
        key: &[u8; 16],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let padding = self.padding;
        let mode = match self.iv {
            Some(iv) => Sm4Mode::Cbc { iv, padding },
            None => Sm4Mode::Ecb { padding },
        };
        Ok(provider.sm4_decrypt(key, &mode, self.cipher)?)
    }
}

/// Encrypts the content under a fresh session key: the key and the EncryptedContentInfo.
pub(super) fn encrypt(
    provider: &dyn Provider,
    content: &[u8],
    form: &MessageForm,
) -> Result<(Zeroizing<[u8; 16]>, Vec<u8>), VaultError> {
    let (mut key, mut iv) = (Zeroizing::new([0; 16]), [0; 16]);
    provider.random(&mut *key)?;
    provider.random(&mut iv)?;
    let (padding, octets) = (Padding::Pkcs7, der::wrap(der::OCTET_STRING, &[&iv]));
    let (cbc, ecb) = (Sm4Mode::Cbc { iv: &iv, padding }, Sm4Mode::Ecb { padding });
    let bare = Sm4Mode::Ecb { padding: Padding::None };
    let (mode, algorithm) = match form.cipher {
        ContentCipher::Cbc => (cbc, der::algorithm(oid::SM4_CBC, &octets)),
        ContentCipher::CbcBare => (cbc, der::algorithm(oid::SM4, &octets)),
        ContentCipher::Ecb => (ecb, der::algorithm(oid::SM4_ECB, super::seal::parameters(form))),
        ContentCipher::EcbBare if content.is_empty() => {
            return Err(VaultError::invalid("without padding the content is whole blocks, at least one"));
        }
        ContentCipher::EcbBare => (bare, der::algorithm(oid::SM4, super::seal::parameters(form))),
    };
    let cipher = provider.sm4_encrypt(&key, &mode, content)?;
    let content_type = der::wrap(der::OID, &[data_type(form.types)]);
    let cipher = der::wrap(0x80, &[&cipher]);
    Ok((key, der::sequence(&[content_type, algorithm, cipher].concat())))
}

pub(super) fn data_type(types: TypeOids) -> &'static [u8] {
    match types {
        TypeOids::Gm => oid::GM_DATA,
        TypeOids::Pkcs7 => oid::PKCS7_DATA,
    }
}
