//! Hostile bytes for the image, the extents and the key file of batpak-keyset.

use batpak_format_fuzz::Seeds;

pub mod extent;
pub mod image;
pub mod key_file;
pub mod sample;

/// The targets of this crate.
pub const TARGETS: [(&str, fn() -> Seeds); 3] =
    [("extent", extent::seeds), ("image", image::seeds), ("key_file", key_file::seeds)];
