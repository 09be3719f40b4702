//! Field types of SGIP: long content, the nodes of a trace.

use crate::error::WireError;
use crate::layout::{Body, Field, FixedText, Layout, Reader, layout};
use serde_json::Value;

/// The most bytes of a message's content that this crate reads or writes; the protocol promises 140, or 160 of ASCII.
pub const MAX_CONTENT: usize = 1024;

/// Message content behind a length of four bytes: at most [`MAX_CONTENT`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LongContent(pub Vec<u8>);

fn check(field: &'static str, bytes: usize) -> Result<(), WireError> {
    if bytes <= MAX_CONTENT { Ok(()) } else { Err(WireError::TooLong { field, bytes, most: MAX_CONTENT }) }
}

impl Field<()> for LongContent {
    fn read(input: &mut Reader<'_>, _: (), name: &'static str) -> Result<Self, WireError> {
        let length = usize::try_from(u32::from_be_bytes(input.array(name)?)).unwrap_or(usize::MAX);
        check(name, length)?;
        Ok(LongContent(input.take(length, name)?.to_vec()))
    }

    fn write(&self, output: &mut Vec<u8>, _: (), name: &'static str) -> Result<(), WireError> {
        check(name, self.0.len())?;
        // at most MAX_CONTENT, just checked
        output.extend_from_slice(&(self.0.len() as u32).to_be_bytes());
        output.extend_from_slice(&self.0);
        Ok(())
    }

    fn shown(&self) -> Value {
        Value::from(hex::encode(&self.0))
    }
}

layout! {
    /// One node that a traced message passed (§4.4.2). 47 bytes.
    TraceNode(()) {
        /// 0 received, 1 pending, else an error.
        result: u8 = "Result",
        /// The node.
        node_id: FixedText<6> = "NodeId",
        /// `yymmddhhmmss`.
        receive_time: FixedText<16> = "ReceiveTime",
        /// `yymmddhhmmss`.
        send_time: FixedText<16> = "SendTime",
        /// Empty.
        reserve: FixedText<8> = "Reserve",
    }
}

/// A count of one byte, then that many nodes; none is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceNodes(pub Vec<TraceNode>);

impl Field<()> for TraceNodes {
    fn read(input: &mut Reader<'_>, _: (), name: &'static str) -> Result<Self, WireError> {
        let count = input.byte(name)?;
        (0..count).map(|_| TraceNode::read(input, ())).collect::<Result<_, _>>().map(TraceNodes)
    }

    fn write(&self, output: &mut Vec<u8>, _: (), name: &'static str) -> Result<(), WireError> {
        let many = WireError::Count { field: name, count: self.0.len(), least: 0, most: 255 };
        output.push(u8::try_from(self.0.len()).map_err(|_| many)?);
        self.0.iter().try_for_each(|node| node.write(output, ()))
    }

    fn shown(&self) -> Value {
        self.0.iter().map(Layout::to_value).collect()
    }
}
