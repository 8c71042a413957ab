//! An ext4 file system in a file, mounted for a test.
//!
//! Invariant: it is unmounted and its loop device given back when it is dropped, whatever became of the test.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

const IMAGE_BYTES: u64 = 48 << 20;

pub struct Mount {
    scratch: TempDir,
    mounted: bool,
}

impl Mount {
    /// Makes and mounts one.
    ///
    /// # Errors
    /// What keeps this system from it: no root, no loop device, no mkfs.
    pub fn ext4() -> io::Result<Self> {
        let mut mount = Self { scratch: tempfile::tempdir()?, mounted: false };
        File::create(mount.image())?.set_len(IMAGE_BYTES)?;
        std::fs::create_dir(mount.dir())?;
        run("mkfs.ext4", ["-q", "-F"], &[&mount.image()])?;
        // The loop device goes with the mount.
        run("mount", ["-o", "loop,data=ordered"], &[&mount.image(), &mount.dir()])?;
        mount.mounted = true;
        Ok(mount)
    }

    /// Where it is mounted.
    pub fn dir(&self) -> PathBuf {
        self.scratch.path().join("mounted")
    }

    /// The raw file system.
    pub fn image(&self) -> PathBuf {
        self.scratch.path().join("ext4.img")
    }

    /// Syncs and unmounts it, so that the image holds all there is.
    pub fn unmount(&mut self) {
        run("sync", ["-f", "--"], &[&self.dir()]).unwrap();
        run("umount", [], &[&self.dir()]).unwrap();
        self.mounted = false;
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.mounted {
            // What a failed test still has open must not keep it.
            if let Err(why) = run("umount", ["-l"], &[&self.dir()]) {
                eprintln!("{why}");
            }
        }
    }
}

fn run<const N: usize>(program: &str, words: [&str; N], paths: &[&Path]) -> io::Result<()> {
    let words = words.iter().map(OsStr::new).chain(paths.iter().map(|path| path.as_os_str()));
    let output = Command::new(program).args(words).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))),
    }
}
