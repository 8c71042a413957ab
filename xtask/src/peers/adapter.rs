//! The adapters as readers see them.
//!
//! Invariant: the order is that of the rows of each table; what is in one colour is one peer.

/// One adapter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adapter {
    /// As the program that measures knows it.
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    /// For the legend of a plot.
    pub(super) short: &'static str,
    pub(super) colour: &'static str,
}

const fn adapter(key: &'static str, name: &'static str, short: &'static str, colour: &'static str) -> Adapter {
    Adapter { key, name, short, colour }
}

/// All of them.
pub(super) const ADAPTERS: [Adapter; 15] = [
    adapter("floor", "floor: one growing file, a CRC, no index", "floor", "#8a8a8a"),
    adapter("floor-written", "floor over written blocks", "floor, written blocks", "#5f5f5f"),
    adapter("floor-buffer", "floor with a buffer of 64 KiB", "floor, buffer", "#c4c4c4"),
    adapter("floor-ring", "floor, sealed, `ring`", "floor, sealed", "#6b8e23"),
    adapter("floor-chacha", "floor, sealed, `chacha20poly1305`", "floor, chacha20poly1305", "#a9c46c"),
    adapter("batpak", "**this store**, sealed", "this store, sealed", "#c0392b"),
    adapter("batpak-plain", "**this store**, plain", "this store, plain", "#e79b8f"),
    adapter("published", "the published crate `batpak` 0.10, another code base", "published batpak 0.10", "#7d3c98"),
    adapter("published-group", "the same, groups of 64", "published 0.10, groups", "#a569bd"),
    adapter("published-sealed", "the same, its encryption", "published 0.10, sealed", "#c39bd3"),
    adapter("fjall", "fjall 3", "fjall 3", "#2471a3"),
    adapter("redb", "redb 4", "redb 4", "#148f77"),
    adapter("raft-engine", "raft-engine 0.4", "raft-engine 0.4", "#d68910"),
    adapter("okaywal", "okaywal 0.3", "okaywal 0.3", "#7e5109"),
    adapter("sqlite", "SQLite, WAL, FULL / NORMAL", "SQLite, WAL", "#1b2631"),
];
