//! Shreds in a wrong order, for the crash simulation to find; compiled under `cfg(batpak_defects)` only.
//!
//! Invariant: nothing of this is in a shipped store.

use batpak_format::Record;

use crate::{
    Pending, ShredError, Store, Unfinished,
    commit::Condemns,
    defect::{Defect, seeded},
    pending::{Begun, ShredTurn},
    shred::Prepared,
    sync::lock,
};

/// Whether a shred is to go wrong here.
pub(crate) fn is_seeded() -> bool {
    seeded(Defect::IntentAfterPuncture) || seeded(Defect::NodesWipedEarly)
}

impl Store {
    /// The point of no return with its steps in a wrong order.
    pub(crate) fn misordered(&self, turn: &ShredTurn<'_>, prepared: Prepared) -> Result<u64, ShredError> {
        let Prepared { keys: victims, intents, frontiers, secret, .. } = prepared;
        let (keys, pipeline) = (turn.keys, &turn.writer.pipeline);
        let intent = lock(&pipeline.state).next_position + intents.len() as u64 - 1;
        let pending = |why| ShredError::Pending { intent, source: Unfinished::Publication(why) };
        let condemns = Condemns { keys: &victims, holds: &|_| Ok(true) };
        keys.in_publication_turn(|durable| {
            let begun = Begun::new(Pending::Shred { intent }, victims.clone(), frontiers.unreachable());
            keys.stage(begun, frontiers, Some(intent), secret).map_err(pending)?;
            if seeded(Defect::IntentAfterPuncture) {
                keys.publish_staged(pipeline.log_seen(), durable).map_err(pending)?;
            } else {
                keys.adopt(&[]).map_err(pending)?;
            }
            let records: Vec<Record> = intents.into_iter().map(Record::ShredIntent).collect();
            let receipts = self.append_intents(&records, &condemns)?.unwrap_or_default();
            keys.record_intents(receipts.iter().map(|receipt| receipt.position).zip(&records));
            if seeded(Defect::NodesWipedEarly) {
                keys.publish_staged(pipeline.log_seen(), durable).map_err(pending)?;
            }
            Ok(intent)
        })
    }
}
