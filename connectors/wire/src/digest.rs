//! The MD5 digests of CMPP and SMGP logins. The protocols fix MD5; nothing else may use it.

use crate::layout::Authenticator;
use md5::{Digest, Md5};

/// MD5 over the parts, one after another.
pub(crate) fn md5(parts: &[&[u8]]) -> Authenticator {
    let mut hasher = Md5::new();
    for part in parts {
        hasher.update(part);
    }
    Authenticator(hasher.finalize().into())
}

/// The ten decimal digits of a login's timestamp, as they enter the digest.
pub(crate) fn ten_digits(timestamp: u32) -> String {
    format!("{timestamp:010}")
}

/// Compares two login digests in a time that does not depend on where they differ.
pub fn digests_match(left: &Authenticator, right: &Authenticator) -> bool {
    left.0.iter().zip(right.0).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
