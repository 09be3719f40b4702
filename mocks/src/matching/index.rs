//! The stubs of one listener, found by path and then by their most telling equality, in the order in which they are tried.
use std::collections::{BTreeMap, HashMap};

use super::{Conditions, Memo, PathTree};

/// A bucket up to this size is small enough to be tried one by one: then the dispatch key is taken, which every request computes anyway.
const SMALL: usize = 8;

/// Stubs are numbered in the order in which they are tried; every list ascends.
#[derive(Debug)]
pub struct Index {
    anywhere: Group,
    paths: PathTree<Group>,
}

/// Stubs by the value they want.
type Buckets = HashMap<Box<str>, Vec<u32>>;

#[derive(Debug, Default)]
struct Group {
    members: Vec<u32>,
    /// By place.
    probes: Vec<(usize, Buckets)>,
    /// Stubs that want no value anywhere.
    rest: Vec<u32>,
}

impl Index {
    /// Indexes stubs that are already in the order in which they are tried.
    pub fn build<'s>(stubs: impl Iterator<Item = (u32, &'s Conditions)> + Clone) -> Self {
        let mut index = Self { anywhere: Group::default(), paths: PathTree::new() };
        for (number, conditions) in stubs.clone() {
            match &conditions.path {
                None => index.anywhere.members.push(number),
                Some(path) => index.paths.entry(path).members.push(number),
            }
        }
        let by_number: HashMap<u32, &Conditions> = stubs.collect();
        index.anywhere.build(&by_number);
        index.paths.values_mut().for_each(|group| group.build(&by_number));
        index
    }

    /// Every stub that may match, in the order in which they are tried.
    pub fn candidates<'i>(&'i self, memo: &mut Memo<'_>) -> Candidates<'i> {
        let mut lists = Vec::with_capacity(4);
        self.anywhere.lists(memo, &mut lists);
        if !self.paths.is_empty() {
            let facts = memo.facts();
            self.paths.find(facts.segments(), &mut |group: &'i Group| group.lists(memo, &mut lists));
        }
        Candidates { lists }
    }
}

impl Group {
    fn build(&mut self, stubs: &HashMap<u32, &Conditions>) {
        // How many stubs want each value at each place: the fewer, the more telling.
        let mut wanted: HashMap<(usize, &str), usize> = HashMap::new();
        let equalities =
            |number: &u32| stubs[number].all.iter().filter_map(|condition| condition.equalities());
        for (source, values) in self.members.iter().flat_map(equalities) {
            values.iter().for_each(|value| *wanted.entry((source, value)).or_default() += 1);
        }
        let mut probes: BTreeMap<usize, Buckets> = BTreeMap::new();
        for number in &self.members {
            let worst = |values: &[Box<str>], source| {
                values.iter().map(|value| wanted[&(source, &**value)]).max().unwrap_or(usize::MAX)
            };
            // The dispatch key stands first among a stub's conditions, and the first of equals is taken.
            let best = equalities(number).min_by_key(|(source, values)| worst(values, *source).max(SMALL));
            match best {
                None => self.rest.push(*number),
                Some((source, values)) => {
                    let bucket = probes.entry(source).or_default();
                    values.iter().for_each(|value| bucket.entry(value.clone()).or_default().push(*number));
                }
            }
        }
        self.probes = probes.into_iter().collect();
        self.members = Vec::new();
    }

    fn lists<'i>(&'i self, memo: &mut Memo<'_>, lists: &mut Vec<&'i [u32]>) {
        if !self.rest.is_empty() {
            lists.push(&self.rest);
        }
        for (source, buckets) in &self.probes {
            let found = memo.seen(*source).texts().iter().flatten().filter_map(|text| buckets.get(&**text));
            lists.extend(found.map(Vec::as_slice));
        }
    }
}

/// Ascending lists merged into one.
pub struct Candidates<'i> {
    lists: Vec<&'i [u32]>,
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let next = self.lists.iter().filter_map(|list| list.first()).min().copied()?;
        for list in &mut self.lists {
            if list.first() == Some(&next) {
                *list = &list[1..];
            }
        }
        Some(next)
    }
}
