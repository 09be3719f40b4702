//! Paths of stubs: whole, with named segments, or open at the end; found by walking a tree of segments.
use std::collections::HashMap;

/// A path below the listener's, such as `/orders/{no}` or `/files/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    segments: Vec<Segment>,
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    Named(Box<str>),
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong: an empty or repeated name, a brace or `*` inside a segment.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut segments = Vec::new();
        let mut open = false;
        let parts: Vec<&str> = split(text).collect();
        for (place, part) in parts.iter().enumerate() {
            if *part == "*" && place + 1 == parts.len() {
                open = true;
            } else if let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                let named = Segment::Named(name.into());
                if name.is_empty() || segments.contains(&named) {
                    return Err(format!("`{part}` needs a name of its own"));
                }
                segments.push(named);
            } else if part.contains(['{', '}', '*']) {
                return Err(format!("`{part}` mixes a name with text: a segment is either text or {{name}}"));
            } else {
                segments.push(Segment::Literal((*part).into()));
            }
        }
        Ok(Self { text: text.to_owned(), segments, open })
    }

    /// The names of segments with their places.
    pub fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        self.segments.iter().enumerate().filter_map(|(place, segment)| match segment {
            Segment::Named(name) => Some((place, &**name)),
            Segment::Literal(_) => None,
        })
    }

    pub fn is_literal(&self) -> bool {
        !self.open && self.names().next().is_none()
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The pattern without its names: equal for patterns that match the same paths.
    pub fn shape(&self) -> String {
        let mut shape = String::new();
        for segment in &self.segments {
            shape.push('/');
            shape.push_str(match segment {
                Segment::Literal(text) => text,
                Segment::Named(_) => "{}",
            });
        }
        if self.open {
            shape.push_str("/*");
        }
        shape
    }

    /// Whether a path, already split, fits.
    pub fn fits(&self, segments: &[String]) -> bool {
        let enough = if self.open {
            segments.len() >= self.segments.len()
        } else {
            segments.len() == self.segments.len()
        };
        enough
            && self.segments.iter().zip(segments).all(|(wanted, seen)| match wanted {
                Segment::Literal(text) => **text == **seen,
                Segment::Named(_) => true,
            })
    }
}

/// The segments of a path; `/` has none.
pub fn split(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split('/').filter(move |_| !path.is_empty())
}

/// Values found by path; all patterns that fit a path are found.
#[derive(Debug)]
pub struct PathTree<T> {
    nodes: Vec<Node>,
    values: Vec<T>,
}

#[derive(Debug, Default)]
struct Node {
    literal: HashMap<Box<str>, usize>,
    named: Option<usize>,
    here: Option<usize>,
    open: Option<usize>,
}

impl<T: Default> PathTree<T> {
    pub fn new() -> Self {
        Self { nodes: vec![Node::default()], values: Vec::new() }
    }

    /// The value of a pattern, made when it is not there.
    pub fn entry(&mut self, pattern: &PathPattern) -> &mut T {
        let mut at = 0;
        for segment in &pattern.segments {
            let fresh = self.nodes.len();
            let next = match segment {
                Segment::Literal(text) => *self.nodes[at].literal.entry(text.clone()).or_insert(fresh),
                Segment::Named(_) => *self.nodes[at].named.get_or_insert(fresh),
            };
            if next == fresh {
                self.nodes.push(Node::default());
            }
            at = next;
        }
        let node = &mut self.nodes[at];
        let place = if pattern.open { &mut node.open } else { &mut node.here };
        let value = *place.get_or_insert(self.values.len());
        if value == self.values.len() {
            self.values.push(T::default());
        }
        &mut self.values[value]
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.values.iter_mut()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Passes every value whose pattern fits to `take`.
    pub fn find<'t>(&'t self, segments: &[String], take: &mut impl FnMut(&'t T)) {
        self.walk(0, segments, take);
    }

    fn walk<'t>(&'t self, at: usize, segments: &[String], take: &mut impl FnMut(&'t T)) {
        let node = &self.nodes[at];
        if let Some(value) = node.open {
            take(&self.values[value]);
        }
        let Some((first, rest)) = segments.split_first() else {
            if let Some(value) = node.here {
                take(&self.values[value]);
            }
            return;
        };
        if let Some(next) = node.literal.get(&**first) {
            self.walk(*next, rest, take);
        }
        if let Some(next) = node.named {
            self.walk(next, rest, take);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(patterns: &[&str], path: &str) -> Vec<String> {
        let mut tree: PathTree<Vec<String>> = PathTree::new();
        for text in patterns {
            tree.entry(&PathPattern::parse(text).expect(text)).push((*text).to_owned());
        }
        let segments: Vec<String> = split(path).map(str::to_owned).collect();
        let mut found = Vec::new();
        tree.find(&segments, &mut |texts: &Vec<String>| found.extend(texts.iter().cloned()));
        found.sort();
        found
    }

    #[test]
    fn finds_whole_named_and_open_paths_together() {
        let patterns = ["/orders/new", "/orders/{no}", "/orders/*", "/*", "/orders", "/"];
        assert_eq!(found(&patterns, "/orders/new"), ["/*", "/orders/*", "/orders/new", "/orders/{no}"]);
        assert_eq!(found(&patterns, "/"), ["/", "/*"]);
        assert_eq!(found(&patterns, "/other"), ["/*"]);
    }

    #[test]
    fn refuses_patterns_that_cannot_be_meant() {
        for text in ["/a/{}", "/{x}/{x}", "/pre{x}", "/a*b"] {
            assert!(PathPattern::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_tree_agrees_with_each_pattern(
            patterns in prop::collection::vec("(/(a|b|\\{x\\})){0,3}(/\\*)?", 0..12),
            path in "(/[abc]){0,4}",
        ) {
            let patterns: Vec<&str> = patterns.iter().map(|p| if p.is_empty() { "/" } else { p }).collect();
            let patterns: Vec<&str> = patterns.into_iter().filter(|p| PathPattern::parse(p).is_ok()).collect();
            let segments: Vec<String> = split(&path).map(str::to_owned).collect();
            let mut expected: Vec<String> = patterns
                .iter()
                .filter(|p| PathPattern::parse(p).expect(p).fits(&segments))
                .map(|p| (*p).to_owned())
                .collect();
            expected.sort();
            prop_assert_eq!(found(&patterns, &path), expected);
        }
    }
}
