//! See [`batpak_keyset_fuzz::key_file`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| batpak_keyset_fuzz::key_file::look(data));
