//! How the bus identifies itself to a partner: a small set of schemes applied to request headers. For who adds a scheme.
use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use qiao_core::{Fault, fault_codes};
use zeroize::Zeroizing;

/// A secret text: wiped when dropped, and without a way to print it.
#[derive(Clone)]
pub struct SecretString(Zeroizing<String>);

impl SecretString {
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    /// The plain text; keep it no longer than needed.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Where a secret comes from at the time of each request, so that a rotated one is used at once. Cheap and non-blocking.
pub type SecretSource = Arc<dyn Fn() -> Result<SecretString, Fault> + Send + Sync>;

/// A source that always gives the same secret.
pub fn fixed(secret: SecretString) -> SecretSource {
    Arc::new(move || Ok(secret.clone()))
}

/// How requests to a system are authenticated. No `Debug`: it reaches secrets.
#[derive(Clone, Default)]
pub enum Credential {
    #[default]
    None,
    /// RFC 7617, in UTF-8.
    Basic { user: String, password: SecretSource },
    /// RFC 6750 §2.1.
    Bearer(SecretSource),
    /// A header of the partner's own.
    Header { name: HeaderName, value: SecretSource },
}

impl Credential {
    /// Sets the header, replacing whatever a caller sent under that name, and marks it sensitive.
    ///
    /// Errors: the source's own, or `INTERNAL` when the secret holds what no header may hold.
    pub fn apply(&self, headers: &mut HeaderMap) -> Result<(), Fault> {
        let (name, text) = match self {
            Credential::None => return Ok(()),
            Credential::Basic { user, password } => {
                let plain = Zeroizing::new(format!("{user}:{}", password()?.reveal()));
                (&AUTHORIZATION, Zeroizing::new(format!("Basic {}", STANDARD.encode(plain.as_bytes()))))
            }
            Credential::Bearer(token) => {
                (&AUTHORIZATION, Zeroizing::new(format!("Bearer {}", token()?.reveal())))
            }
            Credential::Header { name, value } => (name, value()?.0),
        };
        let mut value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| {
            Fault::new(
                &fault_codes::INTERNAL,
                format!("the secret for header `{name}` holds a control character: store it again without"),
            )
            .with_repeat(qiao_core::Repeat::Unsafe)
        })?;
        value.set_sensitive(true);
        headers.insert(name, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretSource {
        fixed(SecretString::new(text))
    }

    #[test]
    fn basic_is_the_published_example_of_rfc_7617() {
        let mut headers = HeaderMap::new();
        let credential = Credential::Basic { user: "Aladdin".into(), password: secret("open sesame") };
        credential.apply(&mut headers).expect("applies");
        assert_eq!(headers[AUTHORIZATION], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(headers[AUTHORIZATION].is_sensitive());
    }

    #[test]
    fn bearer_replaces_what_a_caller_sent() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer callers"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Basic callers"));
        Credential::Bearer(secret("ours")).apply(&mut headers).expect("applies");
        assert_eq!(headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(), ["Bearer ours"]);
    }

    #[test]
    fn a_secret_that_would_split_the_head_is_refused_without_showing_it() {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static("x-api-key");
        let fault = Credential::Header { name, value: secret("k\r\nX-Evil: 1") }
            .apply(&mut headers)
            .expect_err("refused");
        assert!(fault.detail().contains("x-api-key"));
        assert!(!fault.detail().contains("Evil"));
        assert!(headers.is_empty());
    }

    #[test]
    fn a_sealed_vault_is_told_as_it_is() {
        let sealed: SecretSource = Arc::new(|| Err(Fault::new(&fault_codes::VAULT_SEALED, "sealed")));
        let fault = Credential::Bearer(sealed).apply(&mut HeaderMap::new()).expect_err("refused");
        assert_eq!(fault.code(), &fault_codes::VAULT_SEALED);
    }
}
