//! The one form of a table.

use batpak_crypto::{OsEntropy, Tree};

use super::*;

fn page(number: u32) -> Row {
    Row::Page(Page::fresh(number, Tree::generate(4, &OsEntropy).unwrap()))
}

fn spans(table: &PageTable) -> Vec<(u32, u32)> {
    table.rows().iter().map(|row| (row.first(), row.last())).collect()
}

#[test]
fn gone_pages_join_their_neighbours_of_the_same_depth() {
    let mut table = PageTable::default();
    for number in [1, 2, 3, 4, 6] {
        assert!(table.push(page(number)));
    }
    table.mark_gone(&[2, 6]);
    assert_eq!(spans(&table), [(1, 1), (2, 2), (3, 3), (4, 4), (6, 6)]);
    table.mark_gone(&[3]);
    assert_eq!(spans(&table), [(1, 1), (2, 3), (4, 4), (6, 6)]);
    table.mark_gone(&[1, 4]);
    assert_eq!(spans(&table), [(1, 4), (6, 6)]);
    assert!(matches!(table.row(3), Some(Row::Gone(run)) if run.count == 4));
    assert!(table.row(5).is_none() && table.page(6).is_none() && table.row(7).is_none());
}

#[test]
fn row_that_does_not_follow_is_not_added() {
    let mut table = PageTable::default();
    assert!(table.push(page(5)));
    assert!(!table.push(page(5)) && !table.push(page(4)));
    assert!(table.push(Row::Gone(GoneRun { first: 6, count: 2, depth: 4 })));
    assert!(!table.push(Row::Gone(GoneRun { first: 8, count: 1, depth: 4 })));
    assert!(!table.push(Row::Gone(GoneRun { first: 7, count: 1, depth: 5 })));
    assert!(table.push(Row::Gone(GoneRun { first: 8, count: 1, depth: 5 })));
    assert_eq!(spans(&table), [(5, 5), (6, 7), (8, 8)]);
}
