//! Listeners with a WSDL: the description read, and a skeleton answer for every operation behind all stubs.
use std::sync::Arc;

use qiao_mappings::{Selector, Template};

use super::report::{Place, Report};
use crate::{
    answer::{Answer, Payload},
    entropy::Fnv,
    files::PartnerFiles,
    import::escaped,
    matching::{Condition, Conditions, Source, Test, condition::Look},
    partner::{Partner, Stub},
    spec::{ListenSpec, Proto},
    wsdl::Contract,
};

/// The listener's description, where it names one.
pub fn read(
    files: &PartnerFiles,
    listen: &ListenSpec,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<Arc<Contract>> {
    let Some(path) = &listen.wsdl else {
        if listen.strict {
            report.add(&place.at("strict"), "`strict` checks requests against a `wsdl`");
        }
        return None;
    };
    if listen.proto != Proto::Soap {
        report.add(&place.at("wsdl"), "only `proto: soap` has a WSDL");
    }
    let codecs = [
        ("request.wire", listen.request.as_ref().map(|form| &form.wire)),
        ("answer.wire", listen.answer.as_ref().map(|form| &form.wire)),
    ];
    for (key, codec) in codecs {
        let own = codec.is_some_and(|codec| {
            codec.element.is_some() || codec.namespace.is_some() || codec.version.is_some() || codec.unwrap
        });
        if own {
            report.add(&place.at(key), "element, namespace, version and unwrap are what the WSDL says");
        }
    }
    let loaded = Contract::load(path, listen.strict, &|file| files.body(file));
    report.keep(&place.at("wsdl"), loaded).map(Arc::new)
}

/// Adds a stub for every operation, tried after all others.
pub fn add_skeletons(partner: &mut Partner) {
    for number in 0..partner.listeners.len() {
        let Some(contract) = partner.listeners[number].contract.clone() else { continue };
        let operation =
            partner.sources.source("$.operation", || Selector::parse("$.operation").map(Source::Select)).ok();
        let Some(operation) = operation else { continue };
        for at in 0..contract.operations.len() {
            let name = contract.operations[at].name.as_str();
            let document = contract.skeleton(at);
            let hash = Fnv::hash(format!("{document:?}").as_bytes()) >> 32;
            let condition = Condition {
                look: Look::At(operation, Test::Equals(name.into())),
                place: "$.operation".into(),
                wanted: format!("equals {name}").into(),
            };
            // A skeleton's texts come from the WSDL: `${` in them is no template.
            let template = document.and_then(|document| Template::compile(&escaped(&document)).ok());
            let status = if template.is_some() { 200 } else { 202 };
            let payload = template.map_or(Payload::Empty, Payload::Wire);
            partner.stubs.push(Stub {
                id: format!("wsdl:{name}").into(),
                label: format!("{}/wsdl:{name}@{hash:08x}", partner.id).into(),
                title: Some("an example made of the WSDL".into()),
                listener: Some(number),
                item: None,
                conditions: Conditions { all: vec![condition], ..Conditions::default() },
                state: None,
                rows: Vec::new(),
                writes: Vec::new(),
                uses_tables: false,
                delay: None,
                fault: None,
                then: None,
                answer: Answer { status, headers: Vec::new(), payload, ready: Vec::new(), json: None },
                needs_instance: false,
            });
        }
    }
}
