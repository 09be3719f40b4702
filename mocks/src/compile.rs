//! From a partner's files to the compiled partner, or to all their mistakes at once.
pub mod carrier;
mod contract;
pub mod criteria;
pub mod forms;
pub mod lint;
pub mod overlay;
pub mod report;
pub mod rows;
pub mod stub;

use std::{collections::HashSet, sync::Arc, time::Duration, time::Instant};

use qiao_mappings::strict::{Mistake, did_you_mean};
use qiao_vault::Vault;
use serde_json::{Map, Value};

use crate::{
    faults::LiveDial,
    files::PartnerFiles,
    matching::{Index, Sources},
    partner::{FallbackAnswer, Listener, Partner, Runtime, Stub},
    pushes::compile as pushes,
    server::{protocols, tls::TlsForm},
    sftp::SftpForm,
    spec::{FaultSpec, ListenSpec, PartnerSpec, Proto},
    state::StateTable,
    tables::SharedTables,
    tcp::TcpForm,
};
use report::{MATCHING, Place, Report};

/// Stubs of one partner at most.
pub const MAX_STUBS: usize = 100_000;
const DEFAULT_TTL: Duration = Duration::from_secs(2 * 3600);
const DEFAULT_KEYS: u32 = 100_000;
const DEFAULT_BODY: u64 = 1 << 20;
/// Bytes of a message at most.
pub const MAX_BODY: usize = 16 << 20;

/// Compiles one partner. `before` is the version it replaces, whose state, dials and counts live on.
///
/// # Errors
/// Every mistake in its files.
pub fn partner(
    files: PartnerFiles,
    vault: &Vault,
    shared: &Arc<SharedTables>,
    before: Option<&Partner>,
) -> Result<Partner, Vec<Mistake>> {
    let mut report = Report::default();
    let place = Place::root(&files.source);
    let spec = &files.spec;
    if spec.partner != files.folder {
        let message = format!("the folder is named `{}`, and so must be the partner", files.folder);
        report.add(&place.at("partner"), message);
    }
    let sealers = forms::envelopes(&spec.envelopes, vault, &place, &mut report);
    let mut sources = Sources::default();
    let listeners = listeners(&files, vault, &sealers, &place, &mut report);
    let caller = spec.caller.as_ref().map(|text| report.selector(&place.at("caller"), text, MATCHING));
    let instance = spec.instance.as_ref();
    let key = instance.and_then(|rule| report.selector(&place.at("instance.key"), &rule.key, MATCHING));
    let carriers: Vec<&str> = spec
        .listen
        .iter()
        .filter(|listen| listen.proto.is_carrier())
        .map(|listen| listen.id.as_str())
        .collect();
    let targets = pushes::targets(&spec.pushes, &sealers, &carriers, &place, &mut report);
    let plans = pushes::plans(&spec.plans, &targets, &place, &mut report);
    let around = stub::Around {
        partner: &spec.partner,
        listeners: &listeners,
        tables: shared,
        targets: &targets,
        plans: &plans,
        body: &|name| files.body(name),
    };
    let mut stubs = stub::all(&files, &around, &mut sources, &mut report);
    stubs.extend(carrier::built_in(&files, &around, &mut sources, &mut report));
    let fallback = spec.fallback.as_ref().and_then(|fallback| {
        let place = place.at("fallback");
        let answer = stub::answer(&fallback.respond, around.body, None, &place.at("respond"), &mut report)?;
        let delay =
            fallback.delay.as_ref().and_then(|delay| stub::wait(delay, &place.at("delay"), &mut report));
        Some(FallbackAnswer { answer, delay })
    });
    let dials = dials(spec, &stubs, &place, &mut report);
    if !report.found.is_empty() {
        return Err(sorted(report));
    }
    let max = instance.and_then(|rule| rule.max).unwrap_or(DEFAULT_KEYS) as usize;
    let ttl = instance.and_then(|rule| rule.ttl).map_or(DEFAULT_TTL, |ttl| ttl.0);
    let runtime = before.map(|before| Arc::clone(&before.runtime));
    let runtime = runtime.unwrap_or_else(|| Arc::new(Runtime::new(StateTable::new(max, ttl))));
    stub::order(&mut stubs);
    let uses_tables = stubs.iter().any(|written| written.stub.uses_tables);
    let mut partner = Partner {
        id: spec.partner.as_str().into(),
        title: spec.title.clone(),
        seed: spec.seed.unwrap_or(0),
        parameters: Value::Object(spec.parameters.clone().into_iter().collect::<Map<_, _>>()),
        listeners,
        stubs: stubs.into_iter().map(|written| written.stub).collect(),
        sources,
        caller: caller.flatten(),
        instance: key,
        dials_need_instance: dials.iter().any(LiveDial::needs_instance),
        dials,
        fault_header: spec.fault_header,
        fallback,
        uses_tables,
        origin: files.origin(),
        tables: Arc::new(files.tables),
        plans,
        targets,
        shared: Arc::clone(shared),
        runtime,
        bounds: (max, ttl),
    };
    contract::add_skeletons(&mut partner);
    prepare(&mut partner).map_err(|(path, message)| vec![place.at(&path).mistake(message)])?;
    if let Some(before) = before {
        partner.inherit(before);
    }
    Ok(partner)
}

