//! A canary and the forms in which it may stand in a file.
//!
//! Invariant: a form that is too short to be told from chance is left out; the canary as it is never is.

use std::{fs::File, io::Read, path::Path};

use base64::prelude::{BASE64_STANDARD, Engine};
use batpak_store::CANARY_BYTES_MAX;

use crate::error::CliError;

/// Bytes of a form that is searched for, at least.
const FORM_BYTES_MIN: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub struct Canary {
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Canary {
    /// Reads a canary from its file; a line end at the end belongs to the file and not to it.
    pub fn read(path: &Path) -> Result<Self, CliError> {
        let mut bytes = Vec::new();
        // One byte more than can be searched for, and a line end, so that a longer file is refused and not cut.
        File::open(path)
            .and_then(|file| file.take(CANARY_BYTES_MAX as u64 + 3).read_to_end(&mut bytes))
            .map_err(|source| CliError::Input { path: path.to_owned(), source })?;
        for end in [b'\n', b'\r'] {
            if bytes.last() == Some(&end) {
                bytes.pop();
            }
        }
        Ok(Self::of(bytes))
    }

    fn of(bytes: Vec<u8>) -> Self {
        let mut others =
            vec![("in hex", hex(&bytes, b"0123456789abcdef")), ("in hex", hex(&bytes, b"0123456789ABCDEF"))];
        for shift in 0..3 {
            others.push(("in base64", base64_inside(&bytes, shift)));
        }
        if let Ok(text) = std::str::from_utf8(&bytes) {
            others.push(("in UTF-16", text.encode_utf16().flat_map(u16::to_le_bytes).collect()));
            others.push(("in UTF-16", text.encode_utf16().flat_map(u16::to_be_bytes).collect()));
            let json = serde_json::Value::from(text).to_string();
            others.push(("in JSON", json[1..json.len() - 1].into()));
        }
        others.retain(|(_, form)| (FORM_BYTES_MIN..=CANARY_BYTES_MAX).contains(&form.len()) && *form != bytes);
        let mut forms = vec![("as it is", bytes)];
        for (name, form) in others {
            if !forms.iter().any(|(_, other)| *other == form) {
                forms.push((name, form));
            }
        }
        Self { forms }
    }

    /// Returns the forms, to be searched for by number.
    pub fn texts(&self) -> Vec<&[u8]> {
        self.forms.iter().map(|(_, form)| form.as_slice()).collect()
    }

    /// Names a form by its number.
    pub fn form(&self, number: u32) -> &'static str {
        self.forms.get(number as usize).map_or("planted", |(name, _)| name)
    }
}

fn hex(bytes: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]).collect()
}

/// The characters that the bytes have in any base64 in which so many bytes, modulo 3, stand before them.
fn base64_inside(bytes: &[u8], shift: usize) -> Vec<u8> {
    let mut shifted = vec![0; shift];
    shifted.extend_from_slice(bytes);
    let whole = shifted.len() / 3 * 4;
    let text = BASE64_STANDARD.encode(&shifted).into_bytes();
    text[if shift == 0 { 0 } else { 4 }.min(whole)..whole].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_inside_stands_in_every_base64_of_the_bytes() {
        let canary = b"whoever it was, it was not me";
        for before in 0..9 {
            let mut bytes = vec![b'x'; before];
            bytes.extend_from_slice(canary);
            bytes.extend(b"behind");
            let text = BASE64_STANDARD.encode(&bytes);
            let inside = base64_inside(canary, before % 3);
            assert!(text.contains(std::str::from_utf8(&inside).unwrap()), "{before}");
            assert!(inside.len() >= canary.len());
        }
    }

    #[test]
    fn canary_has_each_form_once_and_no_short_one() {
        let names = |bytes: &[u8]| Canary::of(bytes.to_vec()).forms.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let plain = ["as it is", "in hex", "in hex", "in base64", "in base64", "in base64", "in UTF-16", "in UTF-16"];
        assert_eq!(names(b"jane.doe@example.org"), plain);
        assert_eq!(names("jane \"j\" doe, line\nline".as_bytes()).last(), Some(&"in JSON"));
        assert_eq!(names(b"12345678")[..3], ["as it is", "in hex", "in UTF-16"], "hex has no letters here");
        assert_eq!(names(&[0xFF; 4]), ["as it is"]);
    }
}
