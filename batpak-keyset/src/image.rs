//! The image: a plain header, the sealed body behind it, and a BLAKE3 over both.
//!
//! The hash tells a torn image from a wrong root secret. The bytes are allocated once and wiped, because the header of
//! a `Local` image holds a secret.

use batpak_crypto::{RootSecret, seal_body};
use zeroize::Zeroizing;

use crate::check::{CHECK_LEN, image_check};
use crate::error::KeysetError;
use crate::header::HeaderFields;

/// Images are padded with zeros to a multiple of this many bytes.
pub const IMAGE_PAD: usize = 4096;
/// Bytes of the BLAKE3 behind the ciphertext.
pub const IMAGE_CHECK_LEN: usize = CHECK_LEN;
/// Frontiers stand in the image up to this many bytes, or the size of the page table when that is more.
pub const INLINE_BYTES_MIN: usize = 64 * 1024;

/// Encodes and seals an image, and pads it to whole 4 KiB and at least `len_min` bytes.
pub(crate) fn seal_image(
    fields: &HeaderFields<'_>,
    body: Zeroizing<Vec<u8>>,
    root: &RootSecret,
    len_min: usize,
) -> Result<Zeroizing<Vec<u8>>, KeysetError> {
    let len = fields.image_used().max(len_min).next_multiple_of(IMAGE_PAD);
    let mut image = fields.encode(len);
    let sealed = seal_body(root, fields.nonce, &image, body)?;
    image.extend_from_slice(&sealed);
    let check = image_check(&image);
    image.extend_from_slice(&check);
    image.resize(len, 0);
    Ok(image)
}
