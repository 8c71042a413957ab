//! See [`batpak_store_fuzz::directory`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| batpak_store_fuzz::directory::look(data));
