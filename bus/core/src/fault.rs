//! The one error type that crosses a boundary: who is to blame, whether a repeat is safe, one text for the caller, one detail for the operator.
use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

/// Whose side the cause is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    Caller,
    Bus,
    Partner,
}

/// Whether the caller may send the same call again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Repeat {
    /// Nothing took effect: a repeat is safe.
    Safe,
    /// The same call will fail again, or would take effect twice.
    Unsafe,
    /// A changing operation may or may not have taken effect: query first.
    Unknown,
}

/// A registered fault code; the table is [`crate::fault_codes::FAULTS`], each with a page `docs/faults/QIAO-nnnn.md`.
#[derive(Debug, PartialEq, Eq)]
pub struct FaultCode {
    /// The number in `QIAO-nnnn`.
    pub number: u16,
    pub blame: Blame,
    pub repeat: Repeat,
    /// The HTTP status the gateway answers with.
    pub status: u16,
    /// Short English name for metrics and logs, in kebab case.
    pub name: &'static str,
    /// Default text for the caller, in Chinese; holds no internals.
    pub text: &'static str,
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QIAO-{:04}", self.number)
    }
}

/// An error on its way across a crate boundary.
#[derive(Clone)]
pub struct Fault {
    inner: Box<Inner>,
}

#[derive(Clone)]
struct Inner {
    code: &'static FaultCode,
    repeat: Repeat,
    text: Cow<'static, str>,
    detail: Cow<'static, str>,
    partner_code: Option<String>,
    retry_after: Option<Duration>,
    endpoint: Option<Arc<str>>,
}

impl Fault {
    /// A fault with the code's default text; `detail` is for operators only and must hold no personal data or secret.
    pub fn new(code: &'static FaultCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let inner = Inner {
            code,
            repeat: code.repeat,
            text: Cow::Borrowed(code.text),
            detail: detail.into(),
            partner_code: None,
            retry_after: None,
            endpoint: None,
        };
        Self { inner: Box::new(inner) }
    }

    /// Replaces the caller's text.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.inner.text = text.into();
        self
    }

    /// Replaces the code's default word on whether a repeat is safe.
    #[must_use]
    pub fn with_repeat(mut self, repeat: Repeat) -> Self {
        self.inner.repeat = repeat;
        self
    }

    /// The partner's own code for a business refusal, passed on to the caller.
    #[must_use]
    pub fn with_partner_code(mut self, code: impl Into<String>) -> Self {
        self.inner.partner_code = Some(code.into());
        self
    }

    /// When the caller may try again.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.inner.retry_after = Some(after);
        self
    }

    /// The partner's endpoint the attempt ran on, set by connectors: names the span, and is what a repeat avoids.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: Arc<str>) -> Self {
        self.inner.endpoint = Some(endpoint);
        self
    }

    pub fn code(&self) -> &'static FaultCode {
        self.inner.code
    }

    pub fn repeat(&self) -> Repeat {
        self.inner.repeat
    }

    pub fn text(&self) -> &str {
        &self.inner.text
    }

    pub fn detail(&self) -> &str {
        &self.inner.detail
    }

    pub fn partner_code(&self) -> Option<&str> {
        self.inner.partner_code.as_deref()
    }

    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    pub fn endpoint(&self) -> Option<&Arc<str>> {
        self.inner.endpoint.as_ref()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.inner.code, self.inner.code.name, self.inner.detail)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Fault {}
