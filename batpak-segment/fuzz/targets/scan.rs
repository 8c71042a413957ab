//! See [`batpak_segment_fuzz::scan`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| batpak_segment_fuzz::scan::look(data));
