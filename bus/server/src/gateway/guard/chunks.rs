//! A chunked body, followed byte by byte to find its end (RFC 9112 §7.1). Stricter than hyper's reader: no blanks around sizes,
//! no bare line feeds, bounded extensions and trailers, no framing or routing fields in trailers.
use super::super::refusal::Refusal;
use super::head;

/// Limits on the parts of a chunked body that are not data.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkLimits {
    pub(super) extension: usize,
    pub(super) trailers: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Chunks {
    at: At,
    /// Bytes of trailers so far, and the trailer line under way.
    trailer_bytes: usize,
    line: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum At {
    Size { digits: u8, value: u64 },
    Extension { length: usize, value: u64 },
    SizeLf { value: u64 },
    Data(u64),
    DataCr,
    DataLf,
    Trailer,
    TrailerLf,
    End,
}

/// Fields that must not come late: framing, routing, authentication, and what says how to read the content (RFC 9110 §6.5.1).
const NOT_IN_TRAILERS: &[&str] = &[
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Chunks {
    pub(super) fn new() -> Self {
        Self { at: At::Size { digits: 0, value: 0 }, trailer_bytes: 0, line: Vec::new() }
    }

    /// Reads on; returns how many bytes belong to the body, and whether it has ended.
    pub(super) fn advance(
        &mut self,
        bytes: &[u8],
        limits: &ChunkLimits,
    ) -> Result<(usize, bool), (usize, Refusal)> {
        let mut position = 0;
        while position < bytes.len() {
            if let At::Data(left) = self.at {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - position);
                position += here;
                self.at = if here as u64 == left { At::DataCr } else { At::Data(left - here as u64) };
                continue;
            }
            self.at = self.step(bytes[position], limits).map_err(|refusal| (position, refusal))?;
            position += 1;
            if matches!(self.at, At::End) {
                return Ok((position, true));
            }
        }
        Ok((position, false))
    }

    fn step(&mut self, byte: u8, limits: &ChunkLimits) -> Result<At, Refusal> {
        match (self.at, byte) {
            (At::Size { digits, value }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = (byte as char).to_digit(16).map_or(0, u64::from);
                // 15 digits stay below 2^60, so no sum of positions can overflow.
                if digits == 15 {
                    return Err(Refusal::InvalidChunk);
                }
                Ok(At::Size { digits: digits + 1, value: value * 16 + digit })
            }
            (At::Size { digits, value }, b'\r') if digits > 0 => Ok(At::SizeLf { value }),
            (At::Size { digits, value }, b';') if digits > 0 => Ok(At::Extension { length: 0, value }),
            (At::Extension { value, .. }, b'\r') => Ok(At::SizeLf { value }),
            (At::Extension { length, value }, _) if head::is_field_text(&[byte]) => {
                if length == limits.extension {
                    return Err(Refusal::ChunkExtensionTooLong);
                }
                Ok(At::Extension { length: length + 1, value })
            }
            (At::SizeLf { value: 0 }, b'\n') => Ok(At::Trailer),
            (At::SizeLf { value }, b'\n') => Ok(At::Data(value)),
            (At::DataCr, b'\r') => Ok(At::DataLf),
            (At::DataLf, b'\n') => Ok(At::Size { digits: 0, value: 0 }),
            (At::Trailer, b'\r') => Ok(At::TrailerLf),
            (At::Trailer, b'\n') => Err(Refusal::InvalidTrailer),
            (At::Trailer, _) => self.trailer_byte(byte, limits),
            (At::TrailerLf, b'\n') if self.line.is_empty() => Ok(At::End),
            (At::TrailerLf, b'\n') => self.trailer_line(),
            (At::TrailerLf, _) => Err(Refusal::InvalidTrailer),
            _ => Err(Refusal::InvalidChunk),
        }
    }

    fn trailer_byte(&mut self, byte: u8, limits: &ChunkLimits) -> Result<At, Refusal> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > limits.trailers {
            return Err(Refusal::TrailerTooLarge);
        }
        self.line.push(byte);
        Ok(At::Trailer)
    }

    fn trailer_line(&mut self) -> Result<At, Refusal> {
        let (name, _) = head::split_field(&self.line).ok_or(Refusal::InvalidTrailer)?;
        let forbidden = |field: &&str| {
            let folded = name.iter().map(|byte| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() });
            folded.eq(field.bytes())
        };
        if NOT_IN_TRAILERS.iter().any(forbidden) {
            return Err(Refusal::InvalidTrailer);
        }
        self.line.clear();
        Ok(At::Trailer)
    }
}
