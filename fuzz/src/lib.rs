//! Every parser of bytes from outside as a function of any bytes, for the fuzzer and for the test that replays the corpus.
#![allow(clippy::unwrap_used, reason = "a target reports what must not happen by panicking")]
mod mappings;
mod vault;
mod wire;

// What these targets read is no public face of its crate, and the crate of the last two is large: they are compiled here.
mod envelope {
    pub use qiao_vault::EnvelopeSpec;
}
#[path = "../../vault/src/envelope/tests/forms.rs"]
mod envelope_forms;
#[allow(dead_code, reason = "the target uses one function")]
#[path = "../../mocks/src/table.rs"]
mod mock_table;
#[allow(dead_code, reason = "the target uses one function")]
#[path = "../../mocks/src/wsdl/tree.rs"]
mod mock_tree;

pub use vault::fixtures;

/// One parser under fuzzing. It panics where the parser does, or where the parser breaks its promise.
pub struct Target {
    /// Also the folder of its corpus.
    pub name: &'static str,
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

pub const TARGETS: &[Target] = &[
    target("certificate", vault::certificate),
    target("revocation-list", vault::revocation_list),
    target("ocsp-answer", vault::ocsp_answer),
    target("time-stamp-query", vault::time_stamp_query),
    target("time-stamp-answer", vault::time_stamp_answer),
    target("message", vault::message),
    target("key-text", vault::key_text),
    target("signature", vault::signature),
    target("cipher", vault::cipher),
    target("envelope", vault::envelope),
    target("sealed-value", vault::sealed_value),
    target("manifest", vault::manifest),
    target("custodian-share", vault::custodian_share),
    target("frame", wire::frame),
    target("cmpp", wire::cmpp),
    target("smgp", wire::smgp),
    target("sgip", wire::sgip),
    target("sms-parts", wire::sms_parts),
    target("sms-text", wire::sms_text),
    target("bank-file", wire::bank_file),
    target("yaml", mappings::yaml),
    target("xml", mappings::xml),
    target("soap", mappings::soap),
    target("json", mappings::json),
    target("form", mappings::form),
    target("csv", mappings::csv),
    target("namespaced-xml", mappings::namespaced_xml),
];

/// # Errors
/// The names there are.
pub fn find(name: &str) -> Result<&'static Target, String> {
    TARGETS.iter().find(|target| target.name == name).ok_or_else(|| {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        format!("there is no target {name:?}; there are {}", names.join(", "))
    })
}
