//! The characters and names XML 1.0 (fifth edition) allows.

/// The offset of the first character outside the production Char.
pub(super) fn first_illegal(text: &str) -> Option<usize> {
    // Whole blocks are ruled out without a branch per byte, which the compiler turns into vector code.
    const BLOCK: usize = 64;
    let bytes = text.as_bytes();
    let suspect = |byte: u8| (byte < 0x20) & (byte != b'\n') & (byte != b'\t') | (byte == 0xEF);
    bytes
        .chunks(BLOCK)
        .enumerate()
        .filter(|(_, block)| block.iter().fold(false, |found, byte| found | suspect(*byte)))
        .find_map(|(index, block)| {
            (index * BLOCK..index * BLOCK + block.len()).find(|at| is_illegal(bytes, *at))
        })
}

/// Whether a character outside Char starts at the byte.
fn is_illegal(bytes: &[u8], at: usize) -> bool {
    match bytes[at] {
        0..=8 | 11 | 12 | 14..=31 => true,
        // U+FFFE and U+FFFF; surrogates cannot occur in a str.
        0xEF => bytes.get(at + 1) == Some(&0xBF) && bytes.get(at + 2).is_some_and(|byte| *byte >= 0xBE),
        _ => false,
    }
}

/// Whether XML can carry the character.
pub(super) fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

/// Whether the text is a name without colon.
pub(super) fn is_ncname(name: &str) -> bool {
    let bytes = name.as_bytes();
    match bytes.first() {
        None => return false,
        Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => {}
        Some(0x80..) => {}
        Some(_) => return false,
    }
    if bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.')) {
        return true;
    }
    let mut chars = name.chars();
    chars.next().is_some_and(is_name_start) && chars.all(is_name_char)
}

fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

fn is_name_char(c: char) -> bool {
    is_name_start(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// White space as XML knows it.
pub(super) fn is_space(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}

/// The character of a reference without `&` and `;`: one of the five entities, or `#n`, `#xh`.
pub(super) fn referenced(name: &str) -> Option<char> {
    match name {
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "amp" => return Some('&'),
        "apos" => return Some('\''),
        "quot" => return Some('"'),
        _ => {}
    }
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix('x') {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            u32::from_str_radix(digits, 16).ok()?
        }
        None if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => number.parse().ok()?,
        _ => return None,
    };
    char::from_u32(code).filter(|c| is_char(*c))
}
