//! The replay report: every recorded exchange asked of the draft once more, and what it answers differently.
use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;

use super::{
    draft::{Draft, shown},
    people::Kind,
    place,
    seen::Seen,
    wire::{self, Form},
};
use crate::{
    answer::Rendered,
    clock::Clock,
    decide::{Setting, decide},
    facts::Incoming,
};

/// Differences told of one exchange at most.
const TOLD: usize = 50;

/// Why the draft answers differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The draft makes another value each time, as the partner does.
    Generated,
    /// The partner's values follow no rule that the recording shows; the draft gives the first.
    Varies,
    /// The draft gives another value, or none.
    Differs,
    /// No stub answers.
    Missing,
}

/// One difference.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// RFC 6901, into `{status, headers, body}`.
    pub pointer: String,
    /// With pseudonyms.
    pub recorded: Value,
    pub drafted: Value,
    pub reason: Reason,
}

/// One exchange replayed.
#[derive(Clone, Debug, Serialize)]
pub struct Replayed {
    /// From 1, in the order recorded.
    pub exchange: usize,
    pub method: String,
    /// With pseudonyms.
    pub path: String,
    /// The stub that answered.
    pub stub: Option<String>,
    pub differences: Vec<Difference>,
}

/// What a recording left out.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    pub exchange: usize,
    pub reason: String,
}

/// The report.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayReport {
    pub exchanges: usize,
    /// Answered the same.
    pub same: usize,
    /// The same but for generated values.
    pub generated: usize,
    /// With a difference that nothing explains.
    pub different: usize,
    pub left_out: Vec<LeftOut>,
    /// How many values of each kind stand there as pseudonyms.
    pub replaced: BTreeMap<Kind, usize>,
    pub notes: Vec<String>,
    /// Exchanges that are not answered the same.
    pub differing: Vec<Replayed>,
}

/// Asks the draft everything once more, in order, at the time of the recording.
pub fn replay(draft: &Draft, seen: &[Seen]) -> ReplayReport {
    let mut reasons: HashMap<(usize, &str), Reason> = HashMap::new();
    draft.reasons.iter().for_each(|(number, pointer, reason)| {
        reasons.insert((*number, pointer), *reason);
    });
    let clock = Clock::default();
    let mut report =
        ReplayReport { exchanges: seen.len(), notes: draft.notes.clone(), ..ReplayReport::default() };
    for one in seen {
        let replayed = ask(draft, one, &clock, &reasons);
        let of = |reason: fn(Reason) -> bool| replayed.differences.iter().any(|other| reason(other.reason));
        if of(|reason| reason != Reason::Generated) {
            report.different += 1;
        } else if replayed.differences.is_empty() {
            report.same += 1;
        } else {
            report.generated += 1;
        }
        if !replayed.differences.is_empty() {
            report.differing.push(replayed);
        }
    }
    report
}

fn ask(draft: &Draft, one: &Seen, clock: &Clock, reasons: &HashMap<(usize, &str), Reason>) -> Replayed {
    let path = format!("/{}", one.segments.join("/"));
    let mut replayed = Replayed {
        exchange: one.number,
        method: one.method.to_string(),
        path,
        stub: None,
        differences: Vec::new(),
    };
    let Some((number, whole)) = draft.routes.get(&one.number).copied() else { return replayed };
    clock.stop_at(one.at_us);
    let setting =
        Setting { now: Instant::now(), at_us: clock.now_us(), overlay: None, ahead_ms: 0, dry: false };
    let incoming = incoming(draft, one, number, whole);
    let decision = decide(&draft.partner, number, &incoming, &setting);
    replayed.stub = decision.stub.map(|stub| stub.label.to_string());
    let Some(answer) = decision.answer else {
        let why = decision.problem.unwrap_or_else(|| "no stub answers".into());
        replayed.differences.push(Difference {
            pointer: String::new(),
            recorded: one.status.into(),
            drafted: why.into(),
            reason: Reason::Missing,
        });
        return replayed;
    };
    let (recorded, drafted) = (recorded(one), drafted(one, &answer));
    compare(&recorded, &drafted, &mut String::new(), &mut |pointer, recorded, drafted| {
        // A generator's place may lie within what differs, or around it.
        let known = (0..=pointer.len())
            .rev()
            .filter(|end| *end == pointer.len() || pointer.as_bytes()[*end] == b'/')
            .find_map(|end| reasons.get(&(one.number, &pointer[..end])));
        let reason = known.copied().unwrap_or(Reason::Differs);
        if replayed.differences.len() < TOLD {
            let (pointer, recorded, drafted) = (pointer.to_owned(), recorded.clone(), drafted.clone());
            replayed.differences.push(Difference { pointer, recorded, drafted, reason });
        }
    });
    replayed
}

