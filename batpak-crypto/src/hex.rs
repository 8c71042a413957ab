//! Hex of public bytes, for Debug and Display.
//!
//! No secret type calls this.

use core::fmt;

/// Writes the bytes as lower-case hex, two digits each.
pub(crate) fn write(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}
