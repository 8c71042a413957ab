//! The tiers: what each takes, and how much of it is run.
//!
//! Invariant: a tier that cannot run here is named with the reason, and never passed over in silence.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::ground::{Image, Mounted};
use crate::tally::{Counted, Tally};
use crate::{Outcome, crowd, full, injected, kills, lost_sync, power};

const SEED: u64 = 1;
/// For all file systems in memory together; they are sparse.
const MEMORY_BYTES: u64 = 4 << 30;
const GROUND_BYTES: u64 = 2 << 30;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) seed: u64,
    pub(crate) is_long: bool,
    /// One tier only.
    only: Option<String>,
}

impl Asked {
    /// Reads the command line.
    ///
    /// # Errors
    ///
    /// With the usage.
    pub(crate) fn parse(words: &[&str]) -> Outcome<Asked> {
        let mut asked = Asked { seed: SEED, is_long: false, only: None };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match (*word, words.as_slice().first()) {
                ("--long", _) => asked.is_long = true,
                ("--seed", Some(seed)) => asked.seed = seed.parse()?,
                ("--only", Some(tier)) => asked.only = Some((*tier).to_owned()),
                _ => return Err("usage: cargo xtask torture [--long] [--seed S] [--only TIER]".into()),
            }
            if *word != "--long" {
                words.next();
            }
        }
        Ok(asked)
    }

    /// So much in CI, or so much of a long run.
    const fn amount(&self, in_ci: u64, long: u64) -> u64 {
        if self.is_long { long } else { in_ci }
    }
}

/// What a tier needs of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// The right to mount, and loop devices.
    Loops,
    Nothing,
    Strace,
}

struct Tier {
    name: &'static str,
    needs: Needs,
    run: fn(&Ground, &Asked) -> Outcome<Counted>,
}

/// Where stores stand.
struct Ground {
    /// A file system that syncs fast: ext4 on a loop device where there is one.
    stores: PathBuf,
    /// For images: a file system in memory, where there is one.
    images: PathBuf,
    /// A folder for mounts.
    mounts: PathBuf,
}

const TIERS: [Tier; 7] = [
    Tier {
        name: "kill at random",
        needs: Needs::Nothing,
        run: |ground, asked| kills::run(&ground.stores, asked.seed, asked.amount(1_000, 10_000)),
    },
    Tier {
        name: "kill at a call",
        needs: Needs::Strace,
        run: |ground, asked| injected::kills(&ground.stores, asked.seed, asked.is_long),
    },
    Tier {
        name: "error at a call",
        needs: Needs::Strace,
        run: |ground, asked| injected::errors(&ground.stores, asked.seed, asked.is_long),
    },
    Tier {
        name: "power cut",
        needs: Needs::Loops,
        run: |ground, asked| power::run(&ground.images, asked.seed, asked.amount(500, 5_000)),
    },
    Tier {
        name: "sync that fails",
        needs: Needs::Loops,
        run: |ground, asked| lost_sync::run(&ground.mounts, asked.seed, asked.amount(25, 250)),
    },
    Tier {
        name: "disk full and freed",
        needs: Needs::Loops,
        run: |ground, asked| full::run(&ground.mounts, asked.seed, asked.amount(50, 500)),
    },
    Tier {
        name: "eight threads",
        needs: Needs::Nothing,
        run: |ground, asked| crowd::run(&ground.stores, asked.seed, Duration::from_secs(asked.amount(10, 60))),
    },
];

/// Runs the tiers that are asked for, in `folder`.
///
/// # Errors
///
/// When what was mounted cannot be let go.
pub(crate) fn run(tally: &mut Tally, folder: &Path, asked: &Asked) -> Outcome {
    let mounted = mount(folder);
    let loops = mounted.as_ref().map(|_| ()).map_err(ToString::to_string);
    let strace = Command::new("strace").arg("--version").output().map(|_| ()).map_err(|why| format!("strace: {why}"));
    let memory = folder.join("memory");
    let ground = match &mounted {
        Ok(mounted) => Ground { stores: mounted.ext4.target().to_owned(), images: memory, mounts: folder.to_owned() },
        Err(_) => Ground { stores: folder.to_owned(), images: folder.to_owned(), mounts: folder.to_owned() },
    };
    for Tier { name, needs, run } in TIERS {
        if asked.only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let can_run = match needs {
            Needs::Loops => &loops,
            Needs::Nothing => &Ok(()),
            Needs::Strace => &strace,
        };
        match can_run {
            Ok(()) => tally.run(name, || run(&ground, asked)),
            Err(why) => tally.skip(name, why.as_str()),
        }
    }
    match mounted {
        Ok(Mounts { ext4, image, memory }) => {
            ext4.end()?;
            drop(image);
            memory.end()
        }
        Err(_) => Ok(()),
    }
}

/// What is mounted for a whole run; dropped, it goes in this order.
struct Mounts {
    ext4: Mounted,
    image: Image,
    memory: Mounted,
}

fn mount(folder: &Path) -> Outcome<Mounts> {
    let memory = Mounted::memory(&folder.join("memory"), MEMORY_BYTES)?;
    let image = Image::create(&memory.target().join("ground"), GROUND_BYTES)?;
    let ext4 = Mounted::ext4(image.device(), &folder.join("ground"))?;
    Ok(Mounts { ext4, image, memory })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_reads_what_is_asked_for() {
        assert_eq!(Asked::parse(&[]).unwrap(), Asked { seed: SEED, is_long: false, only: None });
        let asked = Asked::parse(&["--seed", "7", "--long", "--only", "power cut"]).unwrap();
        assert_eq!(asked, Asked { seed: 7, is_long: true, only: Some("power cut".to_owned()) });
        for words in [&["--seed"][..], &["--seed", "x"], &["--quick"], &["--only"]] {
            assert!(Asked::parse(words).is_err(), "{words:?}");
        }
    }
}
