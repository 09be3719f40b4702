//! From YAML events to a value and its positions; what this reader refuses is refused here.
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};
use serde_json::{Map, Value};

use super::{
    MAX_BYTES, MAX_DEPTH, MAX_NODES, Mistake,
    place::{Inner, Node, Position, Segment, write_path},
    scalar,
};

/// What the parser says, and what most likely helps.
const REMEDIES: &[(&str, &str)] = &[
    ("tabs disallowed", "indent with spaces"),
    ("unexpected character", "put the text in quotes"),
    ("unknown escape", "use single quotes, or write `\\\\` for a backslash"),
    ("mapping values are not allowed", "check the indentation; text that holds `: ` needs quotes"),
    ("block sequence entries are not allowed", "begin the list on the next line"),
    ("simple key expect", "the line before lacks `: ` or is indented wrongly"),
    ("invalid indentation in quoted", "is the closing quote missing?"),
    ("unexpected end of stream", "is the closing quote missing?"),
    ("flow mapping", "is a comma or the closing `}` missing?"),
    ("flow sequence", "is a comma or the closing `]` missing?"),
    ("illegal placement of ':'", "is the closing `]` or `}` missing?"),
    ("expected node content", "is a closing `]` or `}` missing?"),
    ("expected key", "check the indentation"),
    ("'-' indicator", "check the indentation"),
    ("unknown anchor", "aliases (`*name`) are not supported; put text in quotes"),
];

const START: Position = Position { line: 1, column: 1 };

/// The one document of `text`; an empty one is null.
pub(super) fn build(file: &str, text: &str) -> Result<(Value, Node), Vec<Mistake>> {
    if text.len() > MAX_BYTES {
        let message = format!("{} bytes; a file holds at most {MAX_BYTES}", text.len());
        return Err(vec![Mistake::of_file(file, message)]);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder { file, ..Builder::default() };
    for event in Parser::new_from_str(text) {
        let done = match event {
            Ok((event, span)) => builder.take(event, position(&span.start)),
            Err(error) => builder.syntax(&error),
        };
        if done.is_err() {
            break;
        }
    }
    if builder.mistakes.is_empty() {
        let empty = || (Value::Null, Node { at: START, inner: Inner::Empty });
        Ok(builder.root.unwrap_or_else(empty))
    } else {
        Err(builder.mistakes)
    }
}

fn position(mark: &Marker) -> Position {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: number(mark.line()).max(1), column: number(mark.col()).saturating_add(1) }
}

/// Reading cannot go on; the mistake is already noted.
struct Stop;

#[derive(Default)]
struct Builder<'a> {
    file: &'a str,
    frames: Vec<Frame>,
    root: Option<(Value, Node)>,
    documents: usize,
    nodes: usize,
    mistakes: Vec<Mistake>,
}

/// A list or block not yet ended.
enum Frame {
    List { at: Position, values: Vec<Value>, nodes: Vec<Node> },
    Keys { at: Position, values: Map<String, Value>, nodes: Vec<(String, Position, Node)>, key: Option<Key> },
}

