//! SM2 key exchange (GB/T 32918.3): both sides derive the same key from their pairs and fresh ones. For partners that agree
//! session keys instead of sending them.
use super::{CryptoError, Provider, Sm2Secret, sm2_z};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Who sends first; the order enters the derived key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initiative {
    Initiator,
    Responder,
}

/// One side of one exchange: its fresh pair. Used once.
pub struct Exchange {
    ephemeral: Arc<dyn Sm2Secret>,
    scalar: Zeroizing<[u8; 32]>,
}

/// What the other side sent and who it is.
pub struct Peer<'a> {
    /// Its long-term key, x ‖ y.
    pub public: &'a [u8; 64],
    /// Its fresh point R, x ‖ y.
    pub ephemeral: &'a [u8; 64],
    /// Its distinguishing identifier.
    pub id: &'a [u8],
}

/// The result of an exchange.
pub struct Agreed {
    pub key: Zeroizing<Vec<u8>>,
    /// To send to the other side where the partners confirm the key (GB/T 32918.3 §6.1, steps A10 and B8).
    pub own_confirmation: [u8; 32],
    /// What the other side's confirmation must be; compare in constant time.
    pub peer_confirmation: [u8; 32],
}

impl Exchange {
    pub fn start(provider: &dyn Provider) -> Result<Self, CryptoError> {
        let scalar = provider.sm2_generate()?;
        Ok(Self { ephemeral: provider.sm2_secret(&scalar)?, scalar })
    }

    /// The fresh point R, x ‖ y, to send to the other side.
    pub fn point(&self) -> [u8; 64] {
        self.ephemeral.point()
    }