fn incoming(draft: &Draft, one: &Seen, number: usize, whole: bool) -> Incoming {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let segments: Vec<String> = one.segments.iter().map(|segment| encoded(segment)).collect();
    let query: Vec<String> = one
        .query
        .iter()
        .map(|(name, value)| {
            format!("{}={}", encoded(name), encoded(&place::text(value).unwrap_or_default()))
        })
        .collect();
    let mut headers = HeaderMap::new();
    for (name, value) in &one.headers {
        let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
        if let (Ok(name), Some(value)) = (HeaderName::from_bytes(name.as_bytes()), value) {
            headers.insert(name, value);
        }
    }
    let body = match one.request.form {
        Form::Empty => Vec::new(),
        // What the listener's codec cannot write is not asked: the report tells that it differs.
        _ => draft.partner.listeners[number].request.wire.encode(&one.request.document).unwrap_or_default(),
    };
    Incoming {
        method: one.method.clone(),
        path: if whole { "/".into() } else { format!("/{}", segments.join("/")) },
        query: (!query.is_empty()).then(|| query.join("&")),
        headers,
        body: Bytes::from(body),
        session: "".into(),
    }
}

fn recorded(one: &Seen) -> Value {
    let mut document = place::answer(&one.answer_headers, &one.answer);
    document["status"] = one.status.into();
    document
}

fn drafted(one: &Seen, answer: &Rendered) -> Value {
    let text = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
    let headers = one.answer_headers.keys().filter_map(|name| Some((name.clone(), Value::from(text(name)?))));
    let headers = headers.collect();
    let body = wire::read(text("content-type"), &answer.body);
    let mut document = match body {
        Ok(body) => place::answer(&headers, &body),
        Err(why) => serde_json::json!({"headers": headers, "body": why}),
    };
    document["status"] = answer.status.into();
    document
}

/// Passes every place where two documents differ.
fn compare(left: &Value, right: &Value, pointer: &mut String, each: &mut impl FnMut(&str, &Value, &Value)) {
    if left == right {
        return;
    }
    let length = pointer.len();
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
            for name in names {
                pointer.push('/');
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                let of =
                    |members: &serde_json::Map<String, Value>| members.get(name).cloned().unwrap_or_default();
                compare(&of(left), &of(right), pointer, each);
                pointer.truncate(length);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                pointer.push_str(&format!("/{index}"));
                compare(left, right, pointer, each);
                pointer.truncate(length);
            }
        }
        _ => each(pointer, left, right),
    }
}

impl ReplayReport {
    /// The report for people.
    pub fn text(&self) -> String {
        let mut out = format!(
            "{} recorded exchanges asked of the draft once more: {} answered the same, {} the same but for generated values, {} differently.\n",
            self.exchanges, self.same, self.generated, self.different
        );
        let mut say = |line: String| {
            out.push_str(&line);
            out.push('\n');
        };
        let replaced: Vec<String> =
            self.replaced.iter().map(|(kind, count)| format!("{count} {}", kind.name())).collect();
        if !replaced.is_empty() {
            say(format!("Replaced by pseudonyms: {}.", replaced.join(", ")));
        }
        for left in &self.left_out {
            say(format!("left out  exchange {}: {}", left.exchange, left.reason));
        }
        for note in &self.notes {
            say(format!("note      {note}"));
        }
        for replayed in &self.differing {
            let stub = replayed.stub.as_deref().unwrap_or("no stub");
            say(format!(
                "\nexchange {}  {} {}  by {stub}",
                replayed.exchange, replayed.method, replayed.path
            ));
            for difference in &replayed.differences {
                let Difference { pointer, recorded, drafted, reason } = difference;
                say(format!(
                    "  {:<9} {pointer}  recorded {}  drafted {}",
                    reason.name(),
                    shown(recorded),
                    shown(drafted)
                ));
            }
        }
        out
    }
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Varies => "varies",
            Self::Differs => "differs",
            Self::Missing => "missing",
        }
    }
}
