//! Precomputed multiples of one public key, as the curve crates keep for the generator. For verifying and encrypting.
use primeorder::{LookupTable, Radix16Decomposition, Radix16Digits};
use sm2::{ProjectivePoint, Scalar, Sm2, elliptic_curve::Group};

/// Bytes of a scalar, each two radix-16 digits, and one more place for the last carry.
const PLACES: usize = 33;

/// 1 to 8 times 256^i times the point: 25 KiB, made in the time of about two multiplications.
pub(super) struct KeyTable(Box<[LookupTable<ProjectivePoint>]>);

impl KeyTable {
    pub(super) fn new(point: &ProjectivePoint) -> Self {
        let mut place = *point;
        let tables = (0..PLACES).map(|_| {
            let table = LookupTable::new(place);
            for _ in 0..8 {
                place = place.double();
            }
            table
        });
        Self(tables.collect())
    }

    /// The point times k, in constant time.
    pub(super) fn mul(&self, k: &Scalar) -> ProjectivePoint {
        self.combine(k, LookupTable::select)
    }

    /// The point times k, in a time that tells k: for public numbers only.
    pub(super) fn mul_vartime(&self, k: &Scalar) -> ProjectivePoint {
        self.combine(k, LookupTable::select_vartime)
    }

    fn combine(
        &self,
        k: &Scalar,
        select: impl Fn(&LookupTable<ProjectivePoint>, i8) -> ProjectivePoint,
    ) -> ProjectivePoint {
        let digits = Radix16Decomposition::<Radix16Digits<Sm2>>::new(k);
        let last = PLACES - 1;
        let mut even = select(&self.0[last], digits[2 * last]);
        let mut odd = ProjectivePoint::identity();
        for place in (0..last).rev() {
            odd += &select(&self.0[place], digits[2 * place + 1]);
            even += &select(&self.0[place], digits[2 * place]);
        }
        for _ in 0..4 {
            odd = odd.double();
        }
        even + odd
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sm2::{
        FieldBytes,
        elliptic_curve::{PrimeField, ops::Reduce},
    };

    fn scalar(bytes: [u8; 32]) -> Scalar {
        <Scalar as Reduce<FieldBytes>>::reduce(&FieldBytes::from(bytes))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn multiplies_as_the_curve_crate_does(point in any::<[u8; 32]>(), k in any::<[u8; 32]>()) {
            let (point, k) = (ProjectivePoint::GENERATOR * scalar(point), scalar(k));
            let table = KeyTable::new(&point);
            prop_assert_eq!(table.mul(&k), point * k);
            prop_assert_eq!(table.mul_vartime(&k), point * k);
        }
    }

    #[test]
    fn multiplies_by_the_smallest_and_largest_numbers() {
        let point = ProjectivePoint::GENERATOR * scalar([3; 32]);
        let table = KeyTable::new(&point);
        let eights = scalar([0x88; 32]);
        for k in [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, Scalar::from_u128(255), eights] {
            assert_eq!(table.mul(&k), point * k);
            assert_eq!(table.mul_vartime(&k), point * k);
        }
    }
}
