//! Bytes as lower-case hex.
//!
//! Invariant: bytes have one text, and no other text is read.

/// Writes bytes.
pub fn written(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what [`written`] writes.
pub fn read(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| if let [high, low] = pair { Some(digit(*high)? << 4 | digit(*low)?) } else { None }).collect()
}

/// Reads so many bytes and no others.
pub fn read_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    read(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_as_it_is_written() {
        assert_eq!(written(&[0, 0x0f, 0xa0, 0xff]), "000fa0ff");
        assert_eq!(read("000fa0ff"), Some(vec![0, 0x0f, 0xa0, 0xff]));
        assert_eq!(read_array::<2>("0102"), Some([1, 2]));
        for wrong in ["0", "0g", "0A", "+1", "é"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(read_array::<2>("010203"), None);
    }
}
