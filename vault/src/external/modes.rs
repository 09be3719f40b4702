//! The modes of SM4 over a device that only does whole blocks: counters, GHASH and CBC-MAC are computed around it. For
//! external keys.
//!
//! GCM (NIST SP 800-38D) asks the device once, for E(0), E(J0) and the key stream together, so that a message costs one
//! round trip.
use super::Blocks;
use crate::provider::{CryptoError, Padding, Sm4Mode};
use ghash::{
    GHash,
    universal_hash::{KeyInit, UniversalHash},
};
use zeroize::Zeroizing;

const BLOCK: usize = 16;
type Block = [u8; BLOCK];
type Bytes = Zeroizing<Vec<u8>>;
/// The device: whole blocks in, as many out.
type Run<'a> = dyn Fn(&Blocks<'_>) -> Result<Bytes, CryptoError> + 'a;

const BAD_IV: CryptoError =
    CryptoError::Invalid("SM4-CBC and -CTR take an IV of 16 bytes, -GCM 12 or 16, -CCM 12");
const NOT_BLOCKS: CryptoError =
    CryptoError::Invalid("without padding the data must be whole blocks of 16 bytes");
const TOO_LONG: CryptoError = CryptoError::Invalid("the message is too long for this mode");

pub(crate) fn encrypt(run: &Run<'_>, mode: &Sm4Mode<'_>, plain: &[u8]) -> Result<Vec<u8>, CryptoError> {
    match *mode {
        Sm4Mode::Ecb { padding } => blocks(run, true, None, &pad(padding, plain)?),
        Sm4Mode::Cbc { iv, padding } => blocks(run, true, Some(&block(iv)?), &pad(padding, plain)?),
        Sm4Mode::Ctr { iv } => stream(run, u128::from_be_bytes(block(iv)?), plain),
        Sm4Mode::Gcm { nonce, aad } => {
            let gcm = Gcm::new(run, nonce, plain.len())?;
            let mut out = gcm.masked(plain);
            let tag = gcm.tag(aad, &out);
            out.extend_from_slice(&tag);
            return Ok(out);
        }
        Sm4Mode::Ccm { nonce, aad } => {
            let ccm = Ccm::new(nonce, plain.len())?;
            let tag = ccm.tag(run, aad, plain)?;
            let mut out = stream(run, ccm.counter(0), &[&tag[..], plain].concat())?;
            out.rotate_left(BLOCK);
            Ok(out)
        }
    }
    .map(|mut bytes| std::mem::take(&mut *bytes))
}

pub(crate) fn decrypt(run: &Run<'_>, mode: &Sm4Mode<'_>, cipher: &[u8]) -> Result<Bytes, CryptoError> {
    match *mode {
        Sm4Mode::Ecb { padding } => unpad(padding, blocks(run, false, None, whole(cipher)?)?),
        Sm4Mode::Cbc { iv, padding } => {
            unpad(padding, blocks(run, false, Some(&block(iv)?), whole(cipher)?)?)
        }
        Sm4Mode::Ctr { iv } => stream(run, u128::from_be_bytes(block(iv)?), cipher),
        Sm4Mode::Gcm { nonce, aad } => {
            let (cipher, tag) = cipher.split_last_chunk::<BLOCK>().ok_or(CryptoError::Refused)?;
            let gcm = Gcm::new(run, nonce, cipher.len())?;
            if !crate::vault::constant_time_eq(&gcm.tag(aad, cipher), tag) {
                return Err(CryptoError::Refused);
            }
            Ok(Zeroizing::new(gcm.masked(cipher)))
        }
        Sm4Mode::Ccm { nonce, aad } => {
            let (cipher, tag) = cipher.split_last_chunk::<BLOCK>().ok_or(CryptoError::Refused)?;
            let ccm = Ccm::new(nonce, cipher.len())?;
            let mut plain = stream(run, ccm.counter(0), &[&tag[..], cipher].concat())?;
            let expected = ccm.tag(run, aad, &plain[BLOCK..])?;
            if !crate::vault::constant_time_eq(&expected, &plain[..BLOCK]) {
                return Err(CryptoError::Refused);
            }
            plain.drain(..BLOCK);
            Ok(plain)
        }
    }
}

