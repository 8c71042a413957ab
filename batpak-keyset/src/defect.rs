//! Seeded defects: breaks of this crate that the crash simulation must find.
//!
//! Invariant: without `cfg(batpak_defects)`, which no shipped build has, every question is answered `false` at compile time.

/// A break of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Defect {
    /// Leaves are taken that an earlier process reserved.
    LeavesTakenAgain,
    /// A fresh page is numbered after the image's last, whatever the log names.
    PageReused,
}

/// Says whether a defect is seeded.
#[cfg(not(batpak_defects))]
pub(crate) const fn seeded(_: Defect) -> bool {
    false
}

/// Says whether a defect is seeded on this thread.
#[cfg(batpak_defects)]
pub(crate) fn seeded(defect: Defect) -> bool {
    SEEDED.get() == Some(defect)
}

#[cfg(batpak_defects)]
std::thread_local! {
    static SEEDED: std::cell::Cell<Option<Defect>> = const { std::cell::Cell::new(None) };
}

/// Seeds a defect on this thread from here on.
#[cfg(batpak_defects)]
pub fn seed(defect: Option<Defect>) {
    SEEDED.set(defect);
}
