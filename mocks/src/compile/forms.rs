//! Envelopes, codecs and frames of listeners.
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use http::HeaderValue;
use indexmap::IndexMap;
use qiao_mappings::{
    Codec, CodecKind, CodecSpec, Expression, Mapping, MappingSpec, Template, strict::did_you_mean,
};
use qiao_vault::{Envelope, EnvelopeSpec, Side, Vault};
use serde_json::Value;

use super::report::{CLOSING, FRAMING, OPENING, Place, Report};
use crate::{
    forms::{AnswerPath, Open, RequestPath, Seal, Sealer},
    spec::{AnswerForm, ListenSpec, OpenForm, Proto, RequestForm, SealForm},
    wsdl::Contract,
};

pub type Sealers = HashMap<String, Arc<Sealer>>;

/// The partner's envelopes, from the partner's side.
pub fn envelopes(
    specs: &IndexMap<String, EnvelopeSpec>,
    vault: &Vault,
    place: &Place<'_>,
    report: &mut Report,
) -> Sealers {
    let mut sealers = HashMap::new();
    for (name, spec) in specs {
        let place = place.member("envelopes", name);
        let compiled = Envelope::compile(spec, vault, Side::Partner);
        let compiled =
            compiled.map_err(|wrong| wrong.into_iter().map(|mistake| (mistake.path, mistake.message)));
        if let Some(envelope) = report.keep_all(&place, compiled) {
            sealers.insert(
                name.clone(),
                Arc::new(Sealer {
                    envelope,
                    signed: signed(spec),
                    spec: spec.clone(),
                    stale: OnceLock::new(),
                }),
            );
        }
    }
    sealers
}

/// The written fields that hold a signature or keyed digest, encoded or not; all fields where there are none.
fn signed(spec: &EnvelopeSpec) -> Vec<String> {
    let part = |name: &str| spec.seal.iter().find(|part| part.name == name);
    let is_proof = |name: &str| {
        let inner = part(name).and_then(|part| part.encode.as_ref()).map_or(name, |encode| &*encode.data);
        part(inner).is_some_and(|part| part.sm2_sign.is_some() || part.hmac_sm3.is_some())
    };
    let proofs: Vec<String> =
        spec.write.iter().filter(|(_, field)| is_proof(&field.part)).map(|(name, _)| name.clone()).collect();
    if proofs.is_empty() { spec.write.keys().cloned().collect() } else { proofs }
}

