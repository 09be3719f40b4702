//! The request target and the authority (RFC 9112 §3.2, RFC 3986 §3.2): strict forms, so that no one behind us reads them otherwise.
use super::super::refusal::Refusal;

/// The three forms served here; the authority of an absolute target as a range of the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Path,
    Asterisk,
    Absolute { start: usize, end: usize, https: bool },
}

/// Characters of a target: those of RFC 3986 and those that browsers leave bare in a query (`[ ] ^ { | }`). No fragment, no
/// backslash, no quotes, nothing outside ASCII.
static TARGET: [bool; 256] = {
    let mut table = [false; 256];
    let allowed = b"!$%&'()*+,-./:;=?@[]^_{|}~";
    let mut index = 0;
    while index < allowed.len() {
        table[allowed[index] as usize] = true;
        index += 1;
    }
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() {
            table[byte] = true;
        }
        byte += 1;
    }
    table
};

/// Reads the target that starts at `at` in the head.
pub(super) fn parse(method: &[u8], target: &[u8], at: usize) -> Result<Target, Refusal> {
    let plain = target.iter().fold(true, |plain, byte| plain & TARGET[usize::from(*byte)]);
    if !plain || !percent_encoded(target) {
        return Err(Refusal::InvalidTarget);
    }
    match target {
        [b'/', ..] => Ok(Target::Path),
        b"*" if method == b"OPTIONS" => Ok(Target::Asterisk),
        _ => absolute(target, at),
    }
}

fn percent_encoded(target: &[u8]) -> bool {
    memchr::memchr_iter(b'%', target)
        .all(|at| target.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)))
}

fn absolute(target: &[u8], at: usize) -> Result<Target, Refusal> {
    let scheme_is =
        |scheme: &[u8]| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let (skip, https) = match () {
        () if scheme_is(b"http://") => (7, false),
        () if scheme_is(b"https://") => (8, true),
        () => return Err(Refusal::InvalidTarget),
    };
    let rest = &target[skip..];
    let length = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    if !valid_authority(&rest[..length]) {
        return Err(Refusal::InvalidTarget);
    }
    Ok(Target::Absolute { start: at + skip, end: at + skip + length, https })
}

/// A host name, IPv4 or bracketed IPv6 address, with an optional port up to 65535. No user information.
pub(crate) fn valid_authority(text: &[u8]) -> bool {
    let (host, port) = split_port(text);
    let host_valid = match host {
        [b'[', inner @ .., b']'] => {
            std::str::from_utf8(inner).is_ok_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
        }
        _ => {
            !host.is_empty()
                && host.len() <= 255
                && host.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        }
    };
    host_valid && port.is_none_or(valid_port)
}

fn valid_port(digits: &[u8]) -> bool {
    (1..=5).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && digits.iter().fold(0_u32, |port, digit| port * 10 + u32::from(digit - b'0')) <= 65_535
}

fn split_port(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let after_host = text.iter().rposition(|byte| *byte == b']').map_or(0, |bracket| bracket + 1);
    match text[after_host..].iter().position(|byte| *byte == b':') {
        Some(colon) => (&text[..after_host + colon], Some(&text[after_host + colon + 1..])),
        None => (text, None),
    }
}

/// Whether two valid authorities are the same, the scheme's own port spelt out or not.
pub(super) fn same_authority(left: &[u8], right: &[u8], https: bool) -> bool {
    let own: &[u8] = if https { b"443" } else { b"80" };
    let (left_host, left_port) = split_port(left);
    let (right_host, right_port) = split_port(right);
    left_host.eq_ignore_ascii_case(right_host) && left_port.unwrap_or(own) == right_port.unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_names_or_addresses_with_a_port() {
        let valid: [&[u8]; 6] =
            [b"a", b"a.b-c_d:80", b"127.0.0.1:65535", b"[::1]", b"[2001:db8::1]:8080", b"A.B"];
        for text in valid {
            assert!(valid_authority(text), "{}", text.escape_ascii());
        }
        let invalid: [&[u8]; 13] = [
            b"",
            b":80",
            b"a:",
            b"a:65536",
            b"a:080808",
            b"a b",
            b"a,b",
            b"u@a",
            b"[::1",
            b"::1",
            b"[::1]x",
            b"a:8a",
            b"a/b",
        ];
        for text in invalid {
            assert!(!valid_authority(text), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn the_own_port_of_the_scheme_may_be_spelt_out() {
        assert!(same_authority(b"A.example", b"a.EXAMPLE:80", false));
        assert!(same_authority(b"a:443", b"a", true));
        assert!(!same_authority(b"a:443", b"a", false));
        assert!(!same_authority(b"a", b"b", false));
    }
}
