//! How a document becomes what travels and back: request form, answer form, judge rules, compiled.
use http::{HeaderName, HeaderValue};
use indexmap::IndexMap;
use qiao_mappings::{Codec, Expression, Mapping, Selector, Template};

use super::draft::{Draft, join, unknown_root};
use crate::definitions::system::{AnswerForm, JudgeRule, Judgement, OpenForm, RequestForm, SealForm};

/// From business document to wire.
pub(crate) struct RequestPlan {
    pub wire: Codec,
    pub content_type: HeaderValue,
    pub seal: Option<SealPlan>,
    pub frame: Option<Mapping>,
}

pub(crate) struct SealPlan {
    /// Name of one of the system's envelopes.
    pub envelope: String,
    pub plain: Codec,
    pub parameters: Vec<(String, Template)>,
}

/// From wire to business document.
pub(crate) struct AnswerPlan {
    pub wire: Codec,
    pub open: Option<OpenPlan>,
    pub frame: Option<Mapping>,
}

pub(crate) struct OpenPlan {
    pub envelope: String,
    pub from: Selector,
    pub when: Option<Expression>,
    pub plain: Codec,
    pub parameters: Vec<(String, Template)>,
}

pub(crate) struct RulePlan {
    pub when: Option<Expression>,
    pub is: Judgement,
    pub code: Option<Template>,
    pub text: Option<Template>,
}

/// A header with its value: fixed, or rendered per request.
pub(crate) struct HeaderPlan {
    pub name: HeaderName,
    pub value: HeaderSource,
}

pub(crate) enum HeaderSource {
    Fixed(HeaderValue),
    Template(Template),
}

const SEALING: &[&str] = &["plain", "parameters", "operation", "call"];
const FRAMING: &[&str] = &["plain", "sealed", "parameters", "operation", "call"];
const OPENING: &[&str] = &["status", "headers", "wire", "parameters", "operation", "call"];
const UNFRAMING: &[&str] = &["wire", "plain", "status", "headers", "parameters", "operation", "call"];
const JUDGING: &[&str] = &["status", "headers", "wire", "body", "soapFault"];

pub(crate) fn request(draft: &mut Draft<'_>, path: &str, form: &RequestForm) -> Option<RequestPlan> {
    let wire = draft.codec(&format!("{path}.wire"), &form.wire);
    let seal = match &form.seal {
        None => Some(None),
        Some(seal) => self::seal(draft, &format!("{path}.seal"), seal).map(Some),
    };
    let place = format!("{path}.frame");
    let frame = draft.optional_mapping(&place, form.frame.as_ref());
    if let Some(Some(frame)) = &frame {
        draft.reads(&place, frame.roots(), FRAMING);
    }
    let wire = wire?;
    let Ok(content_type) = HeaderValue::from_str(wire.content_type()) else {
        draft
            .wrong(&format!("{path}.wire.contentType"), "the value holds characters that no header may hold");
        return None;
    };
    Some(RequestPlan { wire, content_type, seal: seal?, frame: frame? })
}

fn seal(draft: &mut Draft<'_>, path: &str, form: &SealForm) -> Option<SealPlan> {
    let plain = draft.codec(&format!("{path}.plain"), &form.plain);
    let parameters = templates(draft, &format!("{path}.parameters"), &form.parameters, SEALING);
    Some(SealPlan { envelope: form.envelope.clone(), plain: plain?, parameters: parameters? })
}

pub(crate) fn answer(draft: &mut Draft<'_>, path: &str, form: &AnswerForm) -> Option<AnswerPlan> {
    let wire = draft.codec(&format!("{path}.wire"), &form.wire);
    let open = match &form.open {
        None => Some(None),
        Some(open) => self::open(draft, &format!("{path}.open"), open).map(Some),
    };
    let place = format!("{path}.frame");
    let frame = draft.optional_mapping(&place, form.frame.as_ref());
    if let Some(Some(frame)) = &frame {
        draft.reads(&place, frame.roots(), UNFRAMING);
    }
    Some(AnswerPlan { wire: wire?, open: open?, frame: frame? })
}

