//! Hostile bytes for the decoders of batpak-format, and what the fuzz targets of all crates share.
//!
//! Each target is a module: `look` does the work and panics where something does not hold, `seeds` makes its corpus.

use std::{fs, path::PathBuf};

pub mod footer;
pub mod frame;
#[path = "../../tests/meter.rs"]
pub mod meter;
pub mod record;
#[path = "../../tests/samples.rs"]
#[expect(clippy::unwrap_used, reason = "samples are valid")]
pub mod samples;

/// What a decoder may hold beside its input.
pub const ROOM: usize = 1 << 20;

/// A corpus: names and inputs.
pub type Seeds = Vec<(String, Vec<u8>)>;

/// The targets of this crate.
pub const TARGETS: [(&str, fn() -> Seeds); 3] =
    [("footer", footer::seeds), ("frame", frame::seeds), ("record", record::seeds)];

/// Does some work, and panics when it holds more memory at once than its input and 1 MiB.
pub fn bounded<T>(input: usize, work: impl FnOnce() -> T) -> T {
    let (value, allocated) = meter::metered(work);
    assert!(allocated.peak <= (input + ROOM) as isize, "{allocated:?} for {input} bytes");
    value
}

/// Writes corpora below the folder that the command line names.
///
/// # Panics
/// When it names none, or a file cannot be written.
pub fn seed(targets: &[(&str, fn() -> Seeds)]) {
    let Some(root) = std::env::args_os().nth(1).map(PathBuf::from) else { panic!("name the folder of the corpora") };
    for (target, seeds) in targets {
        let dir = root.join(target);
        fs::create_dir_all(&dir).unwrap_or_else(|why| panic!("{}: {why}", dir.display()));
        for (name, bytes) in seeds() {
            let path = dir.join(name);
            fs::write(&path, bytes).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        }
    }
}

/// Puts a byte before each input: what a target reads as its choice.
pub fn chosen(choice: u8, inputs: Vec<(&'static str, Vec<u8>)>) -> Seeds {
    inputs.into_iter().map(|(name, bytes)| (format!("{name}-{choice}"), [&[choice], &bytes[..]].concat())).collect()
}
