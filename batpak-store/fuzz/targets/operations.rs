//! See [`batpak_store_fuzz::operations`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| batpak_store_fuzz::operations::look(data));
