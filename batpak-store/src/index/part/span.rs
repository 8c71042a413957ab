//! What an index file says of the segments that it covers: one entry for each segment, or for each piece of one that once had a file.
//!
//! Invariant: what an entry repeats of a segment's header and footer was read from them when both were whole and the next segment stood
//! behind it. So an open that believes it opens neither; the header of the segment behind the last one is held against it.

use batpak_format::{
    ChainHash, SEGMENT_HEADER_LEN, SUMMARY_LEN, SUMMARY_VERSION, SegmentHeader, SegmentSummary, Timestamp,
};
use batpak_segment::KnownSegment;

use crate::index::Times;

/// Bytes of an encoded entry.
const SPAN_BYTES: usize = 8 * 8 + 32 + SEGMENT_HEADER_LEN + SUMMARY_LEN;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) segment: u64,
    /// Where its first frame begins and its last one ends, in bytes from the start of the segment's file.
    pub(crate) begin: u64,
    pub(crate) end: u64,
    /// The position of its first event.
    pub(crate) first: u64,
    pub(crate) times: Times,
    /// Of the last event.
    pub(crate) chain_hash: ChainHash,
    /// What header and footer of the segment state, when the segment is rolled and ends where this does.
    pub(crate) rolled: Option<KnownSegment>,
}

impl Span {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let (footer_end, header, footer) = match &self.rolled {
            Some(known) => (known.footer_end, known.header.encode().to_vec(), known.footer.encode()),
            None => (0, vec![0; SEGMENT_HEADER_LEN], vec![0; SUMMARY_LEN]),
        };
        let words = [self.segment, self.begin, self.end, self.first, u64::from(self.rolled.is_some()), footer_end];
        words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        let times = [self.times.least, self.times.most];
        times.iter().for_each(|time| out.extend_from_slice(&time.as_micros().to_le_bytes()));
        out.extend_from_slice(self.chain_hash.as_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(&footer);
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.split_first_chunk::<48>()?;
        let (times, rest) = rest.split_first_chunk::<16>()?;
        let (chain_hash, rest) = rest.split_first_chunk::<32>()?;
        let (header, footer) = rest.split_first_chunk::<SEGMENT_HEADER_LEN>()?;
        let mut numbers = [0; 6];
        for (number, word) in numbers.iter_mut().zip(words.as_chunks().0) {
            *number = u64::from_le_bytes(*word);
        }
        let [least, most] = [0, 1].map(|at| times.as_chunks().0.get(at).copied().map_or(0, i64::from_le_bytes));
        let times = Times { least: Timestamp::from_micros(least), most: Timestamp::from_micros(most) };
        let [segment, begin, end, first, is_rolled, footer_end] = numbers;
        let rolled = match is_rolled {
            0 => None,
            _ => Some(KnownSegment {
                header: SegmentHeader::decode(header).ok()?,
                footer: SegmentSummary::decode(SUMMARY_VERSION, footer).ok()?,
                footer_end,
            }),
        };
        let sound = begin < end && end <= u64::from(u32::MAX) + (1 << 32);
        let chain_hash = ChainHash::from_bytes(*chain_hash);
        sound.then_some(Self { segment, begin, end, first, times, chain_hash, rolled })
    }

    /// Reads the entries of a file; none for what no encoder writes.
    pub(super) fn decode_all(bytes: &[u8]) -> Option<Vec<Self>> {
        let spans = bytes.chunks(SPAN_BYTES).map(Self::decode).collect::<Option<Vec<_>>>()?;
        spans.windows(2).all(|pair| pair[0].first < pair[1].first && pair[1].follows(&pair[0])).then_some(spans)
    }

    /// Whether this stands right behind another, in the same segment or at the beginning of the next.
    pub(super) fn follows(&self, before: &Self) -> bool {
        (self.segment == before.segment && self.begin == before.end)
            || (self.segment == before.segment + 1 && self.begin == SEGMENT_HEADER_LEN as u64)
    }
}
