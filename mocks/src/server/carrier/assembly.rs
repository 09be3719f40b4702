//! Long messages put together, and the reports that their parts wait for.
use std::collections::HashMap;

use qiao_wire::sms::{Assembler, AssemblerLimits, Concatenation, Encoding, Outcome, PartKey, split_header};
use serde_json::{Value, json};

use super::{MessageId, Submit};

/// Unfinished messages of one account at most.
const LIMITS: AssemblerLimits = AssemblerLimits { messages: 1024, bytes: 1 << 20, timeout_ms: 600_000 };

/// A part taken, whose report is due once its message is whole.
#[derive(Clone, Debug)]
pub struct Taken {
    pub id: MessageId,
    /// Whether a report is wanted of a delivered message, and of a failed one.
    pub wanted: (bool, bool),
    pub submitted_ms: i64,
}

/// What a submitted content is.
pub enum Content {
    /// A message, alone or its last part; all parts taken of it.
    Whole { text: Option<String>, parts: Vec<Taken> },
    /// One part, and more are missing or it was here before.
    Part { concatenation: Concatenation, have: u8, text: Option<String> },
    /// Neither.
    Broken(String),
}

/// The unfinished messages of one account.
pub struct Long {
    assembler: Assembler,
    taken: HashMap<PartKey, Vec<Taken>>,
}

impl Default for Long {
    fn default() -> Self {
        Self { assembler: Assembler::new(LIMITS), taken: HashMap::new() }
    }
}

impl Long {
    /// Takes one content at that time of the mock partners' clock.
    pub fn take(&mut self, submit: &Submit, taken: Taken, now_ms: i64) -> Content {
        let text =
            |bytes: &[u8]| Encoding::of(submit.format).and_then(|encoding| encoding.decode(bytes).ok());
        if !submit.has_header {
            return Content::Whole { text: text(&submit.content), parts: vec![taken] };
        }
        let (concatenation, payload) = match split_header(&submit.content) {
            Ok((Some(concatenation), payload)) => (concatenation, payload),
            Ok((None, payload)) => return Content::Whole { text: text(payload), parts: vec![taken] },
            Err(error) => return Content::Broken(error.to_string()),
        };
        let key = PartKey {
            source: submit.source.clone().into_bytes(),
            destination: submit.destinations.join(",").into_bytes(),
            reference: concatenation.reference,
            total: concatenation.total,
        };
        let now = u64::try_from(now_ms).unwrap_or(0);
        let pushed = match self.assembler.push(key.clone(), concatenation, payload, now) {
            Ok(pushed) => pushed,
            Err(error) => return Content::Broken(error.to_string()),
        };
        for abandoned in &pushed.abandoned {
            self.taken.remove(&abandoned.key);
        }
        let part = |have| Content::Part { concatenation, have, text: text(payload) };
        match pushed.outcome {
            Outcome::Waiting { have, .. } => {
                self.taken.entry(key).or_default().push(taken);
                part(have)
            }
            Outcome::Duplicate => part(concatenation.number),
            Outcome::Complete(bytes) => {
                let mut parts = self.taken.remove(&key).unwrap_or_default();
                parts.push(taken);
                Content::Whole { text: text(&bytes), parts }
            }
        }
    }
}

impl Content {
    /// Text (null while parts are missing), whether it is whole, and the part, for stubs and the journal.
    pub fn describe(&self, document: &mut Value) {
        match self {
            Self::Whole { text, parts } => {
                document["text"] = json!(text);
                document["complete"] = Value::from(true);
                document["parts"] = json!(parts.len());
            }
            Self::Part { concatenation, have, text } => {
                document["text"] = Value::Null;
                document["complete"] = Value::from(false);
                document["parts"] = json!(concatenation.total);
                document["part"] = json!({
                    "reference": concatenation.reference, "number": concatenation.number,
                    "total": concatenation.total, "have": have, "text": text,
                });
            }
            Self::Broken(problem) => document["problem"] = json!(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::carrier::counted;
    use qiao_wire::sms::{Reference, split};

    fn submit(part: &qiao_wire::sms::Part) -> Submit {
        Submit {
            source: "1068".into(),
            destinations: vec!["13800000001".into()],
            well_addressed: true,
            service: String::new(),
            wanted: (true, true),
            has_header: part.has_header,
            format: 8,
            content: part.content.clone(),
            fields: Value::Null,
        }
    }

    fn taken(counter: u32) -> Taken {
        Taken { id: MessageId::Sgip(counted(counter)), wanted: (true, true), submitted_ms: 0 }
    }

    #[test]
    fn a_long_text_is_whole_with_its_last_part_in_whatever_order() {
        let text = "请携带身份证件到受理点领取。𬱖".repeat(10);
        let parts = split(&text, Encoding::Ucs2, Reference::Wide(500), 255).expect("parts");
        let mut long = Long::default();
        for (number, part) in (0..).zip(parts.iter().skip(1)) {
            let Content::Part { text: None | Some(_), .. } = long.take(&submit(part), taken(number), 0)
            else {
                panic!("whole too early");
            };
        }
        let Content::Whole { text: Some(whole), parts: all } = long.take(&submit(&parts[0]), taken(99), 0)
        else {
            panic!("not whole");
        };
        assert_eq!((whole, all.len()), (text, parts.len()));
        assert!(long.taken.is_empty());
    }

    #[test]
    fn a_message_given_up_is_forgotten_with_its_reports() {
        let parts = split(&"字".repeat(100), Encoding::Ucs2, Reference::Narrow(1), 255).expect("parts");
        let mut long = Long::default();
        assert!(matches!(long.take(&submit(&parts[0]), taken(1), 0), Content::Part { have: 1, .. }));
        let other = split(&"号".repeat(100), Encoding::Ucs2, Reference::Narrow(2), 255).expect("parts");
        assert!(matches!(long.take(&submit(&other[0]), taken(2), 600_000), Content::Part { have: 1, .. }));
        assert_eq!(long.taken.len(), 1);
    }

    #[test]
    fn a_header_outside_the_content_is_broken() {
        let mut cut = submit(&split("短", Encoding::Ucs2, Reference::Narrow(1), 1).expect("a part")[0]);
        cut.has_header = true;
        assert!(matches!(Long::default().take(&cut, taken(1), 0), Content::Broken(_)));
    }
}
