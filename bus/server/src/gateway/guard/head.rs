//! The head of an HTTP/1 request, read line by line as it arrives (RFC 9112 §2–§6). Anything two readers could understand in two
//! ways is refused. Keeps no copy of the head and allocates nothing.
use super::super::refusal::Refusal;
use super::target::{self, Target};

/// Limits on a head.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadLimits {
    pub(super) bytes: usize,
    pub(super) target: usize,
    pub(super) count: usize,
}

/// How the body after a head is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delimited {
    Length(u64),
    Chunked,
}

/// A head under way. All positions are relative to its first byte.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    /// Where the line under way starts, and how far it was searched for its end.
    line: usize,
    searched: usize,
    started: bool,
    blank_skipped: bool,
    http10: bool,
    fields: usize,
    target: Option<Target>,
    host: Option<(usize, usize)>,
    length: Option<u64>,
    chunked: bool,
}

/// Method and field name characters (RFC 9110 §5.6.2 `tchar`).
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let symbol = matches!(
            byte as u8,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        );
        table[byte] = symbol || (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    table
};

pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().fold(true, |token, byte| token & TOKEN[usize::from(*byte)])
}

/// No control characters but the tab; bytes above ASCII pass (`obs-text`).
pub(super) fn is_field_text(bytes: &[u8]) -> bool {
    !bytes.iter().fold(false, |bad, byte| bad | ((*byte < 0x20) & (*byte != b'\t')) | (*byte == 0x7f))
}

/// Splits `name: value`, the value trimmed of blanks.
pub(super) fn split_field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    (is_token(name) && is_field_text(value)).then(|| (name, trim(value)))
}

fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// Equal without regard to case, `_` taken for `-`: servers behind us may fold the two.
fn is_named(name: &[u8], wanted: &[u8]) -> bool {
    name.len() == wanted.len()
        && name.iter().zip(wanted).all(|(byte, want)| {
            let folded = if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
            folded == *want
        })
}

impl Head {
    /// Reads on; `bytes` starts at the head's first byte and holds what was given before, and more. Returns the head's length
    /// and how its body is delimited, or none while the head is not complete.
    pub(super) fn advance(
        &mut self,
        bytes: &[u8],
        limits: &HeadLimits,
    ) -> Result<Option<(usize, Delimited)>, Refusal> {
        while let Some(found) = memchr::memchr(b'\n', &bytes[self.searched..]) {
            let end = self.searched + found;
            if end + 1 > limits.bytes {
                return Err(self.too_large(end + 1, limits));
            }
            self.first_byte(bytes)?;
            let line = &bytes[self.line..end];
            let Some((b'\r', line)) = line.split_last() else { return Err(Refusal::BareLineEnd) };
            let start = self.line;
            (self.line, self.searched) = (end + 1, end + 1);
            match (self.started, line.is_empty()) {
                (false, true) if self.blank_skipped => return Err(Refusal::MalformedRequestLine),
                (false, true) => self.blank_skipped = true,
                (false, false) => self.request_line(line, start, limits)?,
                (true, true) => return self.complete(bytes).map(|delimited| Some((end + 1, delimited))),
                (true, false) => self.field(line, start, bytes, limits)?,
            }
        }
        self.searched = bytes.len();
        self.incomplete(bytes, limits)?;
        Ok(None)
    }

    /// Refuses what can no longer become a head within the limits.
    fn incomplete(&self, bytes: &[u8], limits: &HeadLimits) -> Result<(), Refusal> {
        if bytes.len() > limits.bytes {
            return Err(self.too_large(bytes.len(), limits));
        }
        self.first_byte(bytes)?;
        if !self.started && bytes.len() - self.line > limits.target + 64 {
            return Err(Refusal::TargetTooLong);
        }
        Ok(())
    }

    /// What cannot become a request line is refused without waiting for its end (TLS on a cleartext port, for instance), and for
    /// this reason first, so that the verdict does not depend on how the bytes were split.
    fn first_byte(&self, bytes: &[u8]) -> Result<(), Refusal> {
        match bytes.get(self.line) {
            Some(b'\r' | b'\n') | None => Ok(()),
            Some(first) if self.started || TOKEN[usize::from(*first)] => Ok(()),
            Some(_) => Err(Refusal::InvalidMethod),
        }
    }

    fn too_large(&self, seen: usize, limits: &HeadLimits) -> Refusal {
        let in_request_line = !self.started && seen - self.line > limits.target;
        if in_request_line { Refusal::TargetTooLong } else { Refusal::HeadTooLarge }
    }