fn open(draft: &mut Draft<'_>, path: &str, form: &OpenForm) -> Option<OpenPlan> {
    let place = format!("{path}.from");
    let from = draft.selector(&place, &form.from);
    if let Some(from) = &from {
        draft.reads(&place, from.roots(), OPENING);
    }
    let place = format!("{path}.when");
    let when = draft.condition(&place, form.when.as_ref());
    if let Some(Some(when)) = &when {
        draft.reads(&place, when.roots(), OPENING);
    }
    let plain = draft.codec(&format!("{path}.plain"), &form.plain);
    let parameters = templates(draft, &format!("{path}.parameters"), &form.parameters, OPENING);
    let envelope = form.envelope.clone();
    Some(OpenPlan { envelope, from: from?, when: when?, plain: plain?, parameters: parameters? })
}

pub(crate) fn judge(draft: &mut Draft<'_>, path: &str, rules: &[JudgeRule]) -> Option<Vec<RulePlan>> {
    let mut compiled = Vec::with_capacity(rules.len());
    for (index, rule) in rules.iter().enumerate() {
        let at = |part: &str| format!("{path}[{index}].{part}");
        let when = draft.condition(&at("when"), rule.when.as_ref());
        if let Some(Some(when)) = &when {
            draft.reads(&at("when"), when.roots(), JUDGING);
        }
        let mut text = |part: &str, text: Option<&String>| match text {
            None => Some(None),
            Some(text) => {
                let template = draft.text_template(&at(part), text)?;
                draft.reads(&at(part), template.roots(), JUDGING);
                Some(Some(template))
            }
        };
        let (code, said) = (text("code", rule.code.as_ref()), text("text", rule.text.as_ref()));
        if let (Some(when), Some(code), Some(text)) = (when, code, said) {
            compiled.push(RulePlan { when, is: rule.is, code, text });
        }
    }
    (compiled.len() == rules.len()).then_some(compiled)
}

/// Named text templates over the documents `known`.
pub(crate) fn templates(
    draft: &mut Draft<'_>,
    path: &str,
    texts: &IndexMap<String, String>,
    known: &[&str],
) -> Option<Vec<(String, Template)>> {
    let mut compiled = Vec::with_capacity(texts.len());
    for (name, text) in texts {
        let place = join(path, name);
        if let Some(template) = draft.text_template(&place, text) {
            draft.reads(&place, template.roots(), known);
            compiled.push((name.clone(), template));
        }
    }
    (compiled.len() == texts.len()).then_some(compiled)
}

/// Headers, fixed ones parsed now.
pub(crate) fn headers(
    draft: &mut Draft<'_>,
    path: &str,
    texts: &IndexMap<String, String>,
    known: &dyn Fn(&str) -> bool,
) -> Option<Vec<HeaderPlan>> {
    let mut compiled = Vec::with_capacity(texts.len());
    for (name, text) in texts {
        let place = join(path, name);
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            draft.wrong(&place, format!("`{name}` is not a header name"));
            continue;
        };
        let Some(template) = draft.text_template(&place, text) else { continue };
        if let Some(root) = unknown_root(template.roots(), known) {
            draft.wrong(&place, format!("there is no document `{root}` here"));
        }
        let value = if template.is_constant() {
            match HeaderValue::from_str(&text.replace("$${", "${")) {
                Ok(value) => HeaderSource::Fixed(value),
                Err(_) => {
                    draft.wrong(&place, "the value holds characters that no header may hold");
                    continue;
                }
            }
        } else {
            HeaderSource::Template(template)
        };
        compiled.push(HeaderPlan { name: header, value });
    }
    (compiled.len() == texts.len()).then_some(compiled)
}