/// Runs the device and holds it to as many bytes as it was given.
fn blocks(run: &Run<'_>, encrypt: bool, iv: Option<&Block>, data: &[u8]) -> Result<Bytes, CryptoError> {
    if data.is_empty() {
        return Ok(Bytes::default());
    }
    let out = run(&Blocks { encrypt, iv, data })?;
    if out.len() == data.len() {
        Ok(out)
    } else {
        Err(CryptoError::Failed("the device answered with another number of bytes"))
    }
}

fn block(iv: &[u8]) -> Result<Block, CryptoError> {
    iv.try_into().map_err(|_| BAD_IV)
}

fn whole(cipher: &[u8]) -> Result<&[u8], CryptoError> {
    if cipher.len().is_multiple_of(BLOCK) { Ok(cipher) } else { Err(CryptoError::Refused) }
}

fn pad(padding: Padding, plain: &[u8]) -> Result<Bytes, CryptoError> {
    let mut out = Zeroizing::new(Vec::with_capacity(plain.len() + BLOCK));
    out.extend_from_slice(plain);
    let length = match padding {
        Padding::Pkcs7 => (plain.len() / BLOCK + 1) * BLOCK,
        Padding::Zero => plain.len().next_multiple_of(BLOCK),
        Padding::None if plain.len().is_multiple_of(BLOCK) => plain.len(),
        Padding::None => return Err(NOT_BLOCKS),
    };
    let fill = if padding == Padding::Pkcs7 { (length - plain.len()) as u8 } else { 0 };
    out.resize(length, fill);
    Ok(out)
}

fn unpad(padding: Padding, mut plain: Bytes) -> Result<Bytes, CryptoError> {
    let kept = match padding {
        Padding::None => plain.len(),
        Padding::Zero => plain.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1),
        Padding::Pkcs7 => {
            let fill = usize::from(*plain.last().ok_or(CryptoError::Refused)?);
            let kept = plain.len().checked_sub(fill).ok_or(CryptoError::Refused)?;
            let holds = (1..=BLOCK).contains(&fill) && plain[kept..].iter().all(|b| usize::from(*b) == fill);
            if !holds {
                return Err(CryptoError::Refused);
            }
            kept
        }
    };
    plain.truncate(kept);
    Ok(plain)
}

/// Counter mode from this counter block on, incremented as one big-endian number.
fn stream(run: &Run<'_>, first: u128, data: &[u8]) -> Result<Bytes, CryptoError> {
    let mut counters = Vec::with_capacity(data.len().next_multiple_of(BLOCK));
    for index in 0..data.len().div_ceil(BLOCK) {
        counters.extend_from_slice(&first.wrapping_add(index as u128).to_be_bytes());
    }
    let mut out = blocks(run, true, None, &counters)?;
    out.truncate(data.len());
    out.iter_mut().zip(data).for_each(|(mask, byte)| *mask ^= byte);
    Ok(out)
}

/// One GCM message: H, E(J0) and the key stream.
struct Gcm {
    hash: GHash,
    mask: Block,
    stream: Bytes,
}

impl Gcm {
    fn new(run: &Run<'_>, nonce: &[u8], length: usize) -> Result<Self, CryptoError> {
        // The counter has 32 bits, of which the first two values are taken.
        if length as u64 > ((1 << 32) - 2) * BLOCK as u64 {
            return Err(TOO_LONG);
        }
        let (first, h) = match nonce.len() {
            12 => {
                let mut first = [0; BLOCK];
                first[..12].copy_from_slice(nonce);
                first[15] = 1;
                (first, None)
            }
            16 => {
                let h = blocks(run, true, None, &[0; BLOCK])?;
                let mut hash = ghash(&h)?;
                hash.update_padded(nonce);
                hash.update_padded(&128u128.to_be_bytes());
                (hash.finalize().into(), Some(h))
            }
            _ => return Err(BAD_IV),
        };
        let mut asked = vec![0; BLOCK];
        for index in 0..=length.div_ceil(BLOCK) as u32 {
            let counter = u32::from_be_bytes([first[12], first[13], first[14], first[15]]);
            asked.extend_from_slice(&first[..12]);
            asked.extend_from_slice(&counter.wrapping_add(index).to_be_bytes());
        }
        let mut answer = blocks(run, true, None, &asked)?;
        let hash = ghash(h.as_deref().map_or(&answer[..BLOCK], |h| h))?;
        let mask = answer[BLOCK..2 * BLOCK].try_into().map_err(|_| TOO_LONG)?;
        answer.drain(..2 * BLOCK);
        answer.truncate(length);
        Ok(Self { hash, mask, stream: answer })
    }

