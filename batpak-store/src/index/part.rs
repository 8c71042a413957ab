//! Index files: the index of the events of some segments that follow one another, or of a piece of one, as a file that is answered from a
//! memory map.
//!
//! An index file (`FORMAT.md` of this crate) is a footer by itself: a checked table of sections, each with a check of its own. It holds no
//! names and no ids: hash tables lead to events, whose frames are read to see whether they are the ones that were asked for.
//!
//! Invariants: it is derived: without it its segments are read and it is made again. It is made whole and synced under another name before
//! it gets its own. Its table is checked when it is opened, each section when it is used first; one that is damaged is told, and never
//! answered from.

mod encode;
mod head;
mod keyed;
mod list;
mod mapped;
mod matching;
mod merge;
mod open;
mod shelf;
mod shred_facts;
mod source;
mod span;
mod table;
mod write;

use head::PartHead;
pub(crate) use head::{LastIntent, is_time_ordered};
pub(crate) use keyed::Key;
pub(crate) use mapped::MappedPart;
pub(crate) use shelf::Shelf;
pub(crate) use shred_facts::ShredPlaces;
pub(crate) use source::{INDEX_DIR, Source};
pub(crate) use span::Span;

/// The sections, by their tags; those of footers are below 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Head = 16,
    /// Where each frame begins, 32 bits each.
    Offsets = 17,
    /// Event id to place.
    Ids = 18,
    Entities = 19,
    Scopes = 20,
    Kinds = 21,
    Tags = 22,
    Causes = 23,
    Correlations = 24,
    /// Key scope to the events from which on it has another key.
    KeyScopes = 25,
    /// The keys that events name, and shred intents.
    Named = 26,
    /// Holds and releases.
    Records = 27,
    /// The segments that the file covers.
    Spans = 28,
    /// Key scope to the records that say it was shredded, or readmitted.
    Shreds = 29,
}

impl Section {
    const ALL: [Self; 14] = [
        Self::Head,
        Self::Offsets,
        Self::Ids,
        Self::Entities,
        Self::Scopes,
        Self::Kinds,
        Self::Tags,
        Self::Causes,
        Self::Correlations,
        Self::KeyScopes,
        Self::Named,
        Self::Records,
        Self::Spans,
        Self::Shreds,
    ];

    /// Those that lead from a key to a list of events, made of what the index in memory knows of these.
    const KEYED: [Self; 7] =
        [Self::Entities, Self::Scopes, Self::Kinds, Self::Tags, Self::Causes, Self::Correlations, Self::KeyScopes];

    const fn tag(self) -> u16 {
        self as u16
    }

    /// Whether a file without the section is none; else the section is empty then.
    const fn is_needed(self) -> bool {
        matches!(self, Self::Head | Self::Offsets | Self::Ids | Self::Named | Self::Records | Self::Spans)
    }
}
