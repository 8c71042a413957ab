//! Whether something after bad bytes states that they were durable.
//!
//! Invariant: the answer is yes when it cannot be found out within the budget, so that hostile bytes end in a
//! refusal and never in a cut.

use batpak_format::{SEGMENT_HEADER_LEN, SegmentHeader};

use super::walk::{BadPoint, Walk};
use crate::error::{RecoveryError, ScanError};
use crate::footer::read_range;
use crate::scan::{ResyncBudget, ScanItem, Scanner};

impl<E> Walk<'_, E> {
    /// Looks for a whole footer, or a valid frame with a durable mark, above the position that is bad: in the rest of
    /// its segment and in all later ones.
    pub(super) fn is_stated_durable(&self, bad: &BadPoint, numbers: &[u64]) -> Result<bool, RecoveryError<E>> {
        let Some(store) = self.store else { return Ok(true) };
        let mut files = Vec::new();
        let mut bytes = 0u64;
        for number in numbers.iter().copied().filter(|number| *number >= bad.segment) {
            let Some(file) = self.open(number)? else { continue };
            let footer = self.footer(number, file.as_ref())?;
            if footer.is_some_and(|footer| footer.summary.next_position > bad.position) {
                return Ok(true);
            }
            bytes = bytes.saturating_add(file.len().map_err(|error| self.io(number, error))?);
            files.push((number, file));
        }
        let mut budget = ResyncBudget::for_bytes(bytes);
        for (number, file) in files {
            let first = SEGMENT_HEADER_LEN as u64;
            let from = if number == bad.segment { bad.offset.max(first) } else { first };
            let found = Scanner::new(file, store, number, from, u64::MAX)
                .and_then(|mut scanner| has_mark_above(&mut scanner, bad.position, &mut budget));
            match found {
                Ok(false) => {}
                Ok(true) | Err(ScanError::BudgetExhausted) => return Ok(true),
                Err(ScanError::Io(error)) => return Err(self.io(number, error)),
            }
        }
        Ok(false)
    }

    /// Whether the bad bytes are good now: a writer beside this reader may have written them meanwhile.
    pub(super) fn is_good_now(&self, bad: &BadPoint) -> Result<bool, RecoveryError<E>> {
        let (Some(store), Some(file)) = (self.store, self.open(bad.segment)?) else { return Ok(true) };
        if bad.offset == 0 {
            let bytes = read_range(file.as_ref(), 0, SEGMENT_HEADER_LEN as u64);
            let bytes = bytes.map_err(|error| self.io(bad.segment, error))?;
            return Ok(SegmentHeader::decode(&bytes).is_ok_and(|header| header.first_position == bad.position));
        }
        let mut scanner = Scanner::new(file, store, bad.segment, bad.offset, u64::MAX)
            .map_err(|error| self.scan_error(bad.segment, error, bad))?;
        let item = scanner.next().map_err(|error| self.scan_error(bad.segment, error, bad))?;
        Ok(matches!(item, ScanItem::Frame { frame, .. } if frame.header().position() == bad.position))
    }
}

/// Whether a valid frame at or after the scanner's place states that `position` was durable when it was written.
fn has_mark_above(scanner: &mut Scanner, position: u64, budget: &mut ResyncBudget) -> Result<bool, ScanError> {
    loop {
        let bad_at = match scanner.next()? {
            ScanItem::Frame { frame, .. } => {
                let header = frame.header();
                if header.durable_mark().min(header.position()) > position {
                    return Ok(true);
                }
                continue;
            }
            ScanItem::Bad { offset, .. } | ScanItem::End { offset } => offset,
        };
        if scanner.resync(bad_at + 1, budget)?.is_none() {
            return Ok(false);
        }
    }
}
