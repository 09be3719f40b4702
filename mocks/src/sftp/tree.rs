//! A user's files: in memory, within bounds, in the folders that its listener has.
use std::collections::BTreeMap;

use bytes::Bytes;

/// Files of a user at most.
pub const MAX_FILES: usize = 10_000;
/// Bytes of one file at most.
pub const MAX_FILE: usize = 16 << 20;

/// A file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub bytes: Bytes,
    /// Unix time in seconds by the mock partners' clock.
    pub modified: u32,
    /// The connection ends in the middle of its first transfer.
    pub breaks: bool,
}

/// Files by their whole path.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, Node>,
    bytes: usize,
}

impl Tree {
    /// A file.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.files.get(path)
    }

    /// Puts a file in place of the one of its name. False where that would exceed `max` bytes, or the number of files.
    pub fn put(&mut self, path: &str, node: Node, max: usize) -> bool {
        let before = self.files.get(path).map_or(0, |old| old.bytes.len());
        let bytes = self.bytes - before + node.bytes.len();
        let new = !self.files.contains_key(path);
        if bytes > max || node.bytes.len() > MAX_FILE || (new && self.files.len() >= MAX_FILES) {
            return false;
        }
        self.bytes = bytes;
        self.files.insert(path.to_owned(), node);
        true
    }

    /// Takes a file away.
    pub fn remove(&mut self, path: &str) -> Option<Node> {
        let node = self.files.remove(path)?;
        self.bytes -= node.bytes.len();
        Some(node)
    }

    /// Whether its transfer breaks; only the first one does.
    pub fn breaks_once(&mut self, path: &str) -> bool {
        self.files.get_mut(path).is_some_and(|node| std::mem::take(&mut node.breaks))
    }

    /// The files of a folder by name.
    pub fn list<'t>(&'t self, folder: &'t str) -> impl Iterator<Item = (&'t str, &'t Node)> {
        let below = move |path: &'t String| {
            path.strip_prefix(folder)?.strip_prefix('/').filter(|name| !name.contains('/'))
        };
        self.files.iter().filter_map(move |(path, node)| Some((below(path)?, node)))
    }
}

/// A path from the root without `.`, `..` and doubled slashes. None for one with control characters or longer than 1024 bytes.
pub fn normal(path: &str) -> Option<String> {
    if path.len() > 1024 || path.chars().any(char::is_control) {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(bytes: usize) -> Node {
        Node { bytes: vec![0; bytes].into(), ..Node::default() }
    }

    #[test]
    fn paths_stay_below_the_root() {
        for (path, wanted) in
            [(".", "/"), ("", "/"), ("in", "/in"), ("/in/../..//out/./a", "/out/a"), ("../../etc", "/etc")]
        {
            assert_eq!(normal(path).as_deref(), Some(wanted));
        }
        assert_eq!(normal("/in/a\nb"), None);
    }

    #[test]
    fn bytes_are_bounded_and_counted_through_replacing_and_removing() {
        let mut tree = Tree::default();
        assert!(tree.put("/in/a", node(60), 100));
        assert!(!tree.put("/in/b", node(41), 100));
        assert!(tree.put("/in/a", node(10), 100) && tree.put("/in/b", node(90), 100));
        assert!(!tree.put("/in/c", node(1), 100));
        assert!(tree.remove("/in/b").is_some() && tree.put("/in/c", node(90), 100));
        assert_eq!(tree.list("/in").map(|(name, _)| name).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(tree.list("/i").count(), 0);
    }

    proptest! {
        #[test]
        fn any_path_is_refused_or_normal(path in ".{0,60}") {
            if let Some(once) = normal(&path) {
                prop_assert!(once.starts_with('/') && !once.contains("//") && !once.split('/').any(|part| part == ".."));
                prop_assert_eq!(normal(&once), Some(once));
            }
        }
    }
}
