//! Where a minter begins and how far it reserves, by numbers.

use batpak_crypto::OsEntropy;

use super::*;

/// Page 3, of which so many leaves are reserved.
fn table(reserved: u32) -> PageTable {
    let mut table = PageTable::default();
    let tree = Tree::generate(Tree::DEPTH, &OsEntropy).expect("the system has entropy");
    let mut page = Page::fresh(3, tree);
    page.reserve(reserved);
    assert!(table.push(Row::Page(page)));
    table
}

#[test]
fn minter_goes_on_behind_what_is_reserved_unless_the_page_s_number_is_given_up() {
    for (pages_above, expected) in [(2, key_id(3, 20)), (3, key_id(4, 0)), (7, key_id(8, 0))] {
        let mut table = table(20);
        let mut minter = Minter::after(&table, pages_above);
        assert_eq!(
            minter.take(&mut table, None, &OsEntropy).expect("there are leaves"),
            expected,
            "above {pages_above}"
        );
    }
}

#[test]
fn reservation_is_due_again_when_half_of_what_it_added_is_taken() {
    let mut table = table(20);
    let page = table.page_mut(3).expect("it is there");
    assert_eq!(reserve(page, 10, 0), Grant { half: key_id(3, 25), end: key_id(3, 30) });
    assert_eq!(reserve(page, 10, 50), Grant { half: key_id(3, 40), end: key_id(3, 50) });
}
