//! The login digests of SMGP (§6.2.2, §6.2.8).

use crate::digest::{md5, ten_digits};
use crate::layout::{Authenticator, FixedText};

/// AuthenticatorClient of a Login: MD5(ClientID, seven NUL, secret, timestamp as ten digits).
pub fn client(client_id: &FixedText<8>, secret: &[u8], timestamp: u32) -> Authenticator {
    md5(&[client_id.value(), &[0; 7], secret, ten_digits(timestamp).as_bytes()])
}

/// AuthenticatorServer of a Login_Resp: MD5(Status as four bytes, AuthenticatorClient, secret).
pub fn server(status: u32, client: &Authenticator, secret: &[u8]) -> Authenticator {
    md5(&[&status.to_be_bytes(), &client.0, secret])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_digest_of_the_reference_login() {
        let id = FixedText::new("37000014").expect("eight bytes");
        assert_eq!(301_000_000, 0x11F0_E540);
        assert_eq!(hex::encode(client(&id, b"test1234", 301_000_000).0), "445e0e6a330187c60e70ce4171eabd9c");
    }

    #[test]
    fn the_server_answers_the_status_in_four_bytes() {
        let id = FixedText::new("37000014").expect("eight bytes");
        let digest = client(&id, b"test1234", 301_000_000);
        let four = crate::cmpp::auth::ismg(crate::cmpp::Version::V30, 21, &digest, b"test1234");
        assert_eq!(Some(server(21, &digest, b"test1234")), four);
    }
}
