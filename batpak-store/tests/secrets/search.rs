//! The child, and the search of its memory: every private map that it can write to, so heap, stacks, and what it keeps in statics.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::FileExt,
    process::{Command, Stdio},
};

use batpak_store::format::StoreId;
use tempfile::TempDir;

use crate::{
    needles::Needles,
    subject::{KEEPER, Keeper, PLACE, SEED},
};

pub const PIECE: usize = 1 << 20;
const SEED_OF_ALL: u64 = 0x5EED;

/// A point at which the child stands still, and what it drew up to there.
#[derive(Clone, Debug)]
pub struct Stage {
    pub name: String,
    pub seed: u64,
    pub store: StoreId,
    /// Number and length of each draw.
    pub draws: Vec<(u64, usize)>,
}

pub struct Child {
    process: std::process::Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    draws: Vec<(u64, usize)>,
    store: Option<StoreId>,
    _place: TempDir,
}

impl Child {
    pub fn start(keeper: Keeper) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["memory::subject", "--exact", "--nocapture"])
            .env(PLACE, place.path())
            .env(SEED, SEED_OF_ALL.to_string())
            .env(KEEPER, format!("{keeper:?}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines, draws: Vec::new(), store: None, _place: place }
    }

    /// Reads on until the child stands still; none when it has ended well.
    pub fn next_stage(&mut self) -> Option<Stage> {
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            // The first line of a test without captured output goes on behind its name.
            let said = line.rsplit(" ... ").next().unwrap();
            match said.split_once(' ') {
                Some(("drew", draw)) => {
                    let (number, len) = draw.split_once(' ').unwrap();
                    self.draws.push((number.parse().unwrap(), len.parse().unwrap()));
                }
                Some(("store", store)) => self.store = Some(store.parse().unwrap()),
                Some(("stage", name)) => {
                    let (store, draws) = (self.store.unwrap(), std::mem::take(&mut self.draws));
                    return Some(Stage { name: name.into(), seed: SEED_OF_ALL, store, draws });
                }
                _ => {}
            }
        }
        assert!(self.process.wait().unwrap().success());
        None
    }

    pub fn go_on(&mut self) {
        self.process.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// The names of what is in the child's memory.
    pub fn search(&self, needles: &Needles) -> io::Result<Vec<String>> {
        let process = format!("/proc/{}", self.process.id());
        let memory = File::open(format!("{process}/mem"))?;
        let mut found = vec![false; needles.0.len()];
        let (mut maps, mut bytes) = (0, 0);
        for line in BufReader::new(File::open(format!("{process}/maps"))?).lines() {
            let line = line?;
            let mut fields = line.split_ascii_whitespace();
            let (range, mode) = (fields.next().unwrap(), fields.next().unwrap());
            if !mode.starts_with("rw") || !mode.ends_with('p') {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let address = |text| u64::from_str_radix(text, 16).unwrap();
            maps += 1;
            bytes += search_map(&memory, address(start), address(end), needles, &mut found)?;
        }
        assert!(maps > 5 && bytes > 100_000, "{maps} maps, {bytes} bytes");
        let names = needles.0.iter().zip(&found).filter(|(_, found)| **found).map(|((name, _), _)| name.clone());
        Ok(names.collect())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Searches one map; a page that cannot be read ends it.
fn search_map(memory: &File, start: u64, end: u64, needles: &Needles, found: &mut [bool]) -> io::Result<u64> {
    let mut piece = vec![0; PIECE + 31];
    let mut at = start;
    while at < end {
        let len = usize::try_from(end - at).unwrap().min(piece.len());
        match memory.read_exact_at(&mut piece[..len], at) {
            Err(why) if why.kind() == io::ErrorKind::PermissionDenied => return Err(why),
            Err(_) => break,
            Ok(()) => {}
        }
        search_piece(&piece[..len], needles, found);
        at += PIECE as u64;
    }
    Ok(at.min(end) - start)
}

/// Marks the needles that a piece of bytes holds.
pub fn search_piece(piece: &[u8], needles: &Needles, found: &mut [bool]) {
    // By the first byte, so that an unoptimised build gets through.
    let mut by_first = vec![Vec::new(); 256];
    for (n, (_, needle)) in needles.0.iter().enumerate() {
        by_first[usize::from(needle[0])].push(n);
    }
    for (at, byte) in piece.iter().enumerate() {
        for n in &by_first[usize::from(*byte)] {
            found[*n] |= piece[at..].starts_with(&needles.0[*n].1);
        }
    }
}