fn sorted(report: Report) -> Vec<Mistake> {
    let mut found = report.found;
    found.sort();
    found.dedup();
    found
}

/// Indexes stubs per listener and encodes constant answers.
fn prepare(partner: &mut Partner) -> Result<(), (String, String)> {
    for number in 0..partner.listeners.len() {
        let here = |stub: &&Stub| stub.listener.is_none_or(|listener| listener == number);
        let numbered = (0_u32..).zip(&partner.stubs).filter(|(_, stub)| here(stub));
        let index = Index::build(numbered.map(|(at, stub)| (at, &stub.conditions)));
        let listener = &partner.listeners[number];
        for stub in partner.stubs.iter_mut().filter(|stub| stub.listener.is_none_or(|only| only == number)) {
            let id = Arc::clone(&stub.id);
            stub.answer
                .prepare(number, listener)
                .and_then(|()| carrier::check_answer(&stub.answer, number, listener))
                .map_err(|message| ("stubs".into(), format!("{id}: {message}")))?;
        }
        if let Some(fallback) = &mut partner.fallback {
            fallback
                .answer
                .prepare(number, listener)
                .map_err(|message| ("fallback.respond".to_owned(), message))?;
        }
        partner.listeners[number].index = index;
    }
    Ok(())
}

fn listeners(
    files: &PartnerFiles,
    vault: &Vault,
    sealers: &forms::Sealers,
    place: &Place<'_>,
    report: &mut Report,
) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    let mut ids = HashSet::new();
    for (number, listen) in files.spec.listen.iter().enumerate() {
        let place = place.nth("listen", number);
        if !ids.insert(&listen.id) {
            report.add(&place.at("id"), format!("there is another listener `{}`", listen.id));
        }
        listeners.extend(listener(files, listen, vault, sealers, &place, report));
    }
    listeners
}

