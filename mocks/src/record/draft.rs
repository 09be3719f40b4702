//! The draft partner of a recording: its listeners, stubs and tables, compiled by the same reader that serving uses.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use qiao_mappings::{Charset, Codec, CodecSpec, Selector};
use qiao_vault::Vault;
use serde_json::{Value, json};

use super::{
    generalise::{COMMON_KEY, generalise},
    group::{Group, groups},
    people::Pseudonyms,
    place::Place,
    replay::Reason,
    seen::Seen,
    wire::{Body, Form},
};
use crate::{
    compile,
    import::{
        draft::{Files, partner_files, slug},
        yaml,
    },
    partner::Partner,
    spec::{AnswerForm, ListenSpec, Proto, RequestForm, StubSpec},
};

/// What the draft is called.
pub struct Named<'n> {
    pub partner: &'n str,
    pub title: &'n str,
    pub select: Option<&'n str>,
}

/// A draft with all that replaying its recording needs.
pub struct Draft {
    pub files: Files,
    pub partner: Partner,
    /// By exchange: the listener, and whether its path is the exchange's whole path.
    pub routes: BTreeMap<usize, (usize, bool)>,
    pub reasons: Vec<(usize, String, Reason)>,
    pub notes: Vec<String>,
}

/// A listener in the making.
struct Listening {
    spec: ListenSpec,
    form: Form,
    /// Of a listener for one path alone.
    path: Option<Vec<Option<String>>>,
    answers: Form,
}

/// Makes the draft.
///
/// # Errors
/// Files that the strict reader refuses, which is a mistake of this program.
pub fn draft(seen: &[Seen], named: &Named<'_>, people: &Pseudonyms) -> Result<Draft, String> {
    let select = named.select.map(Selector::parse).transpose().map_err(|error| format!("select: {error}"))?;
    let mut groups = groups(seen, select.as_ref(), people);
    let mut notes = Vec::new();
    let mut listening = listeners(&groups, named, &mut notes);
    let at: Vec<usize> = groups.iter().map(|group| listener_of(group, &listening)).collect();
    for (number, listener) in listening.iter_mut().enumerate() {
        dispatch(number, listener, &mut groups, &at, named.select);
    }
    let (mut files, mut routes, mut reasons) = (Files::new(), BTreeMap::new(), Vec::new());
    let (mut used, mut common) = (BTreeSet::new(), false);
    for (group, number) in groups.iter().zip(at) {
        let listener = &listening[number];
        let name = name_of(group, &mut used);
        let mut made = generalise(group, &name, people);
        for (ordinal, stub) in made.stubs.iter_mut().enumerate() {
            finish(stub, group, listener, listening.len() > 1, &mut notes);
            if ordinal > 0 {
                stub.id = format!("{name}-{}", ordinal + 1);
            }
        }
        routes.extend(group.seen.iter().map(|one| (one.number, (number, listener.path.is_some()))));
        reasons.append(&mut made.reasons);
        common |= made.common;
        if let Some((table, csv)) = made.table {
            files.insert(format!("tables/{table}.csv"), csv.into_bytes());
        }
        files.insert(format!("stubs/{name}.yaml"), yaml::write(&json!({"stubs": made.stubs})).into_bytes());
    }
    files.insert("partner.yaml".into(), partner_yaml(named, &listening, common).into_bytes());
    let partner = compiled(named.partner, &files)?;
    Ok(Draft { files, partner, routes, reasons, notes })
}

fn compiled(name: &str, files: &Files) -> Result<Partner, String> {
    let told = |mistakes: Vec<qiao_mappings::strict::Mistake>| {
        // The mistakes are ours, and the values in them are pseudonyms.
        let lines: Vec<String> = mistakes.iter().take(3).map(ToString::to_string).collect();
        format!(
            "the draft does not pass the check of mock partners, which is a mistake of Qiao: {}",
            lines.join("; ")
        )
    };
    let vault = Vault::in_memory().map_err(|error| error.to_string())?;
    let files = partner_files(name, files).map_err(told)?;
    compile::partner(files, &vault, &Arc::default(), None).map_err(told)
}

