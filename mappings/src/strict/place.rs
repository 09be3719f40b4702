//! Where things stand: a tree of positions beside the value, and the paths that name places in it.
use std::fmt::Write;

/// Line and column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    Key(String),
    Index(usize),
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub at: Position,
    pub inner: Inner,
}

#[derive(Clone, Debug)]
pub(super) enum Inner {
    Scalar,
    /// A key without a value.
    Empty,
    List(Vec<Node>),
    Keys(Vec<(String, Position, Node)>),
}

impl Node {
    /// The child one segment down, and where its key stands.
    fn child(&self, segment: &Segment) -> Option<(&Node, Option<Position>)> {
        match (&self.inner, segment) {
            (Inner::List(items), Segment::Index(index)) => items.get(*index).map(|node| (node, None)),
            (Inner::Keys(keys), Segment::Key(name)) => {
                keys.iter().find(|(key, _, _)| key == name).map(|(_, at, node)| (node, Some(*at)))
            }
            _ => None,
        }
    }

    /// Where a person looks for this node: a scalar itself, but the key of a list, a block or nothing.
    fn shown_at(&self, key: Option<Position>) -> Position {
        match (&self.inner, key) {
            (Inner::Scalar, _) | (_, None) => self.at,
            (_, Some(key)) => key,
        }
    }

    /// Position of the value at `segments`, or of its nearest parent.
    pub fn value_position(&self, segments: &[Segment]) -> Position {
        let (mut node, mut at) = (self, self.at);
        for segment in segments {
            let Some((child, key)) = node.child(segment) else { break };
            (node, at) = (child, child.shown_at(key));
        }
        at
    }

    /// Position of the last key of `segments`, or of the nearest parent.
    pub fn key_position(&self, segments: &[Segment]) -> Position {
        let Some((last, parents)) = segments.split_last() else { return self.at };
        let mut node = self;
        for segment in parents {
            let Some((child, _)) = node.child(segment) else { return self.value_position(parents) };
            node = child;
        }
        match node.child(last) {
            Some((_, Some(key))) => key,
            _ => self.value_position(segments),
        }
    }

    /// Position of the value at the written path, or of its nearest parent.
    pub fn locate(&self, path: &str) -> Position {
        let (mut node, mut at, mut rest) = (self, self.at, path);
        while !rest.is_empty() {
            let Some((segment, after)) = node.split_first(rest) else { break };
            let Some((child, key)) = node.child(&segment) else { break };
            (node, at, rest) = (child, child.shown_at(key), after);
        }
        at
    }

    /// The first segment of `path` below this node and the rest. A bare key may itself hold dots: the longest key that fits is meant.
    fn split_first<'p>(&self, path: &'p str) -> Option<(Segment, &'p str)> {
        let path = path.strip_prefix('.').unwrap_or(path);
        if let Some(bracketed) = path.strip_prefix('[') {
            if bracketed.starts_with('"') {
                let mut texts = serde_json::Deserializer::from_str(bracketed).into_iter::<String>();
                let key = texts.next()?.ok()?;
                return Some((Segment::Key(key), bracketed.get(texts.byte_offset()..)?.strip_prefix(']')?));
            }
            let (index, rest) = bracketed.split_once(']')?;
            return Some((Segment::Index(index.parse().ok()?), rest));
        }
        match &self.inner {
            Inner::Keys(keys) => keys
                .iter()
                .filter_map(|(key, _, _)| Some((key, path.strip_prefix(key.as_str())?)))
                .filter(|(_, rest)| rest.is_empty() || rest.starts_with(['.', '[']))
                .max_by_key(|(key, _)| key.len())
                .map(|(key, rest)| (Segment::Key(key.clone()), rest)),
            Inner::List(_) => {
                let end = path.find(['.', '[']).unwrap_or(path.len());
                Some((Segment::Index(path[..end].parse().ok()?), &path[end..]))
            }
            Inner::Scalar | Inner::Empty => None,
        }
    }
}

/// The written form: `steps[2].call.operation`; keys that would be ambiguous in quotes: `headers["a.b"]`.
pub fn write_path(segments: &[Segment]) -> String {
    let mut text = String::new();
    for segment in segments {
        let written = match segment {
            Segment::Index(index) => write!(text, "[{index}]"),
            Segment::Key(key) if is_plain(key) => {
                let dot = if text.is_empty() { "" } else { "." };
                write!(text, "{dot}{key}")
            }
            Segment::Key(key) => write!(text, "[{}]", serde_json::Value::from(key.as_str())),
        };
        written.expect("writing to a String cannot fail");
    }
    text
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && !key.contains(['.', '[', ']', '"', '\\', ':', ';'])
        && !key.chars().any(|c| c.is_whitespace() || c.is_control())
}
