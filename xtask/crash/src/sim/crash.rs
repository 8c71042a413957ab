//! What a crash may leave: for each sector any value since its sync, any length, any of the changes of names.
//!
//! Invariant: every state is legal. What is synced is there; what is not is there or not, each for itself; where a file was extended
//! and its data are missing, zeros stand or bytes of something else.

use std::sync::Arc;

use crate::random::{Random, mix};
use crate::sim::State;
use crate::sim::file::{Content, File, SECTOR, Sector};
use crate::sim::names::{Entry, Names};

/// Up to so many states of one crash point are all visited.
pub(crate) const ALL_MAX: u64 = 4096;
/// States drawn at random where there are more.
const DRAWN: u64 = 64;

/// What stands where a file was extended and no data came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filler {
    Zeros,
    Garbage(u64),
    /// What the file held that was removed last, at the same place.
    Stale,
}

/// One legal state, as the choices that lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Crash {
    /// For each dimension which of its values.
    pub(crate) choices: Vec<u32>,
    pub(crate) filler: Filler,
}

/// Something that a crash decides.
#[derive(Clone, Debug)]
enum Dimension {
    Sector { file: usize, index: usize },
    Length { file: usize, lengths: Vec<u64> },
    Name { change: usize },
}

/// All that a crash at one moment may leave.
#[derive(Debug)]
pub(crate) struct Space<'a> {
    state: &'a State,
    dimensions: Vec<Dimension>,
    sizes: Vec<u32>,
    extended: bool,
}

impl<'a> Space<'a> {
    pub(crate) fn of(state: &'a State) -> Self {
        let mut space = Self { state, dimensions: Vec::new(), sizes: Vec::new(), extended: false };
        for (number, file) in state.files().iter().enumerate() {
            for (index, versions) in &file.pending {
                space.add(Dimension::Sector { file: number, index: *index }, versions.len() + 1);
            }
            if !file.lengths.is_empty() {
                let lengths = lengths(file);
                space.extended |= lengths.iter().any(|length| *length > file.base.len);
                let count = lengths.len();
                space.add(Dimension::Length { file: number, lengths }, count);
            }
        }
        for change in 0..state.names().pending.len() {
            space.add(Dimension::Name { change }, 2);
        }
        space
    }

    fn add(&mut self, dimension: Dimension, size: usize) {
        self.dimensions.push(dimension);
        self.sizes.push(size as u32);
    }

    /// How many states there are, fillers not counted.
    pub(crate) fn count(&self) -> u64 {
        self.sizes.iter().fold(1, |count: u64, size| count.saturating_mul(u64::from(*size)))
    }

    /// The states to be visited: all of them when they are few, else the ones that break most. At most `most`, drawn evenly.
    pub(crate) fn crashes(&self, seed: u64, most: usize) -> Vec<Crash> {
        let mut choices = if self.count() <= ALL_MAX.min(most as u64) { self.all() } else { self.telling(seed) };
        let mut random = Random::new(mix(&[seed, 1]));
        while choices.len() > most {
            // None and all stay.
            let at = 2 + random.below(choices.len() - 2);
            choices.swap_remove(at);
        }
        let mut crashes: Vec<Crash> =
            choices.into_iter().map(|choices| Crash { choices, filler: Filler::Zeros }).collect();
        if self.extended {
            for (at, crash) in crashes.iter_mut().enumerate() {
                crash.filler = match (at as u64 + seed) % 3 {
                    0 => Filler::Zeros,
                    1 => Filler::Garbage(mix(&[seed, at as u64])),
                    _ => Filler::Stale,
                };
            }
        }
        crashes
    }

    /// All that was written.
    pub(crate) fn everything(&self) -> Crash {
        Crash { choices: self.last(), filler: Filler::Zeros }
    }

    /// The newest value of each; of a length the one before the last, which is a length the file never had.
    fn last(&self) -> Vec<u32> {
        let newest = |(dimension, size): (&Dimension, &u32)| match dimension {
            Dimension::Length { .. } => size - 2,
            _ => size - 1,
        };
        self.dimensions.iter().zip(&self.sizes).map(newest).collect()
    }

    fn all(&self) -> Vec<Vec<u32>> {
        let mut all = vec![vec![0; self.sizes.len()]];
        let mut choices = vec![0; self.sizes.len()];
        loop {
            let Some(at) = (0..choices.len()).find(|at| choices[*at] + 1 < self.sizes[*at]) else {
                // None first, all second.
                if all.len() > 2 {
                    let last = all.len() - 1;
                    all.swap(1, last);
                }
                return all;
            };
            choices[at] += 1;
            choices[..at].fill(0);
            all.push(choices.clone());
        }
    }

    fn telling(&self, seed: u64) -> Vec<Vec<u32>> {
        let (none, last) = (vec![0; self.sizes.len()], self.last());
        let mut all = vec![none.clone(), last.clone()];
        for (at, size) in self.sizes.iter().enumerate() {
            for choice in 0..*size {
                let mut missing = last.clone();
                missing[at] = choice;
                let mut alone = none.clone();
                alone[at] = choice;
                all.extend([missing, alone]);
            }
        }
        let mut calls: Vec<u64> = (0..self.dimensions.len()).flat_map(|at| self.calls(at)).collect();
        calls.sort_unstable();
        calls.dedup();
        all.extend(calls.iter().map(|call| self.prefix(*call)));
        let mut random = Random::new(seed);
        let drawn = (0..DRAWN).map(|_| self.sizes.iter().map(|size| random.below(*size as usize) as u32).collect());
        all.extend(drawn.collect::<Vec<Vec<u32>>>());
        all
    }