    fn masked(&self, data: &[u8]) -> Vec<u8> {
        data.iter().zip(self.stream.iter()).map(|(byte, mask)| byte ^ mask).collect()
    }

    fn tag(&self, aad: &[u8], cipher: &[u8]) -> Block {
        let mut hash = self.hash.clone();
        hash.update_padded(aad);
        hash.update_padded(cipher);
        let bits = |bytes: &[u8]| (bytes.len() as u128) * 8;
        hash.update_padded(&(bits(aad) << 64 | bits(cipher)).to_be_bytes());
        let mut tag: Block = hash.finalize().into();
        tag.iter_mut().zip(self.mask).for_each(|(byte, mask)| *byte ^= mask);
        tag
    }
}

fn ghash(h: &[u8]) -> Result<GHash, CryptoError> {
    GHash::new_from_slice(h)
        .map_err(|_| CryptoError::Failed("the device answered with another number of bytes"))
}

/// One CCM message (RFC 3610) with a nonce of 12 bytes, so a length of 3, and a tag of 16.
struct Ccm {
    nonce: [u8; 12],
    length: [u8; 3],
}

impl Ccm {
    fn new(nonce: &[u8], length: usize) -> Result<Self, CryptoError> {
        let nonce = nonce.try_into().map_err(|_| BAD_IV)?;
        let [0, rest @ ..] = u32::try_from(length).map_err(|_| TOO_LONG)?.to_be_bytes() else {
            return Err(TOO_LONG);
        };
        Ok(Self { nonce, length: rest })
    }

    fn head(&self, flags: u8, tail: [u8; 3]) -> Block {
        let mut head = [flags; BLOCK];
        head[1..13].copy_from_slice(&self.nonce);
        head[13..].copy_from_slice(&tail);
        head
    }

    fn counter(&self, index: u8) -> u128 {
        u128::from_be_bytes(self.head(2, [0, 0, index]))
    }

