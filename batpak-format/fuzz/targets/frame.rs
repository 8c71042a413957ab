//! See [`batpak_format_fuzz::frame`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| batpak_format_fuzz::frame::look(data));
