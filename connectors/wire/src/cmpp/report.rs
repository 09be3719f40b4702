//! The status report inside a CMPP_DELIVER (CMPP 3.0 §8.4.5.1).

use super::{MsgId, TerminalId, Version};
use crate::error::WireError;
use crate::layout::{Body, FixedText, Reader, layout};
use crate::outcome::{DeliveryState, delivery_state};

layout! {
    /// The content of a [`super::Deliver`] whose Registered_Delivery is 1. 71 bytes, in 2.0 60.
    StatusReport(Version) {
        /// The Msg_Id that the SUBMIT_RESP gave.
        msg_id: MsgId = "Msg_Id",
        /// What became of the message; see [`StatusReport::state`].
        stat: FixedText<7> = "Stat",
        /// YYMMDDHHMM.
        submit_time: FixedText<10> = "Submit_time",
        /// YYMMDDHHMM.
        done_time: FixedText<10> = "Done_time",
        /// The recipient.
        dest_terminal_id: TerminalId = "Dest_terminal_Id",
        /// The SMS centre's own number of the message.
        smsc_sequence: u32 = "SMSC_sequence",
    }
}

impl StatusReport {
    /// Reads the content of a delivery by its length: gateways of 3.0 send the 60 bytes of 2.0 too.
    ///
    /// # Errors
    /// A content of neither 60 nor 71 bytes.
    pub fn decode(content: &[u8]) -> Result<StatusReport, WireError> {
        let version = match content.len() {
            60 => Version::V20,
            71 => Version::V30,
            left if left < 60 => return Err(WireError::Short { field: "status report", need: 60, left }),
            _ => return Err(WireError::Value { field: "status report", reason: "neither 60 nor 71 bytes" }),
        };
        StatusReport::read(&mut Reader::new(content), version)
    }

    /// Writes the content.
    ///
    /// # Errors
    /// A number that 2.0 has no room for.
    pub fn encode(&self, version: Version) -> Result<Vec<u8>, WireError> {
        let mut content = Vec::with_capacity(71);
        self.write(&mut content, version)?;
        Ok(content)
    }

    /// What the report says of the delivery.
    pub fn state(&self) -> DeliveryState {
        delivery_state(self.stat.value())
    }
}
