//! The root secret split among custodians, any m of n of whom unseal together: Shamir's scheme over GF(2^8). For dual control.
use super::RootSecret;
use crate::{error::VaultError, provider::Provider, storage::CustodianSet};
use sm3::{Digest, Sm3};
use zeroize::Zeroizing;

const MARK: &str = "qiao-share-1";
const MAX_CUSTODIANS: u8 = 16;

/// Makes a new random root secret and splits it: any `needed` of the `total` shares join to it, fewer tell nothing.
/// 2 ≤ needed ≤ total ≤ 16. Each share is one line of text to hand to one custodian; nothing keeps them.
pub fn split_shares(
    provider: &dyn Provider,
    needed: u8,
    total: u8,
) -> Result<(RootSecret, Vec<Zeroizing<String>>), VaultError> {
    if needed < 2 || needed > total || total > MAX_CUSTODIANS {
        return Err(VaultError::invalid("custodians: 2 ≤ needed ≤ total ≤ 16"));
    }
    // Row 0 is the secret, the others the random coefficients of one polynomial per byte.
    let mut rows = vec![Zeroizing::new([0u8; 32]); usize::from(needed)];
    let mut set = [0; 4];
    provider.random(&mut set)?;
    for row in &mut rows {
        provider.random(&mut **row)?;
    }
    let shares = (1..=total)
        .map(|index| {
            let mut share = Zeroizing::new([0; 32]);
            for row in rows.iter().rev() {
                for (sum, coefficient) in share.iter_mut().zip(row.iter()) {
                    *sum = multiply(*sum, index) ^ coefficient;
                }
            }
            let value = Zeroizing::new(hex::encode(*share));
            let body = Zeroizing::new(format!("{MARK}-{}-{needed}-{index}-{}", hex::encode(set), *value));
            let check = check(&body);
            Zeroizing::new(format!("{}-{check}", *body))
        })
        .collect();
    let set = CustodianSet { set: hex::encode(set), needed, total };
    Ok((RootSecret::Custodians(rows.swap_remove(0), set), shares))
}

struct Share {
    set: String,
    needed: u8,
    index: u8,
    value: Zeroizing<[u8; 32]>,
}

/// The place (from 1) of a share in this set; `None` where it is mistyped or of another set.
pub(super) fn index_in(set: &CustodianSet, text: &str) -> Option<u8> {
    let share = parse(text.trim())?;
    (share.set == set.set && share.needed == set.needed).then_some(share.index)
}

/// Joins custodians' shares to the root secret. Says which share is mistyped, from another set or given twice, and how
/// many are missing; whether the right vault is meant shows only when unsealing.
pub fn join_shares<T: AsRef<str>>(shares: &[T]) -> Result<RootSecret, VaultError> {
    let mut read: Vec<Share> = Vec::with_capacity(shares.len());
    for (place, text) in (1..).zip(shares) {
        let share = parse(text.as_ref().trim())
            .ok_or_else(|| VaultError::invalid(format!("share {place} is mistyped or cut")))?;
        if read.iter().any(|other| other.index == share.index) {
            return Err(VaultError::invalid(format!("share {place} was given twice")));
        }
        if read.first().is_some_and(|first| first.set != share.set || first.needed != share.needed) {
            return Err(VaultError::invalid(format!("share {place} belongs to another set")));
        }
        read.push(share);
    }
    let needed = read.first().map_or(2, |share| usize::from(share.needed));
    let Some(used) = read.get(..needed) else {
        return Err(VaultError::invalid(format!("{needed} shares are needed, {} were given", read.len())));
    };
    let mut secret = Zeroizing::new([0; 32]);
    for share in used {
        // Lagrange's basis polynomial of this share at 0; subtraction in GF(2^8) is XOR.
        let weight = used.iter().filter(|other| other.index != share.index).fold(1, |product, other| {
            multiply(product, multiply(other.index, invert(other.index ^ share.index)))
        });
        for (sum, value) in secret.iter_mut().zip(share.value.iter()) {
            *sum ^= multiply(*value, weight);
        }
    }
    let first = &used[0];
    let set = CustodianSet { set: first.set.clone(), needed: first.needed, total: 0 };
    Ok(RootSecret::Custodians(secret, set))
}

