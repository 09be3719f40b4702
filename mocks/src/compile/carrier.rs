//! The carriers' gateways from their written form, and the stubs that stand behind those of their partner.
use std::{collections::HashSet, sync::Arc, time::Duration};

use qiao_mappings::strict::did_you_mean;
use qiao_vault::{KeyRef, Vault};
use serde_json::{Value, json};

use super::{
    report::{Place, Report},
    stub::{Around, Written, stub},
};
use crate::{
    answer::Answer,
    files::PartnerFiles,
    matching::Sources,
    partner::Listener,
    server::carrier::{Account, Callback, Dialect, Reports, Settings, check_answer as read, check_stat},
    server::protocols,
    spec::{
        Delay, ListenSpec, StubSpec, When,
        carrier::{AccountSpec, CallbackSpec, CarrierSpec, ReportsSpec},
    },
};

/// Where a service provider listens for SGIP unless its account says otherwise.
const CALLBACK: &str = "127.0.0.1:8101";
/// The longest that a report takes.
const MAX_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);
/// The longest idle time and wait for an answer.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);
const KEPT: u32 = 10_000;
/// Connections of an account at once.
const CONNECTIONS: u32 = 4;

/// A listener's gateway; none where it is no carrier's, and none at all where it could not be compiled.
#[allow(clippy::option_option, reason = "declared and compiled are two questions")]
pub fn settings(
    listen: &ListenSpec,
    vault: &Vault,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<Option<Arc<Settings>>> {
    let name = listen.proto.name();
    let Some(dialect) = protocols::dialect(listen.proto) else {
        if listen.carrier.is_some() {
            report.add(&place.at("carrier"), format!("`{name}` is no carrier's gateway"));
        }
        return Some(None);
    };
    let Some(spec) = &listen.carrier else {
        report.add(place, format!("`{name}` needs `carrier`, the gateway's number and accounts"));
        return None;
    };
    let misplaced = [
        ("request", listen.request.is_some()),
        ("answer", listen.answer.is_some()),
        ("tls", listen.tls.is_some()),
    ];
    for (key, _) in misplaced.into_iter().filter(|(_, given)| *given) {
        report.add(&place.at(key), format!("`{name}` has its own layout over plain TCP, no `{key}`"));
    }
    compile(spec, dialect, vault, &place.at("carrier"), report).map(|settings| Some(Arc::new(settings)))
}

fn compile(
    spec: &CarrierSpec,
    dialect: &'static dyn Dialect,
    vault: &Vault,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<Settings> {
    let before = report.found.len();
    if spec.gateway > dialect.largest_gateway() {
        report.add(&place.at("gateway"), format!("at most {}", dialect.largest_gateway()));
    }
    let versions = versions(spec, dialect, place, report);
    if spec.accounts.is_empty() {
        report.add(&place.at("accounts"), "a gateway needs an account");
    }
    let mut ids = HashSet::new();
    let mut accounts = Vec::new();
    for (number, account) in spec.accounts.iter().enumerate() {
        let place = place.nth("accounts", number);
        if !ids.insert(&account.id) {
            report.add(&place.at("id"), format!("there is another account `{}`", account.id));
        }
        accounts.extend(self::account(account, dialect, vault, &place, report).map(Arc::new));
    }
    let mut wait = |key: &str, given: Option<qiao_mappings::units::Duration>, usual: u64| {
        let wait = given.map_or(Duration::from_secs(usual), |wait| wait.0);
        if wait.is_zero() || wait > MAX_WAIT {
            report.add(&place.at(key), "above 0 and at most 24h");
        }
        wait
    };
    let idle = wait("idle", spec.idle, if dialect.tests_links() { 180 } else { 60 });
    let answer = wait("answer", spec.answer, 60);
    let clock_skew = spec.clock_skew.map(|skew| wait("clockSkew", Some(skew), 0));
    let none = ReportsSpec::default();
    let reports = reports(spec.reports.as_ref().unwrap_or(&none), &place.at("reports"), report);
    let settings = Settings {
        dialect,
        gateway: spec.gateway,
        versions,
        accounts,
        idle,
        answer,
        tries: spec.tries.unwrap_or(3).max(1),
        clock_skew,
        overrun: spec.overrun.unwrap_or_default(),
        kept: usize::try_from(spec.kept.unwrap_or(KEPT)).unwrap_or(1),
        reports,
    };
    (report.found.len() == before).then_some(settings)
}

fn versions(spec: &CarrierSpec, dialect: &dyn Dialect, place: &Place<'_>, report: &mut Report) -> Vec<u8> {
    let known = dialect.versions();
    let mut spoken: Vec<u8> = Vec::new();
    for (number, name) in spec.versions.iter().enumerate() {
        match known.iter().find(|(known, _)| known == name) {
            Some((_, byte)) => spoken.push(*byte),
            None => {
                let remedy = did_you_mean(name, known.iter().map(|(name, _)| *name));
                let message = format!("`{}` has no version `{name}`", dialect.proto().name());
                report.add_with_remedy(&place.nth("versions", number), message, remedy);
            }
        }
    }
    if spec.versions.is_empty() {
        spoken.extend(known.iter().map(|(_, byte)| *byte));
    }
    spoken.sort_unstable();
    spoken
}

fn account(
    spec: &AccountSpec,
    dialect: &dyn Dialect,
    vault: &Vault,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<Account> {
    if spec.id.len() > dialect.account_length() {
        let message =
            format!("`{}` has room for {} characters", dialect.proto().name(), dialect.account_length());
        report.add(&place.at("id"), message);
    }
    let secret = key(&spec.secret, &place.at("secret"), report);
    let calls_back = dialect.calls_back();
    if spec.callback.is_some() && !calls_back {
        let message = format!("`{}` delivers over the account's own connection", dialect.proto().name());
        report.add(&place.at("callback"), message);
    }
    let usual = CallbackSpec::default();
    let callback = spec.callback.as_ref().or(calls_back.then_some(&usual)).map(|callback| {
        let place = place.at("callback");
        let own = callback.secret.as_ref().map(|secret| key(secret, &place.at("secret"), report));
        let secret = own.unwrap_or_else(|| spec.secret.parse().ok());
        Some(Callback {
            address: callback.address.clone().unwrap_or_else(|| CALLBACK.into()),
            name: callback.name.clone().unwrap_or_else(|| spec.id.clone()),
            secret: vault.key(&secret?),
        })
    });
    Some(Account {
        id: spec.id.as_str().into(),
        secret: vault.key(&secret?),
        numbers: spec.numbers.clone(),
        window: spec.window.unwrap_or_else(|| dialect.window()).clamp(1, 1000),
        connections: usize::try_from(spec.connections.unwrap_or(CONNECTIONS)).unwrap_or(1),
        session: spec.session.as_deref().unwrap_or_default().into(),
        callback: match callback {
            None => None,
            Some(compiled) => Some(compiled?),
        },
    })
}

fn key(reference: &str, place: &Place<'_>, report: &mut Report) -> Option<KeyRef> {
    report.keep(place, reference.parse())
}

fn reports(spec: &ReportsSpec, place: &Place<'_>, report: &mut Report) -> Reports {
    let second = qiao_mappings::units::Duration(Duration::from_secs(1));
    let usual = Delay { fixed: Some(second), ..Delay::default() };
    let after = match spec.after.unwrap_or(usual) {
        Delay { fixed: Some(fixed), from: None, to: None, median: None, sigma: None } => (fixed.0, fixed.0),
        Delay { fixed: None, from: Some(from), to: Some(to), median: None, sigma: None } if from <= to => {
            (from.0, to.0)
        }
        _ => {
            report.add(&place.at("after"), "write `fixed`, or `from` and a larger `to`");
            (Duration::ZERO, Duration::ZERO)
        }
    };
    if after.1 > MAX_AFTER {
        report.add(&place.at("after"), "at most 30d");
    }
    for stat in spec.mix.keys() {
        report.keep(&place.member("mix", stat), check_stat(stat));
    }
    if !spec.mix.is_empty() && spec.mix.values().all(|share| *share == 0) {
        report.add(&place.at("mix"), "one share at least is above 0");
    }
    let mut share = |key: &str, given: Option<f64>| {
        let share = given.unwrap_or(0.0);
        if !(0.0..=1.0).contains(&share) {
            report.add(&place.at(key), "from 0 to 1");
        }
        share
    };
    Reports {
        after,
        mix: spec.mix.iter().map(|(stat, share)| (stat.clone(), *share)).collect(),
        duplicate: share("duplicate", spec.duplicate),
        early: share("early", spec.early),
        never: share("never", spec.never),
    }
}

/// What a gateway does where its partner has no stub for it, by id, path and answer. Dials are laid over them by these ids.
const BUILT_IN: [(&str, &str, &str); 5] = [
    ("carrier-login", "/login", r#"{"result": "${request.status}"}"#),
    ("carrier-test", "/test", "{}"),
    ("carrier-refused", "/refused", r#"{"result": "${request.refused}"}"#),
    ("carrier-deliver", "/deliver", "{}"),
    ("carrier-callback", "/callback", "{}"),
];

/// The stubs of a gateway itself, behind those of its partner; none where it has no gateway.
pub fn built_in<'s>(
    files: &'s PartnerFiles,
    around: &Around<'_>,
    sources: &mut Sources,
    report: &mut Report,
) -> Vec<Written<'s>> {
    let place = Place::root(&files.source).at("listen");
    let written = files.more.iter().flat_map(|(_, file)| &file.stubs).chain(&files.spec.stubs);
    let ids: HashSet<&str> = written.map(|stub| stub.id.as_str()).collect();
    let mut stubs = Vec::new();
    if !around.listeners.iter().any(|listener| listener.carrier.is_some()) {
        return stubs;
    }
    for (id, path, answer) in BUILT_IN {
        if ids.contains(id) {
            report
                .add(&place, format!("a stub of this partner has the id `{id}`, which is the gateway's own"));
        }
        let answer: Value = serde_json::from_str(answer).unwrap_or_default();
        let spec = json!({"id": id, "when": {"path": path}, "respond": {"json": answer}});
        let Some(spec) = report.keep(&place, serde_json::from_value::<StubSpec>(spec)) else { continue };
        if let Some(stub) = stub(&spec, around, &place, sources, report) {
            stubs.push(Written { stub, place: place.clone(), priority: 0, number: usize::MAX });
        }
    }
    stubs
}

/// On a carrier's listener a stub without a path is for messages.
pub fn messages_only(when: Option<&When>) -> Option<When> {
    let mut when = when.cloned().unwrap_or_default();
    when.path.get_or_insert_with(|| "/submit".to_owned());
    Some(when)
}

/// Reads an answer that is the same for every request as the gateway will.
///
/// # Errors
/// What is none of a gateway's answers.
pub fn check_answer(answer: &Answer, number: usize, listener: &Listener) -> Result<(), String> {
    let ready = answer.ready.get(number).and_then(Option::as_ref);
    match (&listener.carrier, ready) {
        (Some(_), Some(ready)) if answer.status < 400 => read(ready)
            .map(drop)
            .map_err(|problem| format!("a gateway's answer is a `result` and a `report`: {problem}")),
        _ => Ok(()),
    }
}

/// The secrets that a listener's accounts name, as they are written.
pub fn secrets(listen: &ListenSpec) -> impl Iterator<Item = KeyRef> {
    let accounts = listen.carrier.iter().flat_map(|carrier| &carrier.accounts);
    let named = accounts.flat_map(|account| {
        let callback = account.callback.as_ref().and_then(|callback| callback.secret.as_ref());
        std::iter::once(&account.secret).chain(callback)
    });
    named.filter_map(|reference| reference.parse().ok())
}
