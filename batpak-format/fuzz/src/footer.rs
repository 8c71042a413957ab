//! Any bytes as the end of a segment: no footer, a refusal, or one that encodes to the same bytes.

use batpak_format::{
    FOOTER_ROW_LEN, FOOTER_TRAILER_LEN, Footer, FooterBuilder, SECTION_SUMMARY, SUMMARY_VERSION, SegmentSummary,
};

use crate::{
    Seeds, bounded, chosen,
    samples::{LOG_LEN, footers},
};

/// The first byte says whether the checks are made to hold.
pub fn look(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if choice & 1 == 1 {
        recheck(&mut bytes);
    }
    bounded(2 * bytes.len(), || footer(&bytes));
}

fn footer(bytes: &[u8]) {
    let Ok(Some(footer)) = Footer::decode_tail(bytes, LOG_LEN + bytes.len() as u64) else { return };
    assert_eq!(footer.log_len() + u64::from(footer.len()), LOG_LEN + bytes.len() as u64);
    let sections: usize = footer.sections().map(|section| section.bytes.len()).sum();
    assert!(sections <= footer.len() as usize);
    let again = footer
        .sections()
        .fold(FooterBuilder::new(), |builder, section| builder.section(section.tag, section.version, &section.bytes));
    let again = again.finish(footer.log_len());
    assert_eq!(again.len(), footer.len() as usize);
    if let Some(summary) = footer.section(SECTION_SUMMARY)
        && let Ok(read) = SegmentSummary::decode(summary.version, &summary.bytes)
        && summary.version == SUMMARY_VERSION
    {
        assert_eq!(read.encode(), summary.bytes[..read.encode().len()]);
    }
}

/// Computes the checks of sections and table, as far as the bytes have them.
fn recheck(bytes: &mut [u8]) {
    let field =
        |bytes: &[u8], at: usize| bytes.get(at..at + 4).and_then(|field| field.try_into().ok()).map(u32::from_le_bytes);
    let Some(trailer_at) = bytes.len().checked_sub(FOOTER_TRAILER_LEN) else { return };
    let (Some(len), Some(rows)) = (field(bytes, trailer_at), field(bytes, trailer_at + 4)) else { return };
    let table = (rows as usize).checked_mul(FOOTER_ROW_LEN).and_then(|table| trailer_at.checked_sub(table));
    let (Some(start), Some(table_at)) = (bytes.len().checked_sub(len as usize), table) else { return };
    for row in (table_at..trailer_at).step_by(FOOTER_ROW_LEN) {
        let (Some(offset), Some(len)) = (field(bytes, row + 8), field(bytes, row + 12)) else { return };
        let from = start.saturating_add(offset as usize);
        let Some(section) = bytes.get(from..from.saturating_add(len as usize)) else { continue };
        let check = crc32fast::hash(section);
        bytes[row + 16..row + 20].copy_from_slice(&check.to_le_bytes());
    }
    let mut check = crc32fast::Hasher::new();
    check.update(&bytes[table_at..trailer_at + 16]);
    check.update(&bytes[trailer_at + 20..]);
    bytes[trailer_at + 16..trailer_at + 20].copy_from_slice(&check.finalize().to_le_bytes());
}

/// The samples, with their checks as they are and made to hold.
pub fn seeds() -> Seeds {
    let mut seeds = chosen(0, footers());
    seeds.extend(chosen(1, footers()));
    seeds
}