    fn request_line(&mut self, line: &[u8], start: usize, limits: &HeadLimits) -> Result<(), Refusal> {
        self.started = true;
        let first = memchr::memchr(b' ', line).ok_or(Refusal::MalformedRequestLine)?;
        let last = memchr::memrchr(b' ', line).ok_or(Refusal::MalformedRequestLine)?;
        let method = &line[..first];
        if !is_token(method) {
            return Err(Refusal::InvalidMethod);
        }
        let target = line.get(first + 1..last).ok_or(Refusal::MalformedRequestLine)?;
        if target.len() > limits.target {
            return Err(Refusal::TargetTooLong);
        }
        self.version(&line[last + 1..])?;
        if method == b"CONNECT" || method.len() > 32 {
            return Err(Refusal::MethodNotImplemented);
        }
        self.target = Some(target::parse(method, target, start + first + 1)?);
        Ok(())
    }

    fn version(&mut self, version: &[u8]) -> Result<(), Refusal> {
        match version {
            b"HTTP/1.1" => Ok(()),
            b"HTTP/1.0" => {
                self.http10 = true;
                Ok(())
            }
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                Err(Refusal::UnsupportedVersion)
            }
            _ => Err(Refusal::MalformedRequestLine),
        }
    }

    fn field(&mut self, line: &[u8], start: usize, bytes: &[u8], limits: &HeadLimits) -> Result<(), Refusal> {
        let (name, value) = split_field(line).ok_or(Refusal::MalformedHeader)?;
        self.fields += 1;
        if self.fields > limits.count {
            return Err(Refusal::TooManyHeaders);
        }
        match name.len() {
            4 if is_named(name, b"host") => {
                if self.host.is_some() {
                    return Err(Refusal::DuplicateHost);
                }
                if !target::valid_authority(value) {
                    return Err(Refusal::InvalidHost);
                }
                // `value` lies inside `bytes`: the colon comes first, then blanks, then the value.
                let lead = line.len() - name.len() - 1 - trim_start(&line[name.len() + 1..]).len();
                let at = start + name.len() + 1 + lead;
                debug_assert_eq!(&bytes[at..at + value.len()], value);
                self.host = Some((at, at + value.len()));
                Ok(())
            }
            6 if is_named(name, b"expect") => {
                let met = self.http10 || value.eq_ignore_ascii_case(b"100-continue");
                if met { Ok(()) } else { Err(Refusal::ExpectationFailed) }
            }
            14 if is_named(name, b"content-length") => self.content_length(name, value),
            17 if is_named(name, b"transfer-encoding") => self.transfer_encoding(name, value),
            _ => Ok(()),
        }
    }

    fn content_length(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        let digits = (1..=19).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
        if !digits || name[7] == b'_' {
            return Err(Refusal::InvalidContentLength);
        }
        if self.length.is_some() {
            return Err(Refusal::DuplicateContentLength);
        }
        // 19 digits cannot overflow 64 bits.
        self.length = Some(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')));
        Ok(())
    }

    fn transfer_encoding(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        if self.http10 {
            return Err(Refusal::ChunkedInHttp10);
        }
        if self.chunked || name[8] == b'_' {
            return Err(Refusal::InvalidTransferEncoding);
        }
        if value.eq_ignore_ascii_case(b"chunked") {
            self.chunked = true;
            return Ok(());
        }
        let mut codings = value.split(|byte| *byte == b',').map(trim);
        let last_is_chunked =
            codings.next_back().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
        let others = codings.all(|coding| is_token(coding) && !coding.eq_ignore_ascii_case(b"chunked"));
        if last_is_chunked && others {
            return Err(Refusal::UnsupportedTransferCoding);
        }
        Err(Refusal::InvalidTransferEncoding)
    }

    fn complete(&self, bytes: &[u8]) -> Result<Delimited, Refusal> {
        match (self.host, self.target) {
            (None, _) if !self.http10 => return Err(Refusal::MissingHost),
            (Some((from, to)), Some(Target::Absolute { start, end, https }))
                if !target::same_authority(&bytes[start..end], &bytes[from..to], https) =>
            {
                return Err(Refusal::HostMismatch);
            }
            _ => {}
        }
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Refusal::LengthAndChunked),
            (None, true) => Ok(Delimited::Chunked),
            (length, false) => Ok(Delimited::Length(length.unwrap_or(0))),
        }
    }
}

fn trim_start(value: &[u8]) -> &[u8] {
    let start = value.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(value.len());
    &value[start..]
}
