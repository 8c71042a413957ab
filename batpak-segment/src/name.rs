//! Names of segment files.
//!
//! Invariant: a segment number has exactly one file name, and a name that parses gives back the same number.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The directory of segment files, inside the directory of a store.
pub const SEGMENTS_DIR: &str = "segments";

/// The number of the first segment of a log.
pub const FIRST_SEGMENT: u64 = 1;

const DIGITS: usize = 20;
const SUFFIX: &str = ".seg";

/// The file name of a segment: 20 decimal digits and `.seg`, so that names sort as numbers do.
#[must_use]
pub fn segment_file_name(number: u64) -> String {
    format!("{number:020}{SUFFIX}")
}

/// The path of a segment inside `dir`, the directory of segments.
#[must_use]
pub fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(segment_file_name(number))
}

/// The number a file name stands for, or `None` when it is not exactly what [`segment_file_name`] writes.
#[must_use]
pub fn parse_segment_name(name: &OsStr) -> Option<u64> {
    let digits = name.to_str()?.strip_suffix(SUFFIX)?;
    if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|number| *number >= FIRST_SEGMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_has_twenty_digits_and_parses_back() {
        assert_eq!(segment_file_name(1), "00000000000000000001.seg");
        for number in [1, 9, 10, 12_345, u64::MAX] {
            assert_eq!(parse_segment_name(OsStr::new(&segment_file_name(number))), Some(number));
        }
    }

    #[test]
    fn name_refuses_everything_else() {
        for name in [
            "",
            ".seg",
            "1.seg",
            "00000000000000000000.seg",
            "00000000000000000001.seG",
            "00000000000000000001.seg~",
            "+0000000000000000001.seg",
            "0000000000000000000a.seg",
            "99999999999999999999.seg",
            "000000000000000000001.seg",
        ] {
            assert_eq!(parse_segment_name(OsStr::new(name)), None, "{name}");
        }
    }
}
