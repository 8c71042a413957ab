//! Segments that are not opened, since the visitor knows what their headers and footers state.
//!
//! Invariant: what is believed leads from the log read so far to the header of a segment that is opened: each one begins at the position
//! and with the chain hash that the one before ends with. The last segment is always opened, and so is the one before it, whose footer
//! may have to be written again.

use batpak_format::{SegmentEnd, SegmentHeader};

use super::walk::Walk;
use super::{KnownSegment, SegmentInfo, Unopened};
use crate::error::RecoveryError;

impl<E> Walk<'_, E> {
    /// Goes past the segments from `numbers[at]` on that the visitor knows; returns how many.
    pub(super) fn go_past_known(&mut self, at: usize, numbers: &[u64]) -> Result<usize, RecoveryError<E>> {
        let (Some(segment), Some(last)) = (numbers.get(at).copied(), numbers.last().copied()) else { return Ok(0) };
        let mut limit = last;
        while segment < limit {
            let first_position = self.next_position;
            let offered = self.visitor.offer(Unopened { segment, first_position, limit });
            let Some(end) = offered.last().map(|known| known.header.number) else { return Ok(0) };
            if end < limit && self.leads_on(segment, &offered, last)? {
                let taken = self.visitor.take_offered().map_err(RecoveryError::Visit)?;
                offered.iter().take(taken).for_each(|known| self.believe(known));
                return Ok(taken.min(offered.len()));
            }
            limit = end.min(limit - 1);
        }
        Ok(0)
    }

    /// Whether segments follow from the log so far, and the header behind them from them.
    fn leads_on(&mut self, segment: u64, offered: &[KnownSegment], last: u64) -> Result<bool, RecoveryError<E>> {
        let (mut number, mut next, mut chain_hash) = (segment, self.next_position, self.last_chain_hash);
        for known in offered {
            let (header, footer) = (&known.header, &known.footer);
            let follows = (header.number, header.first_position) == (number, next)
                && header.previous_chain_hash == chain_hash
                && self.store.is_none_or(|store| store == header.store)
                && footer.first_position == next
                && footer.end == SegmentEnd::Rolled;
            if !follows || number + 1 == last && !self.is_as_known(known)? {
                return Ok(false);
            }
            (number, next, chain_hash) = (number + 1, footer.next_position, footer.chain_hash);
        }
        let behind = self.header_of(number)?;
        Ok(behind.is_some_and(|behind| behind.first_position == next && behind.previous_chain_hash == chain_hash))
    }

    /// Whether header and footer of a segment are what the visitor knows.
    fn is_as_known(&mut self, known: &KnownSegment) -> Result<bool, RecoveryError<E>> {
        let number = known.header.number;
        let Some(file) = self.open(number)? else { return Ok(false) };
        let footer = self.footer(number, file.as_ref())?;
        let same = footer.is_some_and(|footer| (footer.summary, footer.end) == (known.footer, known.footer_end));
        Ok(same && self.read_header(number, file.as_ref())? == Some(known.header))
    }

    fn header_of(&mut self, number: u64) -> Result<Option<SegmentHeader>, RecoveryError<E>> {
        match self.open(number)? {
            Some(file) => self.read_header(number, file.as_ref()),
            None => Ok(None),
        }
    }

    fn believe(&mut self, known: &KnownSegment) {
        let (header, footer) = (&known.header, &known.footer);
        self.store = Some(header.store);
        self.marks.raise(footer.next_position);
        (self.next_position, self.last_chain_hash) = (footer.next_position, footer.chain_hash);
        self.segments.push(SegmentInfo {
            number: header.number,
            first_position: header.first_position,
            keyset_epoch: header.keyset_epoch,
            log_len: footer.log_len,
            end: known.footer_end,
            footer: Some(*footer),
        });
    }
}
