//! Writes the corpora: one folder a target below the folder that is named.

fn main() {
    batpak_format_fuzz::seed(&batpak_format_fuzz::TARGETS);
}
