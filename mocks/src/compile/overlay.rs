//! What sessions and packs lay over partners, from its written form.
use std::{collections::HashMap, sync::Arc, time::Instant};

use indexmap::IndexSet;
use qiao_mappings::strict::{Mistake, did_you_mean};

use super::{
    report::{Place, Report},
    stub::{self, Around},
};
use crate::{
    catalogue::Catalogue,
    faults::LiveDial,
    files,
    matching::{Index, Sources},
    overlay::Overlay,
    partner::Partner,
    sessions::{Overlays, Part},
    spec::{Dial, StubSpec},
};

/// Stubs that a session lays over all partners together, at most.
const MAX_STUBS: usize = 5_000;

/// Compiles overlays over their partners, the parts' stubs in this order. What can be compiled is given beside the mistakes.
pub fn all(parts: &[Part<'_>], catalogue: &Catalogue) -> (Overlays, Vec<Mistake>) {
    let (mut overlays, mut report) = (HashMap::new(), Report::default());
    let partners: IndexSet<&String> = parts.iter().flat_map(|part| part.partners.keys()).collect();
    let stubs =
        parts.iter().flat_map(|part| part.partners.values()).map(|over| over.stubs.len()).sum::<usize>();
    if let (Some(part), true) = (parts.first(), stubs > MAX_STUBS) {
        report.add(&Place::root(part.source), format!("a session has at most {MAX_STUBS} stubs"));
        return (overlays, report.found);
    }
    for id in partners {
        match catalogue.partner(id) {
            Some(partner) => {
                if let Some(overlay) = overlay(partner, parts, &mut report) {
                    overlays.insert(Arc::clone(&partner.id), Arc::new(overlay));
                }
            }
            None => {
                let known = || catalogue.partners.iter().map(|partner| &*partner.id);
                for part in parts.iter().filter(|part| part.partners.contains_key(id)) {
                    let place = Place::root(part.source).member("partners", id);
                    let remedy = did_you_mean(id, known().collect::<Vec<_>>());
                    report.add_with_remedy(&place, format!("there is no mock partner `{id}`"), remedy);
                }
            }
        }
    }
    let mut found = report.found;
    found.sort();
    found.dedup();
    (overlays, found)
}

fn overlay(partner: &Partner, parts: &[Part<'_>], report: &mut Report) -> Option<Overlay> {
    let before = report.found.len();
    let body = |name: &str| {
        let folder = parts.iter().find_map(|part| part.folder);
        folder.map_or_else(
            || Err("only packs have files; write the answer itself".to_owned()),
            |folder| files::below(folder, name),
        )
    };
    let around = Around {
        partner: &partner.id,
        listeners: &partner.listeners,
        tables: &partner.shared,
        targets: &partner.targets,
        plans: &partner.plans,
        body: &body,
    };
    let mut specs: Vec<(Place<'_>, &StubSpec)> = Vec::new();
    let mut dials: Vec<(Place<'_>, &Dial)> = Vec::new();
    for part in parts {
        let Some(over) = part.partners.get(&*partner.id) else { continue };
        let place = Place::root(part.source).member("partners", &partner.id);
        specs.extend(over.stubs.iter().enumerate().map(|(number, spec)| (place.nth("stubs", number), spec)));
        dials.extend(over.dials.iter().enumerate().map(|(number, dial)| (place.nth("dials", number), dial)));
    }
    let mut sources = Sources::default();
    let mut stubs = stub::list(specs.into_iter(), &around, &mut sources, report);
    stub::order(&mut stubs);
    let declared = dials.into_iter().filter_map(|(place, dial)| {
        let ttl = dial.ttl.map(|ttl| ttl.0);
        let compiled = LiveDial::compile(dial, &partner.id, ttl, Instant::now());
        report.keep_all(&place, compiled).map(Arc::new)
    });
    let declared: Vec<Arc<LiveDial>> = declared.collect();
    if report.found.len() > before {
        return None;
    }
    let places: HashMap<Arc<str>, Place<'_>> =
        stubs.iter().map(|written| (Arc::clone(&written.stub.id), written.place.clone())).collect();
    let mut stubs: Vec<_> = stubs.into_iter().map(|written| written.stub).collect();
    let mut indexes = Vec::new();
    for (number, listener) in partner.listeners.iter().enumerate() {
        for stub in stubs.iter_mut().filter(|stub| stub.listener.is_none_or(|only| only == number)) {
            if let Err(message) = stub.answer.prepare(number, listener)
                && let Some(place) = places.get(&stub.id)
            {
                report.add(&place.at("respond"), message);
            }
        }
        let here = (0_u32..).zip(&stubs).filter(|(_, stub)| stub.listener.is_none_or(|only| only == number));
        indexes.push(Index::build(here.map(|(at, stub)| (at, &stub.conditions))));
    }
    let uses_tables = stubs.iter().any(|stub| stub.uses_tables);
    Some(Overlay { stubs, sources, indexes, declared, uses_tables, ..Overlay::default() })
}
