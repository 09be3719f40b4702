//! The login digests of CMPP (§8.4.1).

use super::Version;
use crate::digest::{md5, ten_digits};
use crate::layout::{Authenticator, FixedText};

/// AuthenticatorSource of a CONNECT (§8.4.1.1): MD5(Source_Addr, nine NUL, secret, timestamp as ten digits).
pub fn source(source_addr: &FixedText<6>, secret: &[u8], timestamp: u32) -> Authenticator {
    md5(&[source_addr.value(), &[0; 9], secret, ten_digits(timestamp).as_bytes()])
}

/// AuthenticatorISMG of a CONNECT_RESP (§8.4.1.2): MD5(Status, AuthenticatorSource, secret), the Status as wide as
/// the version sends it. `None` when 2.0 has no room for the status.
pub fn ismg(version: Version, status: u32, source: &Authenticator, secret: &[u8]) -> Option<Authenticator> {
    let bytes = status.to_be_bytes();
    let status = match version {
        Version::V30 => &bytes[..],
        Version::V20 if status <= 0xFF => &bytes[3..],
        Version::V20 => return None,
    };
    Some(md5(&[status, &source.0, secret]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> FixedText<6> {
        FixedText::new(text).expect("six bytes")
    }

    fn ismg_hex(version: Version, source: &Authenticator, secret: &[u8]) -> String {
        hex::encode(ismg(version, 0, source, secret).expect("status 0").0)
    }

    #[test]
    fn gives_the_digests_of_an_independent_client_and_server() {
        // connect_test.go of bigwhite/gocmpp
        let digest = source(&address("900001"), b"888888", 1_021_080_510);
        assert_eq!(hex::encode(digest.0), "90d00c1d517abd0b4f65f6bcf8535d16");
        assert_eq!(ismg_hex(Version::V20, &digest, b"888888"), "6c0b846e25bab6daa4ed1c466e0f4bd8");
        assert_eq!(ismg_hex(Version::V30, &digest, b"888888"), "7942977274098cf210ab0c16c367bc8d");
    }

    #[test]
    fn writes_ten_digits_and_the_status_as_wide_as_the_version() {
        let digest = source(&address("901234"), b"1234", 309_120_000);
        assert_eq!(hex::encode(digest.0), "d3c35497a0c0006d8b585fd64d1fc9be");
        assert_eq!(ismg_hex(Version::V30, &digest, b"1234"), "010967cbdc7df989214e384f7d41ef82");
        assert_eq!(ismg_hex(Version::V20, &digest, b"1234"), "1756bba6ecc75155f4d518bbdec09cd4");
        assert_eq!(ismg(Version::V20, 256, &digest, b"1234"), None);
    }

    #[test]
    fn digests_differ_in_any_byte() {
        let digest = source(&address("901234"), b"1234", 0);
        let mut other = digest;
        assert!(crate::digests_match(&digest, &other));
        other.0[15] ^= 1;
        assert!(!crate::digests_match(&digest, &other));
    }
}