fn listener(
    files: &PartnerFiles,
    listen: &ListenSpec,
    vault: &Vault,
    sealers: &forms::Sealers,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<Listener> {
    let contract = contract::read(files, listen, place, report);
    let paths = forms::paths(listen, sealers, contract.as_ref(), place, report);
    check_address(listen, place, report);
    let soap = listen.proto == Proto::Soap;
    let (select_place, select) = match (&listen.select, &files.spec.select) {
        (Some(own), _) => (place.at("select"), Some(own.as_str())),
        (None, Some(common)) => (place.at(""), Some(common.as_str())),
        (None, None) => (place.at(""), soap.then_some("$.operation")),
    };
    // The dispatch key cannot be made of itself.
    let known: Vec<&str> = MATCHING.iter().copied().filter(|name| *name != "item").collect();
    let select = select.map(|text| report.selector(&select_place, text, &known));
    let body = listen.body_bytes.map_or(DEFAULT_BODY, |bytes| bytes.0);
    let body = usize::try_from(body).unwrap_or(usize::MAX);
    if body > MAX_BODY {
        report.add(&place.at("bodyBytes"), "at most 16MiB");
    }
    let tcp = (listen.proto == Proto::Tcp).then(|| {
        let spec = listen.tcp.clone().unwrap_or_default();
        let form = TcpForm::compile(&spec, body.min(MAX_BODY), listen.body_bytes.is_some());
        report.keep_all(&place.at("tcp"), form).map(Arc::new)
    });
    let http = listen.proto.is_http();
    let tls = listen.tls.as_ref().map(|tls| {
        report.keep_all(&place.at("tls"), TlsForm::compile(tls, files, vault, http)).map(Arc::new)
    });
    let sftp = listen
        .sftp
        .as_ref()
        .map(|sftp| report.keep_all(&place.at("sftp"), SftpForm::compile(sftp, vault)).map(Arc::new));
    let queue = listen.amqp.clone().map(Arc::new);
    let carrier = carrier::settings(listen, vault, place, report);
    let (request, answer) = paths?;
    Some(Listener {
        id: listen.id.as_str().into(),
        proto: listen.proto,
        path: listen.path.as_deref().unwrap_or_default().into(),
        port: listen.port,
        carrier: carrier?,
        soap,
        contract,
        select: match select {
            Some(compiled) => Some(compiled?),
            None => None,
        },
        request,
        answer,
        body_bytes: body,
        sftp: match sftp {
            Some(compiled) => Some(compiled?),
            None => None,
        },
        tls: match tls {
            Some(compiled) => Some(compiled?),
            None => None,
        },
        tcp: match tcp {
            Some(compiled) => Some(compiled?),
            None => None,
        },
        queue,
        index: Index::build(std::iter::empty()),
    })
}

/// HTTP and SOAP have a path or a port, the others a port.
fn check_address(listen: &ListenSpec, place: &Place<'_>, report: &mut Report) {
    let name = listen.proto.name();
    if listen.tcp.is_some() && listen.proto != Proto::Tcp {
        report.add(&place.at("tcp"), format!("`{name}` has no `tcp`"));
    }
    if listen.sftp.is_some() != (listen.proto == Proto::Sftp) {
        report.add(&place.at("sftp"), "`proto: sftp` and `sftp` go together");
    }
    check_queue(listen, place, report);
    if listen.tls.is_some() && !listen.proto.is_http() && listen.proto != Proto::Tcp {
        report.add(&place.at("tls"), format!("`{name}` has no `tls`"));
    }
    if listen.proto.is_http() {
        if listen.path.is_none() && listen.port.is_none() {
            report.add(
                place,
                format!("`{name}` needs `path`, its place on the mock port, or a `port` of its own"),
            );
        }
        if listen.tls.is_some() && listen.port.is_none() {
            report.add(&place.at("tls"), "TLS needs a `port` of its own: the mock port is plain");
        }
        return;
    }
    if listen.path.is_some() {
        report.add(&place.at("path"), format!("`{name}` has a `port` of its own, no path"));
    }
    if protocols::find(listen.proto).is_none() && listen.proto != Proto::Amqp {
        report.add(&place.at("proto"), format!("mock partners do not speak `{name}`"));
    }
}

/// A queue belongs to the broker of the settings: it has neither path nor port.
fn check_queue(listen: &ListenSpec, place: &Place<'_>, report: &mut Report) {
    if listen.amqp.is_some() != (listen.proto == Proto::Amqp) {
        report.add(&place.at("amqp"), "`proto: amqp` and `amqp` go together");
    }
    let Some(queue) = &listen.amqp else { return };
    if listen.port.is_some() {
        report.add(&place.at("port"), "`amqp` has no port of its own: the settings name the broker");
    }
    if queue.queue.is_empty() || queue.queue.len() > 255 {
        report.add(&place.at("amqp.queue"), "a queue's name has 1 to 255 bytes");
    }
    if queue.prefetch.is_some_and(|prefetch| !(1..=256).contains(&prefetch)) {
        report.add(&place.at("amqp.prefetch"), "1 to 256");
    }
}

/// Refuses a fault that none of the protocols can have.
pub fn refuse_impossible(
    fault: &FaultSpec,
    mut protocols: impl Iterator<Item = Proto> + Clone,
    place: &Place<'_>,
    report: &mut Report,
) {
    let names: Vec<&str> = protocols.clone().map(Proto::name).collect();
    if fault.json.is_none() && !names.is_empty() && !protocols.any(|proto| fault.kind.is_of(proto)) {
        report.add(place, format!("`{}` cannot occur on {}", fault.kind.name(), names.join(", ")));
    }
}

fn dials(
    spec: &PartnerSpec,
    stubs: &[stub::Written<'_>],
    place: &Place<'_>,
    report: &mut Report,
) -> Vec<LiveDial> {
    let mut ids = HashSet::new();
    let mut dials = Vec::new();
    for (number, dial) in spec.dials.iter().enumerate() {
        let place = place.nth("dials", number);
        if !ids.insert(&dial.id) {
            report.add(&place.at("id"), format!("there is another dial `{}`", dial.id));
        }
        if let Some(wanted) = dial.target.as_ref().and_then(|target| target.stub.as_deref())
            && !stubs.iter().any(|written| *written.stub.id == *wanted)
        {
            let remedy = did_you_mean(wanted, stubs.iter().map(|written| &*written.stub.id));
            report.add_with_remedy(&place.at("for.stub"), format!("there is no stub `{wanted}`"), remedy);
        }
        let pushes = dial.target.as_ref().is_some_and(|target| target.push.is_some());
        if let Some(fault) = dial.fault.as_ref().filter(|_| !pushes) {
            let wanted = dial.target.as_ref().and_then(|target| target.listener.as_deref());
            let here = spec.listen.iter().filter(|listen| wanted.is_none_or(|wanted| *listen.id == *wanted));
            refuse_impossible(fault, here.map(|listen| listen.proto), &place.at("fault.kind"), report);
        }
        let ttl = dial.ttl.map(|ttl| ttl.0);
        let compiled = LiveDial::compile(dial, &spec.partner, ttl, Instant::now());
        dials.extend(report.keep_all(&place, compiled));
    }
    dials
}

#[cfg(test)]
mod tests;
