//! Numbers as people read them: three digits, and a letter for thousands.

/// Shows a number with three digits or so.
pub(super) fn shown(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1e7 => format!("{:.1}M", value / 1e6),
        size if size >= 1e6 => format!("{:.2}M", value / 1e6),
        size if size >= 1e5 => format!("{:.0}k", value / 1e3),
        size if size >= 1e4 => format!("{:.1}k", value / 1e3),
        size if size >= 1e3 => grouped(value),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.1e}"),
    }
}

/// 1,000 to 9,999.
fn grouped(value: f64) -> String {
    let whole = value.round() as i64;
    format!("{},{:03}", whole / 1000, whole % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_has_three_digits_or_so() {
        let found: Vec<String> =
            [0.0, 0.123, 1.5, 17.25, 264.0, 4848.2, 17_000.0, 407_123.0, 3_500_000.0, 18_400_000.0].map(shown).to_vec();
        assert_eq!(found, ["0", "0.12", "1.50", "17.2", "264", "4,848", "17.0k", "407k", "3.50M", "18.4M"]);
    }
}