fn partner_yaml(named: &Named<'_>, listening: &[Listening], common: bool) -> String {
    let mut partner = json!({
        "mock": "v1",
        "partner": named.partner,
        "title": named.title,
        "about": "Drafted from a recording; people in it are pseudonyms. Look through it before use: replay.txt tells what it answers differently.",
    });
    if common {
        partner["parameters"] = json!({COMMON_KEY: "all"});
    }
    partner["listen"] = listening.iter().map(|listener| json!(listener.spec)).collect();
    yaml::write(&partner)
}

/// How often each form occurs, the most frequent first.
fn most(forms: impl Iterator<Item = Form>) -> Option<Form> {
    let mut counts: BTreeMap<Form, usize> = BTreeMap::new();
    forms.for_each(|form| *counts.entry(form).or_default() += 1);
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(form, _)| form)
}

/// The form of a group's requests; none where none has a body.
fn form_of(group: &Group<'_>) -> Option<Form> {
    most(group.seen.iter().map(|one| one.request.form).filter(|form| *form != Form::Empty))
}

/// One listener for the form that most requests have; paths of another form get one of their own.
fn listeners(groups: &[Group<'_>], named: &Named<'_>, notes: &mut Vec<String>) -> Vec<Listening> {
    let all = groups.iter().flat_map(|group| &group.seen).map(|one| one.request.form);
    let main = most(all.filter(|form| *form != Form::Empty)).unwrap_or(Form::Json);
    let home = format!("/{}", named.partner);
    let mut listening = vec![listening_on("main", home.clone(), main, None)];
    for group in groups {
        let Some(form) = form_of(group).filter(|form| *form != main) else { continue };
        if listening.iter().any(|other| other.path.as_ref() == Some(&group.path)) {
            continue;
        }
        let plain = |text: &str| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b))
        };
        let literal: Option<Vec<&str>> =
            group.path.iter().map(|segment| segment.as_deref().filter(|text| plain(text))).collect();
        match literal.filter(|segments| (1..=7).contains(&segments.len())) {
            Some(segments) => {
                let id = format!("own-{}", listening.len());
                let path = format!("{home}/{}", segments.join("/"));
                listening.push(listening_on(&id, path, form, Some(group.path.clone())));
            }
            None => notes.push(format!(
                "{} {}: its requests have another form than most, and its path allows no listener of its own",
                group.method,
                group.pattern()
            )),
        }
    }
    for number in 0..listening.len() {
        let here = groups.iter().filter(|group| listener_of(group, &listening) == number);
        let of: Vec<&Seen> = here.flat_map(|group| group.seen.iter().copied()).collect();
        codecs(&mut listening[number], &of);
    }
    listening
}

fn listening_on(id: &str, path: String, form: Form, only: Option<Vec<Option<String>>>) -> Listening {
    let proto = if form.is_soap() { Proto::Soap } else { Proto::Http };
    Listening { spec: ListenSpec::on_path(id, proto, path), form, path: only, answers: form }
}

fn listener_of(group: &Group<'_>, listening: &[Listening]) -> usize {
    listening.iter().position(|listener| listener.path.as_ref() == Some(&group.path)).unwrap_or(0)
}

/// The codecs of a listener's requests and answers.
fn codecs(listener: &mut Listening, seen: &[&Seen]) {
    let charset = |form: Form, body: fn(&Seen) -> &Body| {
        let found = seen.iter().map(|one| body(one)).find(|body| body.form == form);
        found.map(|body| body.charset).unwrap_or_default()
    };
    let asked = charset(listener.form, |one| &one.request);
    let wire = listener.form.spec(asked);
    let documents =
        seen.iter().map(|one| one.answer.form).filter(|form| !matches!(form, Form::Empty | Form::Text));
    let fits = |form: &Form| form.is_soap() == listener.form.is_soap();
    listener.answers = most(documents.filter(fits)).unwrap_or(listener.form);
    let given = charset(listener.answers, |one| &one.answer);
    let mut answer = listener.answers.spec(given);
    let mut of_form =
        seen.iter().filter(|one| one.answer.form == listener.answers && one.answer.fault.is_none());
    if let Some((uri, qualified)) = of_form.clone().find_map(|one| one.answer.namespace.clone()) {
        answer.namespace = Some(uri);
        answer.prefix = (!qualified).then(|| "m".into());
    }
    let written = |spec: &CodecSpec| {
        Codec::compile(spec).map(|codec| codec.content_type().to_owned()).unwrap_or_default()
    };
    let essence = |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if let Some(kind) = of_form.find_map(|one| one.answer_type.clone())
        && essence(&kind) != essence(&written(&answer))
    {
        answer.content_type = Some(kind);
    }
    if listener.form == Form::Json && asked == Charset::Utf8 && json!(answer) == json!(wire) {
        return;
    }
    listener.spec.request = Some(RequestForm { wire, open: None, frame: None });
    listener.spec.answer = Some(AnswerForm { wire: answer, seal: None, frame: None });
}

