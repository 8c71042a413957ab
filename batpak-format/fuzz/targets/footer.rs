//! See [`batpak_format_fuzz::footer`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| batpak_format_fuzz::footer::look(data));
