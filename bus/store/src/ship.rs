//! Where the log is shipped to: implemented by each store, called from the one shipping thread.
use qiao_core::StoreError;

use crate::{LogId, Position};

/// What a shipment did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShipReport {
    /// Payloads this version cannot read; they are left out and their segment is kept aside.
    pub unreadable: u64,
}

/// A store that records are shipped into. Calls block; each should return within seconds, with an error if need be.
pub trait ShipTarget: Send {
    /// How far this log was shipped; the default position where nothing was.
    fn position(&mut self, log: LogId) -> Result<Position, StoreError>;

    /// Stores the records and the new position in one transaction. A record whose id is already stored is left as it
    /// is. With `durable` everything shipped so far is on the disk on return, since the log is deleted up to there.
    fn ship(
        &mut self,
        log: LogId,
        payloads: &[&[u8]],
        next: Position,
        durable: bool,
    ) -> Result<ShipReport, StoreError>;
}
