//! The `traceparent` field (W3C Trace Context, level 1): read strictly, ignored when invalid, continued with a new parent id.
use std::fmt;

use http::HeaderMap;
use qiao_core::CallId;

/// A place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: [u8; 16],
    parent: [u8; 8],
    sampled: bool,
}

impl TraceParent {
    /// Reads a field value (§3.2). Versions above 00 are read as far as 00 goes; an invalid value gives none, which starts a new trace.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let version = lower_hex::<1>(text.get(..2)?)?[0];
        let shape = match version {
            0xff => false,
            0 => text.len() == 55,
            _ => text.len() == 55 || text.get(55) == Some(&b'-'),
        };
        if !shape || text[2] != b'-' || text.get(35) != Some(&b'-') || text.get(52) != Some(&b'-') {
            return None;
        }
        let trace = lower_hex::<16>(text.get(3..35)?)?;
        let parent = lower_hex::<8>(text.get(36..52)?)?;
        let flags = lower_hex::<1>(text.get(53..55)?)?[0];
        if trace == [0; 16] || parent == [0; 8] {
            return None;
        }
        Some(Self { trace, parent, sampled: flags & 1 == 1 })
    }

    /// The request's trace, if it carries exactly one valid `traceparent`.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all("traceparent").iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse(value.as_bytes()),
            _ => None,
        }
    }

    /// A new trace whose id is the call's.
    pub fn of_call(call: CallId) -> Self {
        Self { trace: *call.as_bytes(), parent: new_parent(), sampled: true }
    }

    /// The same trace with a new parent id: what is sent on.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { parent: new_parent(), ..*self }
    }

    /// The trace id, 32 lower-case hex digits.
    pub fn trace_id(&self) -> String {
        hex::encode(self.trace)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = u64::from_be_bytes(self.parent);
        let trace = u128::from_be_bytes(self.trace);
        write!(f, "00-{trace:032x}-{parent:016x}-{:02x}", u8::from(self.sampled))
    }
}

/// Eight random bytes; never all zero, for a version 4 UUID has its variant bits set in its second half.
fn new_parent() -> [u8; 8] {
    let random = uuid::Uuid::new_v4().as_u128() as u64;
    random.to_be_bytes()
}

fn lower_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_example_of_the_standard_round_trips() {
        assert_eq!(TraceParent::parse(GOOD.as_bytes()).map(|it| it.to_string()).as_deref(), Some(GOOD));
    }

    #[test]
    fn invalid_values_are_ignored() {
        let invalid = [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
        ];
        for text in invalid {
            assert_eq!(TraceParent::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-what";
        assert_eq!(TraceParent::parse(later.as_bytes()).map(|it| it.to_string()).as_deref(), Some(GOOD));
    }

    #[test]
    fn a_child_keeps_the_trace_and_changes_the_parent() {
        let parent = TraceParent::parse(GOOD.as_bytes()).unwrap();
        let child = parent.child();
        assert_eq!(child.trace_id(), parent.trace_id());
        assert_ne!(child, parent);
        assert!(TraceParent::parse(child.to_string().as_bytes()).is_some());
        let call = CallId::generate();
        assert_eq!(TraceParent::of_call(call).trace_id(), call.to_string());
    }

    #[test]
    fn two_fields_are_none() {
        let mut headers = HeaderMap::new();
        headers.append("traceparent", http::HeaderValue::from_static(GOOD));
        assert!(TraceParent::from_headers(&headers).is_some());
        headers.append("traceparent", http::HeaderValue::from_static(GOOD));
        assert!(TraceParent::from_headers(&headers).is_none());
    }
}
