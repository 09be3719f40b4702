//! RecipientInfos and EncryptedContentInfo (GB/T 35275 §9): the wrapped session keys and the encrypted content. For messages.
use super::{ContentCipher, MAX_PARTIES, MessageForm, OwnKey, Recipient, TypeOids, WrapOid, refused, signed};
use crate::{
    error::VaultError,
    format::{CipherFormat, der, oid},
    provider::{Padding, Provider, Sm4Mode},
};
use zeroize::Zeroizing;

/// A session key for one recipient.
pub(super) struct RecipientInfo<'a> {
    named: (&'a [u8], &'a [u8]),
    wrapped: &'a [u8],
}

/// Takes recipientInfos.
pub(super) fn take_recipients<'a>(body: &mut &'a [u8]) -> Option<Vec<RecipientInfo<'a>>> {
    let mut set = der::take(body, der::SET)?;
    let mut found = Vec::new();
    while !set.is_empty() {
        let mut info = der::take(&mut set, der::SEQUENCE)?;
        let version = der::take(&mut info, der::INTEGER)?;
        let named = signed::take_named(&mut info)?;
        let algorithm = der::take_algorithm(&mut info)?.0;
        let wrapped = der::take_octets(&mut info)?;
        let known = [oid::SM2_ENCRYPT, oid::SM2].contains(&algorithm) && version == [1] && info.is_empty();
        found.push(known.then_some(RecipientInfo { named, wrapped })?);
        (found.len() <= MAX_PARTIES).then_some(())?;
    }
    (!found.is_empty()).then_some(found)
}

/// The session key wrapped for the first of our keys that the message addresses.
pub(super) fn unwrap(
    recipients: &[RecipientInfo<'_>],
    keys: &[OwnKey],
) -> Result<Zeroizing<[u8; 16]>, VaultError> {
    let ours = recipients.iter().find_map(|info| {
        let fits = |own: &&OwnKey| own.identity.issuer == info.named.0 && own.identity.serial == info.named.1;
        keys.iter().find(fits).map(|own| (info, own))
    });
    let (info, own) = ours.ok_or_else(|| refused("recipient"))?;
    let key = own.key.decrypt(info.wrapped, CipherFormat::Der)?;
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
    let mut infos = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        let (named, wrapped) = match recipient {
            Recipient::Key(handle, identity) => {
                let named = signed::write_named(&identity.issuer, &identity.serial);
                (named, handle.encrypt(key, CipherFormat::Der)?)
            }
            Recipient::Certificate(certificate) => {
                let point = certificate
                    .public
                    .sm2()
                    .ok_or_else(|| VaultError::invalid("a recipient's certificate must be of an SM2 key"))?;
                let named = signed::write_named(&certificate.issuer, &certificate.serial);
                (named, CipherFormat::Der.write(&provider.sm2_public(&point)?.encrypt(key)?))
            }
        };
        let algorithm = der::algorithm(algorithm, super::seal::parameters(form));
        let wrapped = der::wrap(der::OCTET_STRING, &[&wrapped]);
        infos.push(der::sequence(&[&[der::INTEGER, 1, 1][..], &named, &algorithm, &wrapped].concat()));
    }
    Ok(der::set_of(der::SET, infos))
}

/// EncryptedContentInfo.
pub(super) struct EncryptedContent<'a> {
    /// Of CBC; ECB has none.
    iv: Option<&'a [u8]>,
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
            oid::SM4_CBC | oid::SM4 => Some(der::take_octets(&mut parameters).filter(|iv| iv.len() == 16)?),
            oid::SM4_ECB => {
                (parameters.is_empty() || parameters == [der::NULL, 0]).then_some(())?;
                parameters = &[];
                None
            }
            _ => return None,
        };
        let data = [oid::GM_DATA, oid::PKCS7_DATA].contains(&content_type);
        let whole = !cipher.is_empty() && cipher.len() % 16 == 0;
        (data && whole && parameters.is_empty() && info.is_empty()).then_some(Self {
            iv,
            content_type,
            cipher,
        })
    }

    pub(super) fn decrypt(
        &self,
        provider: &dyn Provider,
        key: &[u8; 16],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let padding = Padding::Pkcs7;
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
    let cbc = Sm4Mode::Cbc { iv: &iv, padding };
    let (mode, algorithm) = match form.cipher {
        ContentCipher::Cbc => (cbc, der::algorithm(oid::SM4_CBC, &octets)),
        ContentCipher::CbcBare => (cbc, der::algorithm(oid::SM4, &octets)),
        ContentCipher::Ecb => {
            (Sm4Mode::Ecb { padding }, der::algorithm(oid::SM4_ECB, super::seal::parameters(form)))
        }
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
