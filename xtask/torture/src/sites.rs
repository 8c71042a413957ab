//! Where a script calls the kernel: every call on the store's files, from one traced run.
//!
//! A call site is the name of the call, the kind of file it is on (its path with numbers left out), and the operation
//! during which it is made. Calls are counted as strace counts them for `when`: by name, in the one thread of the worker.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::Outcome;
use crate::breakage::Breakage;
use crate::child::Worker;
use crate::evidence;
use crate::line::Line;
use crate::script::Script;

/// Calls that change files, make them durable, or open them.
pub(crate) const WRITES: [&str; 17] = [
    "fallocate",
    "fdatasync",
    "fsync",
    "ftruncate",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "openat",
    "pwrite64",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "pwritev",
    "utimensat",
];

/// Calls that read, and take locks.
pub(crate) const READS: [&str; 6] = ["flock", "getdents64", "mmap", "newfstatat", "pread64", "statx"];

/// One call that a run of the script makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// The how many-th of this name it is in its thread, from 1.
    pub(crate) number: u32,
    pub(crate) site: String,
    /// Whether it is the first of its site, or the last.
    pub(crate) is_distinct: bool,
}

impl Call {
    pub(crate) fn is_write(&self) -> bool {
        WRITES.contains(&self.name)
    }
}

/// Runs the script to its end under strace, in `place`, and returns its calls in order.
///
/// # Errors
///
/// When strace is not there, or made no call list.
pub(crate) fn listed(place: &Path, script: Script) -> Outcome<Vec<Call>> {
    fs::create_dir_all(place)?;
    let trace = place.with_extension("trace");
    let names = WRITES.iter().chain(&READS).copied().collect::<Vec<_>>().join(",");
    // A name that this machine's kernel does not have is passed over.
    let names = names.split(',').map(|name| format!("?{name}")).collect::<Vec<_>>().join(",");
    let options = ["-qq", "-y", "-s", "64", "-o", &trace.display().to_string(), "-e", &format!("trace={names},write")];
    let end = Worker::traced(place, script, Breakage::None, &options.map(str::to_owned))?.end()?;
    if end.lines.last() != Some(&Line::Closed) {
        return Err(format!("the traced worker ended after {:?}", end.lines.last()).into());
    }
    let calls = calls(&fs::read_to_string(&trace)?, &place.display().to_string(), script);
    fs::remove_file(&trace)?;
    evidence::discard(place);
    if calls.is_empty() { Err("strace listed no call on the store's files".into()) } else { Ok(calls) }
}

fn calls(trace: &str, place: &str, script: Script) -> Vec<Call> {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut calls = Vec::new();
    let mut during = "create";
    for line in trace.lines() {
        // "1234 name(arguments) = result"; only lines of that shape are calls.
        let Some((name, rest)) = line.split_once(' ').and_then(|(_, call)| call.trim_start().split_once('(')) else {
            continue;
        };
        if name == "write" {
            during = during_after(rest, script).unwrap_or(during);
            continue;
        }
        let Some(name) = WRITES.into_iter().chain(READS).find(|it| *it == name) else { continue };
        let number = counts.entry(name).or_default();
        *number += 1;
        if let Some(file) = file(rest, place) {
            let site = format!("{name} {file} in {during}");
            calls.push(Call { name, number: *number, site, is_distinct: false });
        }
    }
    mark(&mut calls);
    calls
}

/// What the worker does next, when it has just said that something is done.
fn during_after(said: &str, script: Script) -> Option<&'static str> {
    let said = said.split_once('"')?.1;
    let next = match said.strip_prefix("done 0 ") {
        Some(rest) => rest.split(' ').next()?.parse::<u32>().ok()? + 1,
        // The line after a reopening comes before the one that says it is done.
        None if said.starts_with("open ") => 0,
        None => return None,
    };
    Some(if next == script.operations { "close" } else { script.operation(0, next).name() })
}

/// The path below `place` that a call names, without its numbers.
fn file(arguments: &str, place: &str) -> Option<String> {
    let (_, rest) = arguments.split_once(place)?;
    let path: &str = rest.split(['"', '>']).next()?;
    let mut kind = String::new();
    for letter in path.trim_start_matches('/').chars() {
        let letter = if letter.is_ascii_digit() { '#' } else { letter };
        if letter != '#' || !kind.ends_with('#') {
            kind.push(letter);
        }
    }
    Some(if kind.is_empty() { ".".to_owned() } else { kind })
}

fn mark(calls: &mut [Call]) {
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    let mut last = first.clone();
    for (at, call) in calls.iter().enumerate() {
        first.entry(call.site.clone()).or_insert(at);
        last.insert(call.site.clone(), at);
    }
    for at in first.into_values().chain(last.into_values()) {
        calls[at].is_distinct = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\
9 openat(AT_FDCWD</x>, \"/lib/libc.so.6\", O_RDONLY) = 3</lib/libc.so.6>
9 write(1<pipe:[4]>, \"process 9;\\n\", 11) = 11
9 openat(AT_FDCWD</x>, \"/p/store/segments/0001.seg\", O_RDWR|O_CREAT, 0600) = 3</p/store/segments/0001.seg>
9 write(1<pipe:[4]>, \"open 1;\\n\", 8) = 8
9 pwrite64(3</p/store/segments/0001.seg>, \"..\", 2, 0) = 2
9 pwrite64(3</p/store/segments/0002.seg>, \"..\", 2, 0) = 2
9 pwrite64(3</p/store/segments/0002.seg>, \"..\", 2, 0) = 2
9 write(1<pipe:[4]>, \"done 0 0 ok 1;\\n\", 15) = 15
9 fsync(4</p>) = 0
9 +++ exited with 0 +++";

    #[test]
    fn calls_are_counted_as_strace_counts_and_named_by_their_site() {
        let script = Script { seed: 1, round: 0, threads: 1, operations: 1, deferred: false, patient: false };
        let first = script.operation(0, 0).name();
        let calls = calls(TRACE, "/p", script);
        let shown: Vec<_> = calls.iter().map(|it| (it.number, it.site.clone(), it.is_distinct)).collect();
        let write = format!("pwrite64 store/segments/#.seg in {first}");
        assert_eq!(
            shown,
            [
                (2, "openat store/segments/#.seg in create".to_owned(), true),
                (1, write.clone(), true),
                (2, write.clone(), false),
                (3, write, true),
                (1, "fsync . in close".to_owned(), true),
            ]
        );
    }
}