fn parse(text: &str) -> Option<Share> {
    let (body, given) = text.rsplit_once('-')?;
    let rest = body.strip_prefix(MARK)?.strip_prefix('-')?;
    let parts: Vec<_> = rest.split('-').collect();
    let [set, needed, index, value] = parts[..] else { return None };
    let (needed, index) = (needed.parse().ok()?, index.parse().ok()?);
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(value, &mut *bytes).ok()?;
    let fine = given == check(body)
        && (2..=MAX_CUSTODIANS).contains(&needed)
        && (1..=MAX_CUSTODIANS).contains(&index);
    fine.then(|| Share { set: set.to_owned(), needed, index, value: bytes })
}

/// Catches typing mistakes.
fn check(body: &str) -> String {
    hex::encode(&Sm3::digest(body)[..4])
}

/// Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1, in the same time for all values.
fn multiply(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    for _ in 0..8 {
        product ^= a & (b & 1).wrapping_neg();
        let overflow = (a >> 7).wrapping_neg();
        a = (a << 1) ^ (overflow & 0x1b);
        b >>= 1;
    }
    product
}

/// a^254, the inverse of a non-zero value.
fn invert(a: u8) -> u8 {
    let mut result = 1;
    let mut power = a;
    for _ in 0..7 {
        power = multiply(power, power);
        result = multiply(result, power);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::pure::PureProvider;
    use proptest::prelude::*;

    fn bytes(secret: &RootSecret) -> &[u8; 32] {
        match secret {
            RootSecret::Custodians(bytes, _) => bytes,
            _ => panic!("shares join to a custodians' secret"),
        }
    }

    fn error(shares: &[&str]) -> String {
        join_shares(shares).err().unwrap().to_string()
    }

    #[test]
    fn the_field_has_inverses_and_the_known_product() {
        assert_eq!(multiply(0x57, 0x83), 0xc1);
        assert!((1..=255).all(|a| multiply(a, invert(a)) == 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn any_m_of_n_shares_join_to_the_secret(total in 2u8..=16, needed in 2u8..=16, from in any::<prop::sample::Index>()) {
            let needed = needed.min(total);
            let (secret, mut shares) = split_shares(&PureProvider, needed, total).unwrap();
            let turn = from.index(shares.len());
            shares.rotate_left(turn);
            let texts: Vec<&str> = shares.iter().take(needed.into()).map(|share| share.as_str()).collect();
            let joined = join_shares(&texts).unwrap();
            prop_assert_eq!(bytes(&joined), bytes(&secret));
            prop_assert!(error(&texts[1..]).ends_with("were given"));
        }

        #[test]
        fn joining_any_text_never_panics(text in "qiao-share-1-[0-9a-f-]{0,90}") {
            prop_assert!(join_shares(&[text]).is_err());
        }
    }

    #[test]
    fn says_which_share_is_wrong_and_why() {
        let (_, shares) = split_shares(&PureProvider, 2, 3).unwrap();
        let (_, foreign) = split_shares(&PureProvider, 2, 3).unwrap();
        let mistyped = shares[1].replacen("-2-2-", "-2-3-", 1);
        assert_eq!(error(&[&shares[0], &mistyped]), "share 2 is mistyped or cut");
        assert_eq!(error(&[&shares[0], &shares[0]]), "share 2 was given twice");
        assert_eq!(error(&[&shares[0], &foreign[1]]), "share 2 belongs to another set");
        assert_eq!(error(&[&shares[0]]), "2 shares are needed, 1 were given");
        assert!(split_shares(&PureProvider, 1, 3).is_err());
        assert!(split_shares(&PureProvider, 4, 3).is_err());
    }
}
