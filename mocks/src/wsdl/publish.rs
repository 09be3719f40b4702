//! The files of a description as callers fetch them: addresses and references point at the mock.
use std::ops::Range;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What a query's value must not hold, and what XML would need escaped.
const QUERY: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'&').add(b'%').add(b'\'').add(b'+');

/// A value in a file that is written anew.
pub struct Hole {
    pub span: Range<usize>,
    /// The file referred to; none for the service's address.
    pub file: Option<String>,
}

/// A file, cut at its holes.
#[derive(Debug)]
pub struct Document {
    /// Below the partner's folder.
    pub path: String,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Address,
    File(String),
}

impl Document {
    /// `holes` ascend and do not overlap.
    pub fn new(path: String, text: String, holes: Vec<Hole>) -> Self {
        let (mut pieces, mut at) = (Vec::new(), 0);
        for hole in holes {
            let Some(before) = text.get(at..hole.span.start) else { continue };
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(hole.file.map_or(Piece::Address, Piece::File));
            at = hole.span.end;
        }
        pieces.push(Piece::Text(text.get(at..).unwrap_or_default().to_owned()));
        Self { path, pieces }
    }

    /// The text with the service at `url`.
    pub fn at(&self, url: &str) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Address => out.push_str(url),
                Piece::File(file) => {
                    let what = if file.ends_with(".wsdl") { "wsdl" } else { "xsd" };
                    out.push_str(&format!("{url}?{what}={}", utf8_percent_encode(file, QUERY)));
                }
            }
        }
        out
    }
}