/// A listener's request and answer forms.
pub fn paths(
    spec: &ListenSpec,
    sealers: &Sealers,
    contract: Option<&Arc<Contract>>,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<(RequestPath, AnswerPath)> {
    let default = match spec.proto {
        Proto::Soap => CodecSpec { codec: CodecKind::Soap, ..CodecSpec::default() },
        _ => CodecSpec::default(),
    };
    let bare = RequestForm { wire: default, open: None, frame: None };
    let request = spec.request.as_ref().unwrap_or(&bare);
    let bare = AnswerForm { wire: request.wire.clone(), seal: None, frame: None };
    let answer = spec.answer.as_ref().unwrap_or(&bare);
    let (request_place, answer_place) = (place.at("request"), place.at("answer"));
    for (form, place) in [(&request.wire, &request_place), (&answer.wire, &answer_place)] {
        if (form.codec == CodecKind::Soap) != (spec.proto == Proto::Soap) {
            report.add(&place.at("wire.codec"), "`proto: soap` and the codec `soap` go together");
        }
    }
    let read = request_path(request, sealers, &request_place, report);
    let write = answer_path(answer, sealers, &answer_place, report);
    let (mut read, mut write) = read.zip(write)?;
    (read.contract, write.contract) = (contract.cloned(), contract.cloned());
    Some((read, write))
}

fn request_path(
    form: &RequestForm,
    sealers: &Sealers,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<RequestPath> {
    let wire = codec(&form.wire, &place.at("wire"), report);
    let open = form.open.as_ref().map(|open| self::open(open, sealers, &place.at("open"), report));
    let frame = form.frame.as_ref().map(|frame| mapping(frame, FRAMING, &place.at("frame"), report));
    Some(RequestPath { wire: wire?, contract: None, open: flat(open)?, frame: flat(frame)? })
}

/// From business document to wire.
pub fn answer_path(
    form: &AnswerForm,
    sealers: &Sealers,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<AnswerPath> {
    let wire = codec(&form.wire, &place.at("wire"), report);
    let seal = form.seal.as_ref().map(|seal| self::seal(seal, sealers, &place.at("seal"), report));
    let frame = form.frame.as_ref().map(|frame| mapping(frame, CLOSING, &place.at("frame"), report));
    let wire = wire?;
    let content_type = HeaderValue::from_str(wire.content_type()).ok();
    Some(AnswerPath { wire, content_type, contract: None, seal: flat(seal)?, frame: flat(frame)? })
}

/// None where something was declared but could not be compiled.
pub fn flat<T>(declared: Option<Option<T>>) -> Option<Option<T>> {
    match declared {
        None => Some(None),
        Some(compiled) => compiled.map(Some),
    }
}

fn open(form: &OpenForm, sealers: &Sealers, place: &Place<'_>, report: &mut Report) -> Option<Open> {
    let sealer = sealer(&form.envelope, sealers, place, report);
    let from = report.selector(&place.at("from"), &form.from, OPENING);
    let when = form.when.as_ref().map(|when| {
        let place = place.at("when");
        let when = report.keep(&place, Expression::parse(when))?;
        report.roots(&place, when.roots(), OPENING);
        Some(when)
    });
    let plain = codec(&form.plain, &place.at("plain"), report);
    let parameters = parameters(&form.parameters, OPENING, place, report);
    Some(Open { sealer: sealer?, from: from?, when: flat(when)?, plain: plain?, parameters: parameters? })
}

fn seal(form: &SealForm, sealers: &Sealers, place: &Place<'_>, report: &mut Report) -> Option<Seal> {
    let sealer = sealer(&form.envelope, sealers, place, report);
    let plain = codec(&form.plain, &place.at("plain"), report);
    let parameters = parameters(&form.parameters, CLOSING, place, report);
    Some(Seal { sealer: sealer?, plain: plain?, parameters: parameters? })
}

fn sealer(name: &str, sealers: &Sealers, place: &Place<'_>, report: &mut Report) -> Option<Arc<Sealer>> {
    let found = sealers.get(name).cloned();
    if found.is_none() {
        let remedy = did_you_mean(name, sealers.keys().map(String::as_str));
        report.add_with_remedy(
            &place.at("envelope"),
            format!("there is no usable envelope `{name}`"),
            remedy,
        );
    }
    found
}

fn codec(spec: &CodecSpec, place: &Place<'_>, report: &mut Report) -> Option<Codec> {
    let compiled = Codec::compile(spec);
    report
        .keep_all(place, compiled.map_err(|wrong| wrong.into_iter().map(|error| (error.path, error.message))))
}

fn mapping(spec: &MappingSpec, known: &[&str], place: &Place<'_>, report: &mut Report) -> Option<Mapping> {
    let compiled = Mapping::compile(spec, &report.environment);
    let compiled = compiled.map_err(|wrong| wrong.into_iter().map(|error| (error.path, error.message)));
    let mapping = report.keep_all(place, compiled)?;
    report.roots(place, mapping.roots(), known);
    Some(mapping)
}

fn parameters(
    written: &IndexMap<String, String>,
    known: &[&str],
    place: &Place<'_>,
    report: &mut Report,
) -> Option<Vec<(String, Template)>> {
    let compiled = written.iter().map(|(name, text)| {
        let place = place.member("parameters", name);
        let template = template(&Value::from(text.as_str()), known, &place, report)?;
        Some((name.clone(), template))
    });
    // All of them are looked at, so that all mistakes are told.
    compiled.collect::<Vec<_>>().into_iter().collect()
}

/// A template all of whose documents exist where it is used.
pub fn template(value: &Value, known: &[&str], place: &Place<'_>, report: &mut Report) -> Option<Template> {
    let compiled = Template::compile_with(value, &report.environment);
    let template = report.keep_all(place, compiled)?;
    report.roots(place, template.roots(), known);
    Some(template)
}
