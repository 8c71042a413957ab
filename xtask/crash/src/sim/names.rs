//! The names on the simulated disk: as they are now, as they are durable, and what changed between.
//!
//! Invariant: a change is durable for sure only after the sync of its directory; until then a crash keeps it or does not, each for
//! itself, in order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::random::Random;

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Dir { mode: u32 },
    File(usize),
}

/// One change of a directory.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(PathBuf, Entry),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Entry),
}

impl Change {
    fn dir(&self) -> Option<&Path> {
        match self {
            Self::Put(path, _) | Self::Remove(path) | Self::Rename(path, ..) => path.parent(),
        }
    }
}

/// A change and the call that made it.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) call: u64,
    pub(crate) change: Change,
}

pub(crate) type Map = BTreeMap<PathBuf, Entry>;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) now: Map,
    pub(crate) base: Map,
    pub(crate) pending: Vec<Made>,
}

impl Names {
    pub(crate) fn change(&mut self, change: Change, call: u64) {
        apply(&mut self.now, &change);
        self.pending.push(Made { call, change });
    }

    pub(crate) fn sync(&mut self, dir: &Path) {
        let base = &mut self.base;
        self.pending.retain(|made| {
            let here = made.change.dir() == Some(dir);
            if here {
                apply(base, &made.change);
            }
            !here
        });
    }

    /// A sync that fails: so many of the changes are durable as luck has it, and the others are still to be synced. Names are journalled:
    /// unlike a page that could not be written they are not forgotten while the file system goes on.
    pub(crate) fn fail_sync(&mut self, dir: &Path, random: &mut Random) {
        let here = |made: &&Made| made.change.dir() == Some(dir);
        let mut left = random.below(self.pending.iter().filter(here).count() + 1);
        let base = &mut self.base;
        self.pending.retain(|made| {
            let durable = here(&made) && left > 0;
            if durable {
                left -= 1;
                apply(base, &made.change);
            }
            !durable
        });
    }

    /// The durable names and those changes that `keep` says, without what a missing directory hides.
    pub(crate) fn after_crash(&self, mut keep: impl FnMut(usize) -> bool) -> Map {
        let mut names = self.base.clone();
        for (index, made) in self.pending.iter().enumerate() {
            if keep(index) {
                apply(&mut names, &made.change);
            }
        }
        let whole = names.clone();
        names.retain(|path, _| {
            path.ancestors().skip(1).all(|dir| is_root(dir) || matches!(whole.get(dir), Some(Entry::Dir { .. })))
        });
        names
    }
}

pub(crate) fn is_root(path: &Path) -> bool {
    path.as_os_str().is_empty() || path == Path::new("/")
}

fn apply(names: &mut Map, change: &Change) {
    match change {
        Change::Put(path, entry) => {
            names.insert(path.clone(), *entry);
        }
        Change::Remove(path) => {
            names.remove(path);
        }
        Change::Rename(from, to, entry) => {
            if names.get(from) == Some(entry) {
                names.remove(from);
            }
            names.insert(to.clone(), *entry);
        }
    }
}
