//! Where the stores of a run stand: a folder of its own, with file systems mounted below it.
//!
//! Invariant: every mount and loop device goes with its handle; what a killed run left behind goes at the next start.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::thread;
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use crate::Outcome;

/// Begins the name of each run's folder, the process id of the run following.
const PREFIX: &str = "batpak-torture-";

/// The folder of a run.
///
/// # Errors
///
/// When it cannot be made.
pub(crate) fn folder() -> Outcome<TempDir> {
    Ok(tempfile::Builder::new().prefix(&format!("{PREFIX}{}-", process::id())).tempdir()?)
}

/// Unmounts and detaches what runs that are gone have left.
///
/// # Errors
///
/// When the mounts cannot be listed.
pub(crate) fn sweep() -> Outcome {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    // Those mounted last stand above the others.
    for target in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)).filter(|it| is_left(it)) {
        println!("left by an earlier run, unmounted: {target}");
        unmount(target, UnmountFlags::DETACH)?;
    }
    let Ok(listed) = Command::new("losetup").args(["--noheadings", "--list", "--output", "NAME,BACK-FILE"]).output()
    else {
        return Ok(());
    };
    for line in String::from_utf8_lossy(&listed.stdout).lines().filter(|line| is_left(line)) {
        if let Some(device) = line.split_whitespace().next() {
            // One whose mount has gone just now detaches itself.
            let _ = Command::new("losetup").args(["--detach", device]).status();
        }
    }
    Ok(())
}

/// Whether the text names the folder of a run whose process is gone.
fn is_left(text: &str) -> bool {
    let owner = text.split_once(PREFIX).and_then(|(_, rest)| rest.split('-').next()?.parse::<u32>().ok());
    owner.is_some_and(|owner| !Path::new(&format!("/proc/{owner}")).exists())
}

/// A mounted file system.
#[derive(Debug)]
pub(crate) struct Mounted {
    target: PathBuf,
}

impl Mounted {
    /// Mounts a file system in memory that holds so many bytes, on a folder that is made.
    ///
    /// # Errors
    ///
    /// When the system refuses, for want of the right to mount, say.
    pub(crate) fn memory(target: &Path, bytes: u64) -> Outcome<Mounted> {
        fs::create_dir_all(target)?;
        let size = std::ffi::CString::new(format!("size={bytes}"))?;
        mount("none", target, "tmpfs", MountFlags::empty(), size.as_c_str())?;
        Ok(Mounted { target: target.to_owned() })
    }

    /// Mounts the ext4 of a device on a folder that is made.
    ///
    /// # Errors
    ///
    /// As [`Mounted::memory`].
    pub(crate) fn ext4(device: &Path, target: &Path) -> Outcome<Mounted> {
        fs::create_dir_all(target)?;
        mount(device, target, "ext4", MountFlags::empty(), c"")?;
        Ok(Mounted { target: target.to_owned() })
    }

    /// Where it stands.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Unmounts, and says when it could not.
    ///
    /// # Errors
    ///
    /// When it is still in use after two seconds.
    pub(crate) fn end(mut self) -> Outcome {
        let target = std::mem::take(&mut self.target);
        for _ in 0..200 {
            match unmount(&target, UnmountFlags::empty()) {
                // A process that was killed may not have let go of its files yet.
                Err(rustix::io::Errno::BUSY) => thread::sleep(Duration::from_millis(10)),
                ended => return Ok(ended?),
            }
        }
        self.target = target;
        Err(format!("{} stays in use", self.target.display()).into())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if !self.target.as_os_str().is_empty() {
            let _ = unmount(&self.target, UnmountFlags::DETACH);
        }
    }
}

/// A sparse image with an ext4 in it, as a block device.
#[derive(Debug)]
pub(crate) struct Image {
    device: PathBuf,
}

impl Image {
    /// Makes an image of so many bytes at `path` and attaches it.
    ///
    /// # Errors
    ///
    /// When a tool is missing or refuses.
    pub(crate) fn create(path: &Path, bytes: u64) -> Outcome<Image> {
        File::create_new(path)?.set_len(bytes)?;
        let image = path.display().to_string();
        // Nothing is written later on behind our back.
        run("mkfs.ext4", &["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", &image])?;
        let device = run("losetup", &["--find", "--show", &image])?;
        Ok(Image { device: PathBuf::from(device.trim()) })
    }

    /// Its block device.
    pub(crate) fn device(&self) -> &Path {
        &self.device
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = run("losetup", &["--detach", &self.device.display().to_string()]);
    }
}

/// A file that takes the room of a disk.
#[derive(Debug)]
pub(crate) struct Ballast {
    path: PathBuf,
}

impl Ballast {
    /// Leaves so many bytes free of the disk that `dir` is on.
    ///
    /// # Errors
    ///
    /// When the disk does not tell its room, or refuses.
    pub(crate) fn leave(dir: &Path, bytes: u64) -> Outcome<Ballast> {
        let ballast = Ballast { path: dir.join("ballast") };
        let file = File::create(&ballast.path)?;
        let room = rustix::fs::fstatvfs(&file)?;
        let taken = (room.f_bavail * room.f_frsize).saturating_sub(bytes);
        if taken > 0 {
            rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, taken)?;
        }
        Ok(ballast)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        // A disk that is gone is free as well.
        let _ = fs::remove_file(&self.path);
    }
}

fn run(program: &str, words: &[&str]) -> Outcome<String> {
    let output = Command::new(program).args(words).output().map_err(|why| format!("{program}: {why}"))?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_left_spares_the_folders_of_processes_that_run() {
        let live = format!("/tmp/{PREFIX}{}-a1/memory", process::id());
        assert!(!is_left(&live));
        // Beyond the largest process id there can be.
        assert!(is_left(&format!("/dev/loop0 /tmp/{PREFIX}4194305-a1/image")));
        assert!(!is_left("/tmp/other-4194305-a1"));
    }
}
