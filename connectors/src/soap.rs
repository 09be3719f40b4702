//! What SOAP adds to HTTP: the content type and the action, by version. Envelopes are the codec's business in `qiao-mappings`.
//!
//! SOAP 1.1: W3C Note 2000-05-08 §6.1.1. SOAP 1.2: Part 2 §7 with the media type of RFC 3902.
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};

use crate::config::HttpProtocol;

const SOAP_ACTION: HeaderName = HeaderName::from_static("soapaction");

/// The headers of one operation, built once.
pub(crate) struct SoapHeaders {
    content_type: HeaderValue,
    /// SOAP 1.1 only.
    action: Option<HeaderValue>,
}

impl SoapHeaders {
    /// Nothing for plain HTTP. `Err` says what is wrong with the action or the charset.
    pub(crate) fn new(
        protocol: HttpProtocol,
        charset: &str,
        action: Option<&str>,
    ) -> Result<Option<Self>, &'static str> {
        let action = action.unwrap_or_default().trim_matches('"');
        if action.contains(['"', '\\']) {
            return Err("holds a quote or a backslash: give the bare action URI");
        }
        let (content_type, action) = match protocol {
            HttpProtocol::Http => return Ok(None),
            HttpProtocol::Soap11 => (format!("text/xml; charset={charset}"), Some(format!("\"{action}\""))),
            HttpProtocol::Soap12 if action.is_empty() => {
                (format!("application/soap+xml; charset={charset}"), None)
            }
            HttpProtocol::Soap12 => {
                (format!("application/soap+xml; charset={charset}; action=\"{action}\""), None)
            }
        };
        let value = |text: String| {
            HeaderValue::try_from(text).map_err(|_| "holds a control character: give the bare action URI")
        };
        Ok(Some(Self { content_type: value(content_type)?, action: action.map(value).transpose()? }))
    }

    /// Replaces whatever a caller sent under these names.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_TYPE, self.content_type.clone());
        match &self.action {
            Some(action) => headers.insert(SOAP_ACTION, action.clone()),
            None => headers.remove(SOAP_ACTION),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(protocol: HttpProtocol, action: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(SOAP_ACTION, HeaderValue::from_static("callers"));
        let soap = SoapHeaders::new(protocol, "utf-8", action).expect("valid").expect("soap");
        soap.apply(&mut headers);
        headers
    }

    #[test]
    fn version_1_1_sends_a_quoted_action_and_an_empty_one_where_none_is_defined() {
        let headers = applied(HttpProtocol::Soap11, Some("urn:card/query"));
        assert_eq!(headers[CONTENT_TYPE], "text/xml; charset=utf-8");
        assert_eq!(headers[SOAP_ACTION], "\"urn:card/query\"");
        assert_eq!(applied(HttpProtocol::Soap11, None)[SOAP_ACTION], "\"\"");
    }

    #[test]
    fn version_1_2_puts_the_action_into_the_content_type() {
        let headers = applied(HttpProtocol::Soap12, Some("\"urn:card/query\""));
        let wanted = "application/soap+xml; charset=utf-8; action=\"urn:card/query\"";
        assert_eq!(headers[CONTENT_TYPE], wanted);
        assert!(!headers.contains_key(SOAP_ACTION));
    }

    #[test]
    fn an_action_that_would_leave_its_quotes_is_refused() {
        assert!(SoapHeaders::new(HttpProtocol::Soap11, "utf-8", Some("a\" x=\"b")).is_err());
        assert!(SoapHeaders::new(HttpProtocol::Soap12, "utf-8", Some("a\r\nb")).is_err());
        assert!(SoapHeaders::new(HttpProtocol::Http, "utf-8", None).expect("valid").is_none());
    }
}