    /// The calls that a dimension remembers, one for each value after the first.
    fn calls(&self, at: usize) -> Vec<u64> {
        match &self.dimensions[at] {
            Dimension::Sector { file, index } => {
                self.state.file(*file).pending[index].iter().map(|dated| dated.call).collect()
            }
            Dimension::Length { file, .. } => self.state.file(*file).lengths.iter().map(|dated| dated.call).collect(),
            Dimension::Name { change } => vec![self.state.names().pending[*change].call],
        }
    }

    /// Everything up to a call and nothing after it.
    fn prefix(&self, call: u64) -> Vec<u32> {
        (0..self.dimensions.len()).map(|at| self.calls(at).iter().filter(|it| **it <= call).count() as u32).collect()
    }

    /// The disk after this crash: all of it durable, nothing open.
    pub(crate) fn after(&self, crash: &Crash) -> State {
        let mut files: Vec<File> = self.state.files().iter().map(|file| settled(file)).collect();
        let mut kept = vec![false; self.state.names().pending.len()];
        for (dimension, choice) in self.dimensions.iter().zip(&crash.choices) {
            match dimension {
                Dimension::Sector { file, index } => {
                    if let Some(version) = (*choice as usize).checked_sub(1) {
                        let sector = self.state.file(*file).pending[index][version].value.clone();
                        files[*file].now.put(*index, sector);
                    }
                }
                Dimension::Name { change } => kept[*change] = *choice == 1,
                Dimension::Length { .. } => {}
            }
        }
        for (dimension, choice) in self.dimensions.iter().zip(&crash.choices) {
            if let Dimension::Length { file, lengths } = dimension {
                self.stretch(&mut files[*file], *file, lengths[*choice as usize], crash);
            }
        }
        for file in &mut files {
            let len = file.now.len;
            file.now.sectors.truncate((len as usize).div_ceil(SECTOR));
            file.base = file.now.clone();
        }
        let names = self.state.names().after_crash(|change| kept[change]);
        State::of(files, Names { now: names.clone(), base: names, pending: Vec::new() }, self.state.buried().cloned())
    }

    /// Gives a file its length; where that is new and no data came, the filler stands.
    fn stretch(&self, file: &mut File, number: usize, len: u64, crash: &Crash) {
        let before = self.state.file(number);
        let first_new = (before.base.len as usize).div_ceil(SECTOR);
        if crash.filler != Filler::Zeros {
            for index in first_new..(len as usize).div_ceil(SECTOR) {
                let chosen = self.choice(crash, number, index);
                let had_none = before.pending.contains_key(&index) && chosen == 0;
                // Zeros that were written are no version of their own on a sector that was never there.
                if had_none || (!before.pending.contains_key(&index) && drawn(crash.filler, index)) {
                    let sector = filled(crash.filler, self.state, index);
                    file.now.put(index, sector);
                }
            }
        }
        let reach = file.now.sectors.len() * SECTOR;
        file.now.len = file.now.len.max(reach as u64);
        file.now.set_len(len);
    }

    fn choice(&self, crash: &Crash, file: usize, index: usize) -> u32 {
        let find = |dimension: &Dimension| matches!(dimension, Dimension::Sector { file: of, index: at } if *of == file && *at == index);
        self.dimensions.iter().position(find).map_or(0, |at| crash.choices[at])
    }

    /// The trace of a crash, for people.
    pub(crate) fn shown(&self, crash: &Crash) -> String {
        let mut shown = format!("{:?};", crash.filler);
        for (dimension, choice) in self.dimensions.iter().zip(&crash.choices) {
            let name = |file: usize| {
                let named = self.state.names().now.iter().find(|(_, entry)| **entry == Entry::File(file));
                named.map_or_else(|| format!("#{file}"), |(path, _)| path.display().to_string())
            };
            shown += &match dimension {
                Dimension::Sector { file, index } => format!(" {}[{index}]={choice}", name(*file)),
                Dimension::Length { file, lengths } => format!(" {}.len={}", name(*file), lengths[*choice as usize]),
                Dimension::Name { change } => {
                    format!(" {:?}={choice}", self.state.names().pending[*change].change)
                }
            };
        }
        shown
    }
}

/// Every length the file had, oldest first, and then one between.
fn lengths(file: &File) -> Vec<u64> {
    let mut lengths = vec![file.base.len];
    lengths.extend(file.lengths.iter().map(|dated| dated.value));
    let ends = lengths.iter().min().zip(lengths.iter().max());
    lengths.push(ends.map_or(0, |(least, most)| least.midpoint(*most) | 1).min(file.now.len.max(file.base.len)));
    lengths
}

/// The file as far as it is durable.
fn settled(file: &File) -> File {
    File {
        now: file.base.clone(),
        base: Content::default(),
        mode: file.mode,
        identity: file.identity,
        version: file.version,
        ..File::default()
    }
}

fn drawn(filler: Filler, index: usize) -> bool {
    match filler {
        Filler::Garbage(seed) => mix(&[seed, index as u64]).is_multiple_of(16),
        Filler::Stale => true,
        Filler::Zeros => false,
    }
}

fn filled(filler: Filler, state: &State, index: usize) -> Sector {
    match filler {
        Filler::Zeros => None,
        Filler::Stale => state.buried().and_then(|buried| buried.sector(index)),
        Filler::Garbage(seed) => {
            let mut random = Random::new(mix(&[seed, index as u64]));
            let mut bytes = [0; SECTOR];
            for piece in bytes.chunks_mut(8) {
                piece.copy_from_slice(&random.next().to_le_bytes());
            }
            Some(Arc::new(bytes))
        }
    }
}
