//! Field types of CMPP whose width or presence depends on the version.

use super::Version;
use crate::error::WireError;
use crate::layout::{Field, FixedText, Reader, check_count};
use serde_json::Value;

/// A terminal's number: 32 bytes, in 2.0 the first 21 of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TerminalId(pub FixedText<32>);

impl TerminalId {
    /// A number of at most 32 bytes; writing it as 2.0 refuses one above 21.
    ///
    /// # Errors
    /// A longer number, or one that holds a NUL.
    pub fn new(number: impl AsRef<[u8]>) -> Result<TerminalId, WireError> {
        FixedText::named(number.as_ref(), "terminal id").map(TerminalId)
    }

    pub(crate) fn width(version: Version) -> usize {
        match version {
            Version::V20 => 21,
            Version::V30 => 32,
        }
    }
}

/// Writes the first `width` bytes of a text, when the rest is empty.
fn write_narrow<const N: usize>(
    text: &FixedText<N>,
    width: usize,
    output: &mut Vec<u8>,
    field: &'static str,
) -> Result<(), WireError> {
    let used = text.as_bytes().iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let kept = text.narrow(width).ok_or(WireError::TooLong { field, bytes: used, most: width })?;
    output.extend_from_slice(kept);
    Ok(())
}

impl Field<Version> for TerminalId {
    fn read(input: &mut Reader<'_>, version: Version, name: &'static str) -> Result<Self, WireError> {
        input.take(TerminalId::width(version), name).map(FixedText::widened).map(TerminalId)
    }

    fn write(&self, output: &mut Vec<u8>, version: Version, name: &'static str) -> Result<(), WireError> {
        write_narrow(&self.0, TerminalId::width(version), output, name)
    }

    fn shown(&self) -> Value {
        self.0.to_json()
    }
}

/// LinkID, 20 bytes; in 2.0 the 8 bytes of Reserve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkId(pub FixedText<20>);

impl LinkId {
    fn width(version: Version) -> usize {
        match version {
            Version::V20 => 8,
            Version::V30 => 20,
        }
    }
}

impl Field<Version> for LinkId {
    fn read(input: &mut Reader<'_>, version: Version, name: &'static str) -> Result<Self, WireError> {
        input.take(LinkId::width(version), name).map(FixedText::widened).map(LinkId)
    }

    fn write(&self, output: &mut Vec<u8>, version: Version, name: &'static str) -> Result<(), WireError> {
        write_narrow(&self.0, LinkId::width(version), output, name)
    }

    fn shown(&self) -> Value {
        self.0.to_json()
    }
}

/// A byte that 3.0 added; 0 in 2.0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Since30(pub u8);

impl Field<Version> for Since30 {
    fn read(input: &mut Reader<'_>, version: Version, name: &'static str) -> Result<Self, WireError> {
        match version {
            Version::V20 => Ok(Since30(0)),
            Version::V30 => input.byte(name).map(Since30),
        }
    }

    fn write(&self, output: &mut Vec<u8>, version: Version, name: &'static str) -> Result<(), WireError> {
        match version {
            Version::V20 if self.0 == 0 => {}
            Version::V20 => return Err(WireError::NotInVersion { field: name, version: version.label() }),
            Version::V30 => output.push(self.0),
        }
        Ok(())
    }

    fn shown(&self) -> Value {
        Value::from(self.0)
    }
}

/// A result of four bytes, in 2.0 of one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status(pub u32);

impl Field<Version> for Status {
    fn read(input: &mut Reader<'_>, version: Version, name: &'static str) -> Result<Self, WireError> {
        match version {
            Version::V20 => input.byte(name).map(|status| Status(u32::from(status))),
            Version::V30 => input.array(name).map(|bytes| Status(u32::from_be_bytes(bytes))),
        }
    }

    fn write(&self, output: &mut Vec<u8>, version: Version, name: &'static str) -> Result<(), WireError> {
        match version {
            Version::V20 => {
                let wide =
                    WireError::Value { field: name, reason: "does not fit the one byte of version 2.0" };
                output.push(u8::try_from(self.0).map_err(|_| wide)?);
            }
            Version::V30 => output.extend_from_slice(&self.0.to_be_bytes()),
        }
        Ok(())
    }

    fn shown(&self) -> Value {
        Value::from(self.0)
    }
}

/// The Status of a CONNECT_RESP. No version is agreed yet, so that reading goes by the length of the body: 18 bytes
/// are 2.0, 21 are 3.0, whatever the SP asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectStatus(pub u32);

impl Field<Version> for ConnectStatus {
    fn read(input: &mut Reader<'_>, version: Version, name: &'static str) -> Result<Self, WireError> {
        let version = match input.left() {
            18 => Version::V20,
            21 => Version::V30,
            _ => version,
        };
        Status::read(input, version, name).map(|status| ConnectStatus(status.0))
    }

    fn write(&self, output: &mut Vec<u8>, version: Version, name: &'static str) -> Result<(), WireError> {
        Status(self.0).write(output, version, name)
    }

    fn shown(&self) -> Value {
        Value::from(self.0)
    }
}

/// A last byte that some gateways leave out; 0 then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OptionalByte(pub u8);

impl Field<Version> for OptionalByte {
    fn read(input: &mut Reader<'_>, _: Version, name: &'static str) -> Result<Self, WireError> {
        if input.left() == 0 { Ok(OptionalByte(0)) } else { input.byte(name).map(OptionalByte) }
    }

    fn write(&self, output: &mut Vec<u8>, _: Version, _: &'static str) -> Result<(), WireError> {
        output.push(self.0);
        Ok(())
    }

    fn shown(&self) -> Value {
        Value::from(self.0)
    }
}

/// DestUsr_tl, Dest_terminal_Id and Dest_terminal_type: 1 to 99 recipients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destinations {
    /// The numbers.
    pub numbers: Vec<TerminalId>,
    /// 0 real numbers, 1 pseudo numbers; not in 2.0.
    pub number_type: Since30,
}

impl Destinations {
    /// One real number.
    pub fn one(number: TerminalId) -> Destinations {
        Destinations { numbers: vec![number], number_type: Since30(0) }
    }
}

impl Field<Version> for Destinations {
    fn read(input: &mut Reader<'_>, version: Version, name: &'static str) -> Result<Self, WireError> {
        let count = usize::from(input.byte("DestUsr_tl")?);
        check_count("DestUsr_tl", count, 99)?;
        let numbers = (0..count).map(|_| TerminalId::read(input, version, name)).collect::<Result<_, _>>()?;
        Ok(Destinations { numbers, number_type: Since30::read(input, version, "Dest_terminal_type")? })
    }

    fn write(&self, output: &mut Vec<u8>, version: Version, name: &'static str) -> Result<(), WireError> {
        check_count("DestUsr_tl", self.numbers.len(), 99)?;
        // at most 99, just checked
        output.push(self.numbers.len() as u8);
        self.numbers.iter().try_for_each(|number| number.write(output, version, name))?;
        self.number_type.write(output, version, "Dest_terminal_type")
    }

    fn shown(&self) -> Value {
        self.numbers.iter().map(Field::shown).collect()
    }
}
