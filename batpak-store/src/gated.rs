//! Appends that are about gates: with a permit, past the gates, and denied on record.
//!
//! Invariant: going past gates is never silent: the event and the one that says so, with the caller's reason, are one unit.

use batpak_format::{BYPASS_GATES_MAX, BatchPart, Bypass, EventId, Record};

use crate::{
    AppendError, Durability, GateSet, NewEvent, Permit, Receipt, Store,
    append::{SealedUnit, Submitted},
    rules::{Asked, Rules},
};

/// The most bytes of a gate's name or code that are put on record.
const NAME_BYTES_MAX: usize = 255;

impl Store {
    /// Appends an event past all gates, the store's and its own, together with a BYPASS event that names them and the reason, which is
    /// permanent and in clear. Expected revision and condition hold all the same.
    ///
    /// # Errors
    /// As [`Store::append`]; [`AppendError::Record`] when the reason has more than 1,024 bytes.
    pub fn append_bypassing(&self, event: &NewEvent<'_>, reason: &str) -> Result<Receipt, AppendError> {
        let writer = self.writer()?;
        let durability = event.durability.unwrap_or(writer.durability);
        let part = |index| Some(BatchPart { index, count: 2 });
        let draft = writer.validate(event, None, part(0))?;
        if let Some(known) = writer.pipeline.known(&draft.id)? {
            return self.repeat(event, &known, durability);
        }
        let gates = self.config.gates.names().chain(event.gates.into_iter().flat_map(GateSet::names));
        let gates = gates.take(BYPASS_GATES_MAX).map(recorded).collect();
        let record = Record::Bypass(Bypass { event: draft.id, gates, reason: reason.to_owned() });
        let mut unit = SealedUnit::default();
        writer.seal(writer.key(draft, self.view())?, &mut unit)?;
        writer.own_event(&record, part(1), &mut unit)?;
        let events = std::slice::from_ref(event);
        if let Submitted::Placed(placed) = self.place(writer, &mut unit, events, Asked::None, durability)? {
            writer.finish(placed, durability)?;
        }
        std::mem::take(&mut unit.receipts).into_iter().next().ok_or(AppendError::Closed)
    }

    pub(crate) fn permit<'a>(
        &'a self,
        event: &'a NewEvent<'a>,
        id: Option<EventId>,
        all: bool,
    ) -> Result<Permit<'a>, AppendError> {
        let writer = self.writer()?;
        let id = writer.validate(event, id, None)?.id;
        let asked = if all { Asked::All } else { Asked::UntilDenied };
        let rules = Rules::of(self, std::slice::from_ref(event), asked);
        let (moment, gates) = writer.pipeline.decide(rules.as_ref(), id)?;
        Ok(Permit { store: self, event, id, moment, gates: gates.unwrap_or_default() })
    }

    pub(crate) fn append_permitted(&self, permit: Permit<'_>) -> Result<Receipt, AppendError> {
        let mut receipt = self.append_as(permit.event, Some(permit.id), Asked::Unless(permit.moment))?;
        if receipt.repeat.is_none() && !permit.gates.is_empty() {
            receipt.gates.get_or_insert(permit.gates);
        }
        Ok(receipt)
    }

    /// Puts denials on record if they are to be.
    pub(crate) fn on_record(&self, why: AppendError, events: &[NewEvent<'_>], durability: Durability) -> AppendError {
        let AppendError::Denied { denied, recorded: None } = why else { return why };
        if !self.config.denials_recorded {
            return AppendError::Denied { denied, recorded: None };
        }
        let mut first = None;
        for denial in &denied {
            let Some(event) = events.get(denial.event) else { continue };
            let record = Record::Denial(batpak_format::Denial {
                gate: recorded(&denial.gate),
                code: recorded(&denial.denial.code),
                kind: event.kind,
                coordinate: event.coordinate.clone(),
            });
            match self.append_system(&record, durability) {
                Ok(receipt) => drop(first.get_or_insert(receipt.position)),
                Err(source) => return AppendError::DenialNotRecorded { denied, source: Box::new(source) },
            }
        }
        AppendError::Denied { denied, recorded: first }
    }
}

/// A name as it is put on record: cut at a border of characters.
fn recorded(name: &str) -> String {
    let end = (0..=NAME_BYTES_MAX.min(name.len())).rev().find(|end| name.is_char_boundary(*end));
    name.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}