    fn tag(&self, run: &Run<'_>, aad: &[u8], plain: &[u8]) -> Result<Block, CryptoError> {
        let flags = 0b0011_1010 | if aad.is_empty() { 0 } else { 0b0100_0000 };
        let mut data = Zeroizing::new(self.head(flags, self.length).to_vec());
        match u32::try_from(aad.len()).map_err(|_| TOO_LONG)? {
            0 => {}
            short @ 1..0xff00 => data.extend_from_slice(&(short as u16).to_be_bytes()),
            long => {
                data.extend_from_slice(&[0xff, 0xfe]);
                data.extend_from_slice(&long.to_be_bytes());
            }
        }
        for part in [aad, plain] {
            data.extend_from_slice(part);
            let whole = data.len().next_multiple_of(BLOCK);
            data.resize(whole, 0);
        }
        let chained = blocks(run, true, Some(&[0; BLOCK]), &data)?;
        chained.last_chunk().copied().ok_or(TOO_LONG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Provider, pure::PureProvider};
    use proptest::prelude::*;

    /// A device that does blocks only, on the pure provider.
    fn device(key: [u8; 16]) -> impl Fn(&Blocks<'_>) -> Result<Bytes, CryptoError> {
        move |blocks| {
            assert!(blocks.data.len().is_multiple_of(BLOCK) && !blocks.data.is_empty());
            let mode = match blocks.iv {
                Some(iv) => Sm4Mode::Cbc { iv, padding: Padding::None },
                None => Sm4Mode::Ecb { padding: Padding::None },
            };
            match blocks.encrypt {
                true => PureProvider.sm4_encrypt(&key, &mode, blocks.data).map(Zeroizing::new),
                false => PureProvider.sm4_decrypt(&key, &mode, blocks.data),
            }
        }
    }

    fn modes<'a>(iv: &'a Block, aad: &'a [u8]) -> Vec<Sm4Mode<'a>> {
        let (pkcs7, zero) = (Padding::Pkcs7, Padding::Zero);
        vec![
            Sm4Mode::Ecb { padding: pkcs7 },
            Sm4Mode::Ecb { padding: zero },
            Sm4Mode::Cbc { iv, padding: pkcs7 },
            Sm4Mode::Cbc { iv, padding: zero },
            Sm4Mode::Ctr { iv },
            Sm4Mode::Gcm { nonce: iv, aad },
            Sm4Mode::Gcm { nonce: &iv[..12], aad },
            Sm4Mode::Ccm { nonce: &iv[..12], aad },
        ]
    }

    proptest! {
        #[test]
        fn every_mode_equals_the_pure_providers(
            key: [u8; 16], iv: Block, plain in prop::collection::vec(any::<u8>(), 0..200),
            aad in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            for mode in modes(&iv, &aad) {
                let cipher = encrypt(&device(key), &mode, &plain).unwrap();
                prop_assert_eq!(&cipher, &PureProvider.sm4_encrypt(&key, &mode, &plain).unwrap(), "{:?}", mode);
                let opened = decrypt(&device(key), &mode, &cipher).unwrap();
                prop_assert_eq!(opened, PureProvider.sm4_decrypt(&key, &mode, &cipher).unwrap());
            }
        }

        #[test]
        fn a_changed_byte_is_refused_as_the_pure_provider_refuses_it(
            key: [u8; 16], iv: Block, plain in prop::collection::vec(any::<u8>(), 0..70), at: prop::sample::Index,
        ) {
            for mode in modes(&iv, b"aad") {
                let mut cipher = encrypt(&device(key), &mode, &plain).unwrap();
                if cipher.is_empty() {
                    continue;
                }
                let at = at.index(cipher.len());
                cipher[at] ^= 0x10;
                let expected = PureProvider.sm4_decrypt(&key, &mode, &cipher);
                prop_assert_eq!(decrypt(&device(key), &mode, &cipher), expected, "{:?}", mode);
            }
        }
    }

    #[test]
    fn a_counter_wraps_where_the_pure_provider_wraps() {
        let (key, iv) = ([7; 16], [0xff; 16]);
        for mode in [Sm4Mode::Ctr { iv: &iv }, Sm4Mode::Gcm { nonce: &iv, aad: b"" }] {
            let cipher = encrypt(&device(key), &mode, &[1; 100]).unwrap();
            assert_eq!(cipher, PureProvider.sm4_encrypt(&key, &mode, &[1; 100]).unwrap());
        }
    }

    #[test]
    fn wrong_ivs_and_odd_lengths_are_named() {
        let run = device([1; 16]);
        for mode in [
            Sm4Mode::Cbc { iv: &[0; 12], padding: Padding::Pkcs7 },
            Sm4Mode::Ctr { iv: &[0; 8] },
            Sm4Mode::Gcm { nonce: &[0; 13], aad: b"" },
            Sm4Mode::Ccm { nonce: &[0; 16], aad: b"" },
        ] {
            assert_eq!(encrypt(&run, &mode, b"x"), Err(BAD_IV));
        }
        assert_eq!(encrypt(&run, &Sm4Mode::Ecb { padding: Padding::None }, b"x"), Err(NOT_BLOCKS));
        assert_eq!(decrypt(&run, &Sm4Mode::Ecb { padding: Padding::Pkcs7 }, b"x"), Err(CryptoError::Refused));
    }

    #[test]
    fn an_answer_of_another_length_is_no_result() {
        let short = |_: &Blocks<'_>| Ok(Bytes::new(vec![0; 16]));
        let failed = encrypt(&short, &Sm4Mode::Gcm { nonce: &[0; 12], aad: b"" }, &[0; 40]);
        assert!(matches!(failed, Err(CryptoError::Failed(_))), "{failed:?}");
    }
}
