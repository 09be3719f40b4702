//! All mock partners at one moment: found by the path of a request, replaced as a whole on reload.
use std::{
    collections::{HashMap, hash_map::Entry},
    path::Path,
    sync::Arc,
};

use qiao_mappings::strict::Mistake;
use qiao_vault::Vault;
use serde_json::{Map, Value};

use crate::{
    compile,
    files::{self, PartnerFiles},
    partner::Partner,
    server::protocols,
    sessions::Pack,
    tables::SharedTables,
};

/// The partners and where they listen.
#[derive(Default)]
pub struct Catalogue {
    /// Ascending, from 1; 0 before the first load.
    pub version: u64,
    /// In the order of ids.
    pub partners: Vec<Arc<Partner>>,
    routes: HashMap<Arc<str>, (usize, usize)>,
    ports: HashMap<u16, usize>,
    /// In the order of their names.
    pub packs: Vec<Arc<Pack>>,
    /// What all partners share.
    pub tables: Arc<SharedTables>,
}

impl Catalogue {
    /// Reads and compiles every partner below a folder, each with these constants before its own. What partners of `before`
    /// remember lives on.
    ///
    /// # Errors
    /// Every mistake of every partner, and paths that two listeners share.
    pub fn load(
        folder: &Path,
        vault: &Vault,
        parameters: &Map<String, Value>,
        before: &Self,
    ) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let city = files::city(folder).map_err(|found| mistakes.extend(found)).ok().flatten();
        let tables = SharedTables::of(city, &before.tables);
        let mut catalogue = Self { version: before.version + 1, tables, ..Self::default() };
        for files in files::read(folder)? {
            let places = places(&files);
            let old = before.partner(&files.spec.partner).map(|partner| &**partner);
            match compile::partner(files, vault, &catalogue.tables, old) {
                Ok(mut partner) => {
                    if let Value::Object(own) = &mut partner.parameters {
                        own.extend(parameters.clone());
                    }
                    mistakes.extend(catalogue.add(Arc::new(partner), places));
                }
                Err(found) => mistakes.extend(found),
            }
        }
        match files::packs(folder) {
            // Over partners with mistakes, everything is a mistake.
            Ok(packs) if mistakes.is_empty() => {
                packs.iter().for_each(|pack| mistakes.extend(pack.mistakes(&catalogue)));
                catalogue.packs = packs.into_iter().map(Arc::new).collect();
            }
            Ok(_) => {}
            Err(found) => mistakes.extend(found),
        }
        if mistakes.is_empty() { Ok(catalogue) } else { Err(mistakes) }
    }

    fn add(&mut self, partner: Arc<Partner>, places: Vec<Mistake>) -> Vec<Mistake> {
        let number = self.partners.len();
        let mut taken = Vec::new();
        // Several may listen on one queue: they share its messages.
        let placed = partner.listeners.iter().enumerate().zip(places);
        for ((at, listener), mistake) in placed.filter(|((_, listener), _)| listener.queue.is_none()) {
            let other = match protocols::of(listener) {
                None => match self.routes.get(&listener.path) {
                    None => {
                        self.routes.insert(Arc::clone(&listener.path), (number, at));
                        None
                    }
                    other => other.map(|(other, _)| *other),
                },
                Some((_, port)) => match self.ports.entry(port) {
                    Entry::Occupied(taken) => Some(*taken.get()),
                    Entry::Vacant(free) => {
                        free.insert(number);
                        None
                    }
                },
            };
            if let Some(other) = other {
                let other = self.partners.get(other).map_or(&*partner.id, |other| &*other.id);
                taken.push(mistake.with_remedy(format!(
                    "give it a path or port of its own: this one is taken by `{other}`"
                )));
            }
        }
        self.partners.push(partner);
        taken
    }

    /// What would be a mistake if this partner came in place of the one of its name: places that others have, and packs that no
    /// longer fit. `places` are those of its listeners.
    pub fn mistakes_with(&self, partner: Partner, places: Vec<Mistake>) -> Vec<Mistake> {
        let mut next = Self { tables: Arc::clone(&self.tables), ..Self::default() };
        for other in self.partners.iter().filter(|other| other.id != partner.id) {
            let theirs = other.listeners.iter().map(|_| Mistake::of_file("", "")).collect();
            drop(next.add(Arc::clone(other), theirs));
        }
        let mut mistakes = next.add(Arc::new(partner), places);
        self.packs.iter().for_each(|pack| mistakes.extend(pack.mistakes(&next)));
        mistakes
    }

    pub fn partner(&self, id: &str) -> Option<&Arc<Partner>> {
        self.partners.iter().find(|partner| *partner.id == *id)
    }

    pub fn pack(&self, id: &str) -> Option<&Pack> {
        self.packs.iter().find(|pack| pack.id == id).map(|pack| &**pack)
    }

    /// The listener with the longest path that `path` lies at or below, and the rest of the path.
    pub fn route<'c>(&'c self, path: &'c str) -> Option<Routed<'c>> {
        let mut end = path.len();
        loop {
            if let Some(&(partner, number)) = self.routes.get(&path[..end]) {
                let partner = &self.partners[partner];
                let rest = if end == path.len() { "/" } else { &path[end..] };
                return Some(Routed { partner, number, rest });
            }
            end = path[..end].rfind('/')?;
        }
    }
}

/// The mistake that each listener of a partner would be, where another has its place.
pub fn places(files: &PartnerFiles) -> Vec<Mistake> {
    let place = |n| files.source.mistake(&format!("listen[{n}]"), "another listener has this place");
    (0..files.spec.listen.len()).map(place).collect()
}

/// Where a request belongs.
pub struct Routed<'c> {
    pub partner: &'c Arc<Partner>,
    /// The listener's number within the partner.
    pub number: usize,
    pub rest: &'c str,
}
