//! The sealed body of an image: extents named, page table, frontiers.
//!
//! It has one form only, and the decoder refuses every other. Its nodes are secret, so its bytes are allocated once
//! and wiped.

use std::collections::BTreeSet;

use batpak_crypto::{FRONTIER_ENTRY_LEN, Kek, TAG_LEN, Tree, TreeError};
use batpak_format::codec::{Reader, put_bytes, put_u8, put_u16, put_u32, put_u64};
use zeroize::Zeroizing;

use crate::error::{ImageError, KeysetError};
use crate::extent::BLOB_OVERHEAD;
use crate::page::{Blob, GoneRun, Home, Nodes, PAGE_NONE, Page, leaves_of};
use crate::rows::{RowView, inline_bytes, table_bytes};
use crate::table::{PageTable, Row};

pub(crate) const BODY_HEADER_LEN: usize = 32;
pub(crate) const EXTENT_ROW_LEN: usize = 16;
pub(crate) const ROW_START_LEN: usize = 16;
pub(crate) const WHOLE_ROW_LEN: usize = ROW_START_LEN + 32;
pub(crate) const EXTENT_PAGE_ROW_LEN: usize = ROW_START_LEN + 48;

pub(crate) const ROW_WHOLE: u8 = 1;
pub(crate) const ROW_PUNCTURED: u8 = 2;
pub(crate) const ROW_EXTENT: u8 = 3;
pub(crate) const ROW_GONE: u8 = 4;

/// One extent that the image names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExtentRow {
    pub(crate) number: u64,
    /// Bytes of each of its two regions.
    pub(crate) region_len: u64,
}

/// What the body holds besides the rows.
pub(crate) struct BodyFields<'a> {
    pub(crate) pages_above: u32,
    pub(crate) extents_above: u64,
    pub(crate) extents: &'a [ExtentRow],
}

/// Encodes the body. It is allocated once, with its final size: growing would leave copies of every node behind.
pub(crate) fn encode_body(fields: &BodyFields<'_>, rows: &[RowView<'_>]) -> Result<Zeroizing<Vec<u8>>, KeysetError> {
    let frontier_bytes = inline_bytes(rows);
    let len = BODY_HEADER_LEN + EXTENT_ROW_LEN * fields.extents.len() + table_bytes(rows) + frontier_bytes;
    u32::try_from(len + TAG_LEN).map_err(|_| KeysetError::ImageTooLarge)?;
    let mut body = Zeroizing::new(Vec::with_capacity(len));
    put_u32(&mut body, fields.pages_above);
    put_u32(&mut body, short(fields.extents.len())?);
    put_u32(&mut body, short(rows.len())?);
    put_u32(&mut body, 0);
    put_u64(&mut body, fields.extents_above);
    put_u64(&mut body, frontier_bytes as u64);
    for extent in fields.extents {
        put_u64(&mut body, extent.number);
        put_u64(&mut body, extent.region_len);
    }
    for row in rows {
        encode_row(&mut body, row)?;
    }
    for tree in rows.iter().filter_map(RowView::inline_tree) {
        tree.encode_frontier(&mut body);
    }
    debug_assert_eq!(body.len(), len, "the size was counted from the same rows");
    Ok(body)
}

fn encode_row(body: &mut Vec<u8>, row: &RowView<'_>) -> Result<(), KeysetError> {
    match row {
        RowView::Gone(run) => start_row(body, ROW_GONE, run.depth, run.first, run.count, 0),
        RowView::Page { number, depth, reserved, tree, home } => match (home, tree) {
            (Home::Extent(blob), _) => {
                start_row(body, ROW_EXTENT, *depth, *number, *reserved, blob.frontier_len);
                put_u64(body, blob.extent);
                put_u64(body, blob.offset);
                put_bytes(body, blob.kek.expose());
            }
            (Home::Inline, Some(tree)) if tree.is_whole() => {
                start_row(body, ROW_WHOLE, *depth, *number, *reserved, 0);
                tree.frontier().for_each(|(_, root)| put_bytes(body, root.expose()));
            }
            (Home::Inline, tree) => {
                let len = short(tree.map_or(0, Tree::frontier_bytes))?;
                start_row(body, ROW_PUNCTURED, *depth, *number, *reserved, len);
            }
        },
    }
    Ok(())
}

fn start_row(body: &mut Vec<u8>, tag: u8, depth: u8, number: u32, count: u32, frontier_len: u32) {
    put_u8(body, tag);
    put_u8(body, depth);
    put_u16(body, 0);
    put_u32(body, number);
    put_u32(body, count);
    put_u32(body, frontier_len);
}

fn short(len: usize) -> Result<u32, KeysetError> {
    u32::try_from(len).map_err(|_| KeysetError::ImageTooLarge)
}

/// A body, decoded.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) pages_above: u32,
    pub(crate) extents_above: u64,
    pub(crate) extents: Vec<ExtentRow>,
    pub(crate) table: PageTable,
}