/// A key whose value comes next.
struct Key {
    /// None: refused; its value is read, then dropped.
    name: Option<String>,
    at: Position,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), Stop> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.note(at, "a second document in one file", "one file holds one document");
                    return Err(Stop);
                }
            }
            Event::Alias(_) => {
                self.note(at, "aliases (`*name`) are not supported", "write the value out");
                self.close(Value::Null, Node { at, inner: Inner::Scalar }, true);
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_marks(anchor, tag.is_some(), at);
                self.count(at)?;
                self.scalar(&text, style, at);
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_marks(anchor, tag.is_some(), at);
                self.open(Frame::List { at, values: Vec::new(), nodes: Vec::new() }, at)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_marks(anchor, tag.is_some(), at);
                self.open(Frame::Keys { at, values: Map::new(), nodes: Vec::new(), key: None }, at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn open(&mut self, frame: Frame, at: Position) -> Result<(), Stop> {
        self.count(at)?;
        if self.frames.len() >= MAX_DEPTH {
            self.note(
                at,
                &format!("more than {MAX_DEPTH} lists and blocks within one another"),
                "make it flatter",
            );
            return Err(Stop);
        }
        self.frames.push(frame);
        Ok(())
    }

    fn end(&mut self) {
        let (value, node) = match self.frames.pop() {
            Some(Frame::List { at, values, nodes }) => {
                (Value::Array(values), Node { at, inner: Inner::List(nodes) })
            }
            Some(Frame::Keys { at, values, nodes, .. }) => {
                (Value::Object(values), Node { at, inner: Inner::Keys(nodes) })
            }
            None => return,
        };
        self.close(value, node, false);
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, at: Position) {
        let plain = style == ScalarStyle::Plain;
        let resolved = if plain { scalar::resolve(text) } else { Ok(Value::from(text)) };
        let value = resolved.unwrap_or_else(|(message, remedy)| {
            // A refused key is told once, as a key.
            if !self.wants_key() {
                self.note(at, message, remedy);
            }
            Value::Null
        });
        let inner = if plain && text.is_empty() { Inner::Empty } else { Inner::Scalar };
        let merge = plain && text == "<<" && self.wants_key();
        if merge {
            self.note(at, "merge keys (`<<`) are not supported", "write the keys out");
        }
        self.close(value, Node { at, inner }, merge);
    }

    fn wants_key(&self) -> bool {
        matches!(self.frames.last(), Some(Frame::Keys { key: None, .. }))
    }

    /// Puts a finished value where it belongs: the document, a list, or a block, there as key or as value.
    fn close(&mut self, value: Value, node: Node, refused: bool) {
        if self.wants_key() {
            return self.key(value, node.at, refused);
        }
        match self.frames.last_mut() {
            None => self.root = Some((value, node)),
            Some(Frame::List { values, nodes, .. }) => {
                values.push(value);
                nodes.push(node);
            }
            Some(Frame::Keys { values, nodes, key, .. }) => {
                if let Some(Key { name: Some(name), at }) = key.take() {
                    values.insert(name.clone(), value);
                    nodes.push((name, at, node));
                }
            }
        }
    }

    /// `refused`: already told, so that its value is only passed over.
    fn key(&mut self, value: Value, at: Position, refused: bool) {
        let name = match value {
            _ if refused => None,
            Value::String(name) => self.once(name, at),
            Value::Array(_) | Value::Object(_) => {
                self.note(at, "a key must be text, not a list or block", "give it a name");
                None
            }
            _ => {
                self.note(at, "a key must be text", "put it in quotes");
                None
            }
        };
        if let Some(Frame::Keys { key, .. }) = self.frames.last_mut() {
            *key = Some(Key { name, at });
        }
    }

    /// The key, unless its block has it already.
    fn once(&mut self, name: String, at: Position) -> Option<String> {
        let Some(Frame::Keys { values, nodes, .. }) = self.frames.last() else { return None };
        if !values.contains_key(&name) {
            return Some(name);
        }
        let first = nodes.iter().find(|(key, _, _)| *key == name).map_or(at, |(_, first, _)| *first);
        let mut path = self.path();
        path.push(Segment::Key(name));
        let message = format!("key given twice, first in line {}", first.line);
        let mistake = self.mistake(&path, at, message).with_remedy("keep one of them");
        self.mistakes.push(mistake);
        None
    }

    fn refuse_marks(&mut self, anchor: usize, tagged: bool, at: Position) {
        if anchor != 0 {
            self.note(at, "anchors (`&name`) are not supported", "write the value out where it is used");
        }
        if tagged {
            self.note(at, "tags (`!name`) are not supported", "leave it out; quotes make text");
        }
    }

    fn count(&mut self, at: Position) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            self.note(at, &format!("more than {MAX_NODES} values"), "split the file");
            return Err(Stop);
        }
        Ok(())
    }

    fn syntax(&mut self, error: &ScanError) -> Result<(), Stop> {
        let message = format!("not YAML: {}", error.info());
        let mut mistake = self.mistake(&self.path(), position(error.marker()), message);
        let remedy = REMEDIES.iter().find(|(part, _)| error.info().contains(part));
        mistake.remedy = remedy.map(|(_, remedy)| (*remedy).to_owned());
        self.mistakes.push(mistake);
        Err(Stop)
    }

    fn note(&mut self, at: Position, message: &str, remedy: &str) {
        let mistake = self.mistake(&self.path(), at, message.to_owned()).with_remedy(remedy);
        self.mistakes.push(mistake);
    }

    fn mistake(&self, path: &[Segment], at: Position, message: String) -> Mistake {
        let path = write_path(path);
        Mistake { file: self.file.to_owned(), line: at.line, column: at.column, path, message, remedy: None }
    }

    /// Where reading is now.
    fn path(&self) -> Vec<Segment> {
        let here = |frame: &Frame| match frame {
            Frame::List { values, .. } => Some(Segment::Index(values.len())),
            Frame::Keys { key, .. } => key.as_ref()?.name.clone().map(Segment::Key),
        };
        self.frames.iter().filter_map(here).collect()
    }
}