    /// Derives a key of `length` bytes (1 to 1024).
    pub fn finish(
        self,
        provider: &dyn Provider,
        own: &dyn Sm2Secret,
        own_id: &[u8],
        peer: &Peer<'_>,
        initiative: Initiative,
        length: usize,
    ) -> Result<Agreed, CryptoError> {
        if !(1..=1024).contains(&length) {
            return Err(CryptoError::Invalid("an agreed key has 1 to 1024 bytes"));
        }
        let shared = own.agree(&self.scalar, peer.public, peer.ephemeral)?;
        let (own_z, peer_z) =
            (sm2_z(provider, &own.point(), own_id)?, sm2_z(provider, peer.public, peer.id)?);
        let own_point = self.point();
        let first = initiative == Initiative::Initiator;
        let (za, zb) = if first { (&own_z, &peer_z) } else { (&peer_z, &own_z) };
        let (ra, rb) = if first { (&own_point, peer.ephemeral) } else { (peer.ephemeral, &own_point) };
        let mut key = Zeroizing::new(vec![0; length]);
        provider.sm3_kdf(&[&*shared, za, zb], &mut key)?;
        let (x, y) = shared.split_at(32);
        let inner = provider.sm3(&[x, za, zb, ra, rb]);
        let confirm = |mark: u8| provider.sm3(&[&[mark], y, &inner]);
        // 02 confirms the responder to the initiator, 03 the initiator to the responder.
        let (own_mark, peer_mark) = if first { (3, 2) } else { (2, 3) };
        Ok(Agreed { key, own_confirmation: confirm(own_mark), peer_confirmation: confirm(peer_mark) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{DEFAULT_SM2_ID, pure::PureProvider};
    use proptest::prelude::*;

    fn side(scalar: &str, ephemeral: &str) -> (Arc<dyn Sm2Secret>, Exchange) {
        let read = |text: &str| -> [u8; 32] { hex::decode(text).unwrap().try_into().unwrap() };
        let scalar = PureProvider.sm2_secret(&read(scalar)).unwrap();
        let fresh = Zeroizing::new(read(ephemeral));
        (scalar, Exchange { ephemeral: PureProvider.sm2_secret(&fresh).unwrap(), scalar: fresh })
    }

    type Side = (Arc<dyn Sm2Secret>, Exchange);

    fn run(a: Side, b: Side, length: usize) -> (Agreed, Agreed) {
        let (ra, rb, pa, pb) = (a.1.point(), b.1.point(), a.0.point(), b.0.point());
        let peer_b = Peer { public: &pb, ephemeral: &rb, id: DEFAULT_SM2_ID };
        let peer_a = Peer { public: &pa, ephemeral: &ra, id: DEFAULT_SM2_ID };
        let finish = |side: Side, peer: &Peer<'_>, initiative| {
            side.1.finish(&PureProvider, &*side.0, DEFAULT_SM2_ID, peer, initiative, length).unwrap()
        };
        (finish(a, &peer_b, Initiative::Initiator), finish(b, &peer_a, Initiative::Responder))
    }

    #[test]
    fn agrees_the_example_of_gb_t_32918_5_annex_b() {
        let a = side(
            "81eb26e941bb5af16df116495f90695272ae2cd63d6c4ae1678418be48230029",
            "d4de15474db74d06491c440d305e012400990f3e390c7e87153c12db2ea60bb3",
        );
        let b = side(
            "785129917d45a9ea5437a59356b82338eaadda6ceb199088f14ae10defa229b5",
            "7e07124814b309489125eaed101113164ebf0f3458c5bd88335c1f9d596243d6",
        );
        let (a, b) = run(a, b, 16);
        assert_eq!(hex::encode(&*a.key), "6c89347354de2484c60b4ab1fde4c6e5");
        assert_eq!(a.key, b.key);
        assert_eq!(
            hex::encode(a.peer_confirmation),
            "d3a0fe15dee185ceae907a6b595cc32a266ed7b3367e9983a896dc32fa20f8eb"
        );
        assert_eq!(
            hex::encode(a.own_confirmation),
            "18c7894b3816df16cf07b05c5ec0bef5d655d58f779cc1b400a4f3884644db88"
        );
        assert_eq!((a.own_confirmation, a.peer_confirmation), (b.peer_confirmation, b.own_confirmation));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn both_sides_agree_and_a_stranger_does_not(length in 1usize..100) {
            let pair = || PureProvider.sm2_secret(&PureProvider.sm2_generate().unwrap()).unwrap();
            let fresh = || Exchange::start(&PureProvider).unwrap();
            let (a, b, stranger) = (pair(), pair(), pair());
            let exchange = fresh();
            let impostor_peer = (exchange.point(), stranger.point());
            let (first, second) = run((a.clone(), fresh()), (b.clone(), fresh()), length);
            prop_assert_eq!(&first.key, &second.key);
            prop_assert_eq!(first.key.len(), length);
            let peer = Peer { public: &b.point(), ephemeral: &impostor_peer.0, id: DEFAULT_SM2_ID };
            let mine = fresh();
            let my_point = mine.point();
            let mine = mine.finish(&PureProvider, &*a, DEFAULT_SM2_ID, &peer, Initiative::Initiator, 16).unwrap();
            let peer = Peer { public: &a.point(), ephemeral: &my_point, id: DEFAULT_SM2_ID };
            let theirs =
                exchange.finish(&PureProvider, &*stranger, DEFAULT_SM2_ID, &peer, Initiative::Responder, 16).unwrap();
            prop_assert_ne!(mine.key, theirs.key);
        }
    }

    #[test]
    fn refuses_points_off_the_curve() {
        let (own, exchange) =
            (PureProvider.sm2_secret(&[5; 32]).unwrap(), Exchange::start(&PureProvider).unwrap());
        let peer = Peer { public: &own.point(), ephemeral: &[1; 64], id: DEFAULT_SM2_ID };
        let result = exchange.finish(&PureProvider, &*own, DEFAULT_SM2_ID, &peer, Initiative::Initiator, 16);
        assert_eq!(result.err(), Some(CryptoError::Refused));
    }
}