/// Reads a body that opened.
pub(crate) fn decode_body(bytes: &[u8]) -> Result<Body, ImageError> {
    let mut reader = Reader::new(bytes);
    let pages_above = reader.u32()?;
    let (extent_rows, page_rows) = (reader.u32()?, reader.u32()?);
    invalid_unless(reader.u32()? == 0, 12)?;
    let extents_above = reader.u64()?;
    let frontier_bytes = reader.u64()?;
    let extents = decode_extents(&mut reader, extent_rows, extents_above)?;
    let mut table = PageTable::default();
    let mut punctured = Vec::new();
    for _ in 0..page_rows {
        decode_row(&mut reader, &extents, &mut table, &mut punctured)?;
    }
    invalid_unless(frontier_bytes == reader.remaining() as u64, 24)?;
    for (number, len) in punctured {
        decode_frontier(&mut table, number, reader.bytes(len)?)?;
    }
    reader.finish()?;
    let named: BTreeSet<u64> = table.pages().filter_map(Page::extent).collect();
    match extents.iter().all(|extent| named.contains(&extent.number)) {
        true => Ok(Body { pages_above, extents_above, extents, table }),
        false => Err(ImageError::ExtentMismatch { page: PAGE_NONE }),
    }
}

fn decode_extents(reader: &mut Reader<'_>, rows: u32, above: u64) -> Result<Vec<ExtentRow>, ImageError> {
    let mut extents: Vec<ExtentRow> = Vec::new();
    for row in 0..rows as usize {
        let extent = ExtentRow { number: reader.u64()?, region_len: reader.u64()? };
        let follows = extents.last().is_none_or(|last| last.number < extent.number);
        invalid_unless(follows && extent.number <= above, BODY_HEADER_LEN + EXTENT_ROW_LEN * row)?;
        extents.push(extent);
    }
    Ok(extents)
}

fn decode_row(
    reader: &mut Reader<'_>,
    extents: &[ExtentRow],
    table: &mut PageTable,
    punctured: &mut Vec<(u32, usize)>,
) -> Result<(), ImageError> {
    let (tag, depth, zero) = (reader.u8()?, reader.u8()?, reader.u16()?);
    let (number, count, frontier_len) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let canonical = |holds: bool| {
        if holds { Ok(()) } else { Err(ImageError::NotCanonical { page: number }) }
    };
    canonical(zero == 0 && number != PAGE_NONE && (Tree::DEPTH..=Tree::DEPTH_MAX).contains(&depth))?;
    let mut page = Page { number, depth, reserved: count, nodes: Nodes::NotLoaded, home: Home::Inline };
    let row = match tag {
        ROW_GONE => {
            canonical(count > 0 && number.checked_add(count - 1).is_some() && frontier_len == 0)?;
            Row::Gone(GoneRun { first: number, count, depth })
        }
        ROW_WHOLE => {
            canonical(frontier_len == 0)?;
            let mut root = Zeroizing::new([0; 32]);
            root.copy_from_slice(reader.bytes(32)?);
            page.nodes = Nodes::Held(Tree::from_root(depth, &root).map_err(|source| frontier(number, source))?);
            Row::Page(page)
        }
        ROW_PUNCTURED => {
            canonical(frontier_len > 0)?;
            punctured.push((number, frontier_len as usize));
            Row::Page(page)
        }
        ROW_EXTENT => {
            canonical(frontier_len > 0 && (frontier_len as usize).is_multiple_of(FRONTIER_ENTRY_LEN))?;
            page.home = Home::Extent(decode_blob(reader, extents, number, frontier_len)?);
            Row::Page(page)
        }
        tag => return Err(ImageError::UnknownRow { tag }),
    };
    canonical(tag == ROW_GONE || count <= leaves_of(depth))?;
    canonical(table.push(row))
}

fn decode_blob(
    reader: &mut Reader<'_>,
    extents: &[ExtentRow],
    page: u32,
    frontier_len: u32,
) -> Result<Blob, ImageError> {
    let (extent, offset) = (reader.u64()?, reader.u64()?);
    let mut kek = Zeroizing::new([0; 32]);
    kek.copy_from_slice(reader.bytes(32)?);
    let end = offset.checked_add(u64::from(frontier_len) + BLOB_OVERHEAD as u64);
    let within = extents
        .binary_search_by_key(&extent, |row| row.number)
        .ok()
        .and_then(|at| extents.get(at))
        .is_some_and(|row| end.is_some_and(|end| end <= row.region_len));
    match within {
        true => Ok(Blob { extent, offset, frontier_len, kek: Kek::from_bytes(kek), one_copy: false }),
        false => Err(ImageError::ExtentMismatch { page }),
    }
}

fn decode_frontier(table: &mut PageTable, number: u32, bytes: &[u8]) -> Result<(), ImageError> {
    let page = table.page_mut(number).ok_or(ImageError::NotCanonical { page: number })?;
    let tree = Tree::decode_frontier(page.depth, bytes).map_err(|source| frontier(number, source))?;
    if tree.is_whole() || tree.is_empty() {
        return Err(ImageError::NotCanonical { page: number });
    }
    page.nodes = Nodes::Held(tree);
    Ok(())
}

const fn frontier(page: u32, source: TreeError) -> ImageError {
    ImageError::Frontier { page, source }
}

fn invalid_unless(holds: bool, at: usize) -> Result<(), ImageError> {
    if holds { Ok(()) } else { Err(ImageError::InvalidField { at }) }
}

#[cfg(test)]
mod tests;