/// The dispatch key of a listener: the one asked for, else the field that most of its operations are told apart by.
fn dispatch(
    number: usize,
    listener: &mut Listening,
    groups: &mut [Group<'_>],
    at: &[usize],
    select: Option<&str>,
) {
    if let Some(select) = select {
        listener.spec.select = Some(select.to_owned());
        return;
    }
    let mut counts: BTreeMap<Place, usize> = BTreeMap::new();
    for (group, at) in groups.iter().zip(at) {
        if let Some(place) = group.item.as_ref().and_then(|item| item.place.clone()).filter(|_| *at == number)
        {
            *counts.entry(place).or_default() += 1;
        }
    }
    let Some((chosen, _)) = counts.into_iter().max_by_key(|(_, count)| *count) else { return };
    if listener.form.is_soap() {
        return;
    }
    listener.spec.select = Some(chosen.json_path());
    for (group, at) in groups.iter_mut().zip(at) {
        if let Some(item) =
            group.item.as_mut().filter(|item| *at == number && item.place.as_ref() == Some(&chosen))
        {
            item.place = None;
        }
    }
}

fn name_of(group: &Group<'_>, used: &mut BTreeSet<String>) -> String {
    let words: Vec<&str> = group.path.iter().flatten().map(String::as_str).collect();
    let last = words.iter().rev().take(2).rev().copied().collect::<Vec<_>>().join("-");
    let item = group.item.as_ref().map_or("", |item| item.value.as_str());
    let base: String = slug(&format!("{} {last} {item}", group.method)).chars().take(50).collect();
    let base = base.trim_end_matches('-').to_owned();
    let mut name = base.clone();
    let mut number = 2;
    while !used.insert(name.clone()) {
        name = format!("{base}-n{number}");
        number += 1;
    }
    name
}

/// What depends on the listener: its name, its path, answers of another form than its codec's.
fn finish(stub: &mut StubSpec, group: &Group<'_>, listener: &Listening, many: bool, notes: &mut Vec<String>) {
    if many {
        stub.listener = Some(listener.spec.id.clone());
    }
    if let (Some(_), Some(when)) = (&listener.path, &mut stub.when) {
        when.path = Some("/".into());
    }
    let status = stub.respond.status.unwrap_or(200);
    let of = group.seen.iter().find(|one| {
        one.status == status
            && !matches!(one.answer.form, Form::Empty | Form::Text)
            && one.answer.form != listener.answers
    });
    let Some(one) = of.filter(|_| stub.respond.json.is_some() || stub.respond.soap_fault.is_some()) else {
        return;
    };
    if group.seen.iter().any(|one| one.status == status && one.answer.form == listener.answers) {
        return;
    }
    let codec = Codec::compile(&one.answer.form.spec(one.answer.charset)).ok();
    let bytes = codec.and_then(|codec| codec.encode(&one.answer.document).ok()).unwrap_or_default();
    stub.respond.json = None;
    stub.respond.soap_fault = None;
    stub.respond.text = Some(String::from_utf8_lossy(&bytes).replace("${", "$${"));
    if let Some(kind) = &one.answer_type {
        stub.respond.headers.insert("content-type".into(), kind.clone());
    }
    notes.push(format!("{}: an answer of another form than the others, taken as the text it was", stub.id));
}

/// A text that tells what a value is made of, for people.
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 120 { text } else { text.chars().take(117).collect::<String>() + "…" }
}
