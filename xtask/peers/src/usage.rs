//! What the process and its folder take: memory, write calls and bytes, context switches, bytes on disk.
//!
//! Invariant: memory is anonymous resident memory; pages of files, mapped or cached, are not in it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::Outcome;
use crate::flushes;

/// What the process has done so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) flushes: u64,
    /// Calls that write: write, pwrite, writev and their like.
    pub(crate) writes: u64,
    /// Bytes handed to them.
    pub(crate) written: u64,
    /// Context switches that this thread asked for.
    pub(crate) switches: u64,
}

impl Usage {
    /// Reads it from the kernel.
    pub(crate) fn now() -> Outcome<Usage> {
        let io = fs::read_to_string("/proc/self/io")?;
        let status = fs::read_to_string("/proc/thread-self/status")?;
        Ok(Usage {
            flushes: flushes::count(),
            writes: field(&io, "syscw:")?,
            written: field(&io, "wchar:")?,
            switches: field(&status, "voluntary_ctxt_switches:")?,
        })
    }

    /// Returns what was done since.
    pub(crate) fn since(self, before: Usage) -> Usage {
        Usage {
            flushes: self.flushes - before.flushes,
            writes: self.writes - before.writes,
            written: self.written - before.written,
            switches: self.switches - before.switches,
        }
    }
}

/// Returns the anonymous resident memory of this process, in bytes.
pub(crate) fn anonymous() -> Outcome<u64> {
    Ok(field(&fs::read_to_string("/proc/self/status")?, "RssAnon:")? * 1024)
}

/// Returns the resident pages of files that this process maps, in bytes.
pub(crate) fn mapped() -> Outcome<u64> {
    Ok(field(&fs::read_to_string("/proc/self/status")?, "RssFile:")? * 1024)
}

/// The lengths of all files below a folder, and the blocks they take, in bytes.
pub(crate) fn on_disk(dir: &Path) -> Outcome<(u64, u64)> {
    let (mut bytes, mut blocks) = (0, 0);
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let data = entry.metadata()?;
        let (more, taken) = if data.is_dir() { on_disk(&entry.path())? } else { (data.len(), data.blocks() * 512) };
        bytes += more;
        blocks += taken;
    }
    Ok((bytes, blocks))
}

fn field(text: &str, name: &str) -> Outcome<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()).ok_or_else(|| format!("no {name} in /proc"))?;
    Ok(number.parse()?)
}
