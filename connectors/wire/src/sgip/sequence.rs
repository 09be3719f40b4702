//! The 12-byte sequence that names an SGIP command, and the numbers of nodes (§3.3, §3.4).

use crate::error::WireError;
use crate::layout::{Field, Reader};
use crate::stamp::Stamp;
use serde_json::Value;
use std::fmt;

/// Node, time and counter: unique in the whole network for a year. A response repeats that of its request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sequence {
    /// The node that made the command; see [`sp_node`].
    pub node: u32,
    /// MMDDHHMMSS as a number; see [`Stamp::digits`].
    pub time: u32,
    /// Counts up from 0 and wraps.
    pub counter: u32,
}

impl Sequence {
    /// The sequence of a new command.
    pub fn new(node: u32, time: Stamp, counter: u32) -> Sequence {
        Sequence { node, time: time.digits(), counter }
    }

    /// When the command was made; `None` when the number is no time.
    pub fn stamp(&self) -> Option<Stamp> {
        Stamp::from_digits(self.time)
    }
}

/// The node number of an SP: 3, the area code of at most four digits padded right with 0, the five-digit SP code
/// (§3.3). `None` for codes of another form.
pub fn sp_node(area: &str, corp: &str) -> Option<u32> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = (1..=4).contains(&area.len()) && corp.len() == 5 && digits(area) && digits(corp);
    fits.then(|| format!("3{area:0<4}{corp}").parse().ok())?
}

impl fmt::Display for Sequence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:08x}{:08x}{:08x}", self.node, self.time, self.counter)
    }
}

impl Field<()> for Sequence {
    fn read(input: &mut Reader<'_>, _: (), name: &'static str) -> Result<Self, WireError> {
        let mut word = || input.array(name).map(u32::from_be_bytes);
        Ok(Sequence { node: word()?, time: word()?, counter: word()? })
    }

    fn write(&self, output: &mut Vec<u8>, _: (), _: &'static str) -> Result<(), WireError> {
        for word in [self.node, self.time, self.counter] {
            output.extend_from_slice(&word.to_be_bytes());
        }
        Ok(())
    }

    fn shown(&self) -> Value {
        Value::from(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_an_sp_and_its_command_as_the_document_does() {
        let node = sp_node("021", "90123").expect("an SP");
        assert_eq!(node, 3_021_090_123);
        let time = Stamp::new(11, 20, 20, 32, 25).expect("a time");
        let sequence = Sequence::new(node, time, 1);
        assert_eq!(sequence.to_string(), "b4122d4b42c4f1d900000001");
        assert_eq!(sequence.stamp(), Some(time));
    }

    #[test]
    fn refuses_codes_of_another_form() {
        for (area, corp) in
            [("", "90123"), ("02100", "90123"), ("021", "9012"), ("o21", "90123"), ("021", "9012x")]
        {
            assert_eq!(sp_node(area, corp), None, "{area} {corp}");
        }
    }
}
