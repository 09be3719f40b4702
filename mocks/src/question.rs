//! Which journaled requests are meant, compiled: the conditions of stubs, asked of the journal.
use bytes::Bytes;
use http::{HeaderMap, Method};

use crate::{
    catalogue::Catalogue,
    compile::{
        criteria,
        report::{Place, Report},
    },
    facts::{Facts, Incoming},
    forms::Documents,
    journal::{Entry, Verdict},
    matching::{Conditions, Memo, Sources, explain},
    partner::Partner,
    spec::{Criterion, Meant, When},
};

/// A compiled [`Meant`].
pub struct Question {
    meant: Meant,
    conditions: Conditions,
    sources: Sources,
}

impl Question {
    /// Compiles it, or reports all its mistakes.
    pub fn compile(meant: &Meant, place: &Place<'_>, report: &mut Report) -> Self {
        for (key, list) in [("all", &meant.all), ("any", &meant.any), ("not", &meant.not)] {
            for (number, criterion) in list.iter().enumerate() {
                refuse(criterion, &place.nth(key, number), report);
            }
        }
        let when = When {
            method: meant.method.clone(),
            path: meant.path.clone(),
            all: meant.all.clone(),
            any: meant.any.clone(),
            not: meant.not.clone(),
            ..When::default()
        };
        let mut sources = Sources::default();
        let conditions = criteria::of_when(&when, place, &mut sources, report);
        Self { meant: meant.clone(), conditions, sources }
    }

    /// One condition alone.
    pub fn of_criterion(criterion: &Criterion, place: &Place<'_>, report: &mut Report) -> Self {
        refuse(criterion, place, report);
        let when = When { all: vec![criterion.clone()], ..When::default() };
        let mut sources = Sources::default();
        let conditions = criteria::of_when(&when, place, &mut sources, report);
        Self { meant: Meant::default(), conditions, sources }
    }

    /// Whether an entry is meant.
    pub fn fits(&self, entry: &Entry<'_>, catalogue: &Catalogue) -> bool {
        self.plain(entry, catalogue).iter().all(|verdict| verdict.ok)
            && self.conditions_hold(entry, catalogue)
    }

    fn conditions_hold(&self, entry: &Entry<'_>, catalogue: &Catalogue) -> bool {
        let nothing = &self.conditions;
        if nothing.all.is_empty()
            && nothing.any.is_empty()
            && nothing.not.is_empty()
            && nothing.path.is_none()
        {
            return nothing.method.as_ref().is_none_or(|method| method.as_str() == entry.method);
        }
        self.with_memo(entry, catalogue, |memo| {
            let path = self.conditions.path.as_ref().is_none_or(|path| path.fits(memo.facts().segments()));
            path && self.conditions.hold(memo, None)
        })
        .unwrap_or(false)
    }

    /// Every part with what the entry holds.
    pub fn verdicts(&self, entry: &Entry<'_>, catalogue: &Catalogue) -> Vec<Verdict> {
        let mut verdicts = self.plain(entry, catalogue);
        let conditions =
            self.with_memo(entry, catalogue, |memo| explain::conditions_verdicts(&self.conditions, memo));
        verdicts.extend(conditions.unwrap_or_else(|| {
            let wanted = "a partner that is still there".to_owned();
            vec![Verdict {
                criterion: "partner".into(),
                wanted,
                seen: Some(entry.partner.to_string()),
                ok: false,
            }]
        }));
        verdicts
    }

    /// What needs no conditions. Item and key are read from the body where the journal does not tell them: they were not
    /// needed to answer.
    fn plain(&self, entry: &Entry<'_>, catalogue: &Catalogue) -> Vec<Verdict> {
        let meant = &self.meant;
        let known =
            |wanted: &Option<String>, told: Option<&str>, look: &dyn Fn(&Facts<'_>) -> Option<String>| {
                told.map(str::to_owned).or_else(|| {
                    wanted.as_ref()?;
                    self.with_memo(entry, catalogue, |memo| look(memo.facts()))?
                })
            };
        let item = known(&meant.item, entry.item, &|facts| facts.item().map(str::to_owned));
        let key = known(&meant.key, entry.key, &|facts| facts.key());
        let texts: [(&str, &Option<String>, Option<&str>); 6] = [
            ("partner", &meant.partner, Some(entry.partner)),
            ("listener", &meant.listener, Some(entry.listener)),
            ("stub", &meant.stub, entry.stub_id()),
            ("item", &meant.item, item.as_deref()),
            ("key", &meant.key, key.as_deref()),
            ("trace", &meant.trace, entry.trace()),
        ];
        let text = |(name, wanted, seen): (&str, &Option<String>, Option<&str>)| {
            let wanted = wanted.as_deref()?;
            Some(Verdict {
                criterion: name.to_owned(),
                wanted: format!("equals {wanted}"),
                seen: seen.map(str::to_owned),
                ok: seen == Some(wanted),
            })
        };
        let mut verdicts: Vec<Verdict> = texts.into_iter().filter_map(text).collect();
        let mut add = |name: &str, wanted: Option<String>, seen: String| {
            verdicts.extend(wanted.map(|wanted| Verdict {
                criterion: name.to_owned(),
                ok: wanted == seen,
                wanted: format!("equals {wanted}"),
                seen: Some(seen),
            }));
        };
        add("miss", meant.miss.map(|miss| miss.to_string()), entry.stub.is_none().to_string());
        add("status", meant.status.map(|status| status.to_string()), entry.status.to_string());
        verdicts
    }

    /// The entry seen as the request it was; none where its partner is gone.
    fn with_memo<T>(
        &self,
        entry: &Entry<'_>,
        catalogue: &Catalogue,
        look: impl FnOnce(&mut Memo<'_>) -> T,
    ) -> Option<T> {
        let partner = catalogue.partner(entry.partner)?;
        let incoming = incoming(entry);
        let facts = facts(entry, &incoming, partner)?;
        let mut memo = Memo::new(&facts, &self.sources);
        Some(look(&mut memo))
    }
}

/// The request that an entry tells of, as far as the journal keeps it.
pub fn incoming(entry: &Entry<'_>) -> Incoming {
    Incoming {
        method: Method::from_bytes(entry.method.as_bytes()).unwrap_or_default(),
        path: entry.path.to_owned(),
        query: None,
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(entry.request.bytes),
        session: entry.session.into(),
    }
}

/// Its facts; what was opened once is not opened again. None where its listener is gone.
pub fn facts<'f>(entry: &Entry<'_>, incoming: &'f Incoming, partner: &'f Partner) -> Option<Facts<'f>> {
    let listener = partner.listeners.iter().find(|listener| *listener.id == *entry.listener)?;
    let facts = Facts::new(incoming, partner, listener);
    if let (Some(plain), None) = (&entry.plain, &listener.contract) {
        let wire = listener.request.wire.decode(entry.request.bytes).map(|decoded| decoded.document);
        let plain = serde_json::from_slice(plain.bytes).unwrap_or_default();
        facts.know(Documents {
            wire: wire.unwrap_or_default(),
            plain: Some(plain),
            problem: "".into(),
            call: None,
        });
    }
    Some(facts)
}

fn refuse(criterion: &Criterion, place: &Place<'_>, report: &mut Report) {
    if criterion.header.is_some() || criterion.query.is_some() {
        report.add(
            place,
            "the journal keeps neither headers nor queries; look at the body, the path or the item",
        );
    }
}
