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

/// A stub that may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub stub: u32,
    /// The number among its `all` of the condition that holds already, since it was found by it.
    pub proven: Option<u16>,
}

/// Those that want one value; mostly it is a single one, which then needs no memory of its own.
#[derive(Debug)]
enum Bucket {
    One(Candidate),
    Many(Vec<Candidate>),
}

impl Bucket {
    fn push(&mut self, candidate: Candidate) {
        match self {
            Self::One(first) => *self = Self::Many(vec![*first, candidate]),
            Self::Many(list) => list.push(candidate),
        }
    }

    fn list(&self) -> &[Candidate] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(list) => list,
        }
    }
}

/// Stubs by the value they want.
type Buckets = HashMap<Box<str>, Bucket>;

#[derive(Debug, Default)]
struct Group {
    members: Vec<u32>,
    /// By place.
    probes: Vec<(usize, Buckets)>,
    /// Stubs that want no value anywhere.
    rest: Vec<Candidate>,
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
        let equalities = |number: &u32| {
            let all = stubs[number].all.iter().zip(0_u16..);
            all.filter_map(|(condition, place)| Some((condition.equalities()?, place)))
        };
        for ((source, values), _) in self.members.iter().flat_map(equalities) {
            values.iter().for_each(|value| *wanted.entry((source, value)).or_default() += 1);
        }
        let mut probes: BTreeMap<usize, Buckets> = BTreeMap::new();
        for number in &self.members {
            let worst = |values: &[Box<str>], source| {
                values.iter().map(|value| wanted[&(source, &**value)]).max().unwrap_or(usize::MAX)
            };
            // The dispatch key stands first among a stub's conditions, and the first of equals is taken.
            let best =
                equalities(number).min_by_key(|((source, values), _)| worst(values, *source).max(SMALL));
            match best {
                None => self.rest.push(Candidate { stub: *number, proven: None }),
                Some(((source, values), place)) => {
                    let buckets = probes.entry(source).or_default();
                    let candidate = Candidate { stub: *number, proven: Some(place) };
                    for value in values {
                        let bucket = buckets.entry(value.clone());
                        bucket.and_modify(|bucket| bucket.push(candidate)).or_insert(Bucket::One(candidate));
                    }
                }
            }
        }
        self.probes = probes.into_iter().collect();
        self.members = Vec::new();
    }

    fn lists<'i>(&'i self, memo: &mut Memo<'_>, lists: &mut Vec<&'i [Candidate]>) {
        if !self.rest.is_empty() {
            lists.push(&self.rest);
        }
        for (source, buckets) in &self.probes {
            let found = memo.seen(*source).texts().iter().flatten().filter_map(|text| buckets.get(&**text));
            lists.extend(found.map(Bucket::list));
        }
    }
}

/// Ascending lists merged into one.
pub struct Candidates<'i> {
    lists: Vec<&'i [Candidate]>,
}

impl Iterator for Candidates<'_> {
    type Item = Candidate;

    fn next(&mut self) -> Option<Candidate> {
        let next = self.lists.iter().filter_map(|list| list.first()).min_by_key(|next| next.stub).copied()?;
        for list in &mut self.lists {
            if list.first().is_some_and(|first| first.stub == next.stub) {
                *list = &list[1..];
            }
        }
        Some(next)
    }
}
