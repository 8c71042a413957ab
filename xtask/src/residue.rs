//! `cargo xtask residue`: nothing that a shred destroyed stays in the raw image of a file system, and a control that must be found is.
//!
//! It takes root, for a loop device. Elsewhere it says that it was skipped; with BATPAK_TORTURE=require that is a failure.

use std::env;

use crate::Outcome;
use crate::command::{cargo, output};

/// Searches the raw image after shreds, under each provider whose secret stands in a file.
///
/// # Errors
///
/// When something is found, when a control is not, or when nothing ran that had to.
pub(crate) fn run() -> Outcome {
    let words = ["test", "--quiet", "--package", "batpak-store", "--test", "secrets", "image::", "--", "--nocapture"];
    let mut command = cargo(words);
    command.env("BATPAK_TEST_RESIDUE", "1");
    let printed = output(command)?;
    let lines: Vec<&str> = printed.lines().filter(|line| line.starts_with("residue: ")).collect();
    lines.iter().for_each(|line| println!("{line}"));
    let required = env::var_os("BATPAK_TORTURE").is_some_and(|value| value == "require");
    judge(&lines, required)
}

fn judge(lines: &[&str], required: bool) -> Outcome {
    let searches = lines.iter().filter(|line| line.contains(" 0 hits")).count();
    let controls = lines.iter().filter(|line| line.contains(": control, ") && !line.contains(" 0 hits")).count();
    let skipped = lines.iter().any(|line| line.contains("SKIPPED"));
    match (searches, controls) {
        (0, 0) if skipped && !required => Ok(()),
        (0, _) | (_, 0) => Err("no search of a raw image, or no control of one, ran".into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judge_wants_a_search_and_a_control_unless_it_may_be_skipped() {
        let search = "residue: Local: 12 secrets searched for in the raw image, 0 hits []";
        let control = "residue: Local: control, replaced by rename: 2 hits [\"old root secret\"]";
        let skipped = "residue: SKIPPED: no ext4 image can be mounted: mount: not permitted";
        assert!(judge(&[search, control], true).is_ok());
        assert!(judge(&[search], false).is_err());
        assert!(judge(&[control], false).is_err());
        assert!(judge(&[skipped], false).is_ok());
        assert!(judge(&[skipped], true).is_err());
        assert!(judge(&[], false).is_err());
        assert!(judge(&["residue: Local: control, replaced by rename: 0 hits []", search], false).is_err());
    }
}
