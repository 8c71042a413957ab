//! See [`batpak_keyset_fuzz::image`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| batpak_keyset_fuzz::image::look(data));
