//! Lending a keyset's secrets to a search of bytes.
//!
//! Invariant: they go into a set that gives none out again; nothing here returns a secret.

use batpak_crypto::{SecretSet, Tree, TreeError};
use batpak_format::KeyId;

use crate::keyset::Keyset;
use crate::page::{Home, Page};

impl Keyset {
    /// Adds every node that the keyset holds, and the key of every blob in an extent. The root secret is the caller's.
    pub fn add_secrets(&self, set: &mut SecretSet) {
        for page in self.table.pages() {
            if let Some(tree) = page.tree() {
                set.add_frontier(tree);
            }
            if let Home::Extent(blob) = &page.home {
                set.add_kek(&blob.kek);
            }
        }
    }

    /// Adds the payload keys with these ids, sorted, and every node between the frontiers and them. Keys that cannot be
    /// derived are left out. Returns how many were added.
    pub fn add_keys(&self, ids: &[KeyId], set: &mut SecretSet) -> u64 {
        let same_page =
            |one: &KeyId, other: &KeyId| (one.compartment(), one.page()) == (other.compartment(), other.page());
        ids.chunk_by(same_page).map(|ids| self.add_keys_of_page(ids, set).unwrap_or(0)).sum()
    }

    fn add_keys_of_page(&self, ids: &[KeyId], set: &mut SecretSet) -> Result<u64, TreeError> {
        let first = ids.first().filter(|first| first.compartment() == 0);
        let Some((first, tree)) = first.and_then(|first| Some((first, self.tree(first.page())?))) else { return Ok(0) };
        let leaves: Vec<u32> = ids.iter().map(|id| id.leaf()).filter(|leaf| *leaf < tree.leaves()).collect();
        let key_id = |leaf| KeyId::new(first.compartment(), first.page(), leaf).as_u64();
        set.add_keys(tree, &leaves, self.store.as_bytes(), key_id)
    }

    fn tree(&self, page: u32) -> Option<&Tree> {
        self.table.page(page).and_then(Page::tree)
    }
}

#[cfg(test)]
mod tests {
    use batpak_crypto::{OsEntropy, SecretId, SecretKind};
    use batpak_format::{KeyRun, StoreId};

    use super::*;
    use crate::{CreateKeyset, ExtentRewrite, Granularity, ProviderRecord, SecretChange};

    #[test]
    fn lent_secrets_are_those_of_the_keys_named_and_not_those_destroyed() {
        let create = CreateKeyset {
            store: StoreId::from_bytes([1; 16]),
            granularity: Granularity::Event,
            provider: ProviderRecord::key_file(),
            secret_id: SecretId::from_bytes([2; 16]),
        };
        let mut keyset = Keyset::create(create, &OsEntropy).unwrap();
        let ids: Vec<KeyId> = (0..20).map(|_| keyset.take(&OsEntropy).unwrap()).collect();
        let frontiers =
            keyset.beside(&[KeyRun { first: ids[3], count: 2 }], ExtentRewrite::WithNext, &OsEntropy).unwrap();
        let change =
            SecretChange::Move { secret_id: SecretId::from_bytes([3; 16]), provider: ProviderRecord::key_file() };
        keyset.adopt(frontiers, Some(1), change).unwrap();
        let mut set = SecretSet::new();
        keyset.add_secrets(&mut set);
        // Two leaves of one family of eight: six are left of it, and seven of each of the three levels above.
        assert_eq!(set.count(SecretKind::Node), 6 + 3 * 7);
        assert_eq!((set.count(SecretKind::RootSecret), set.count(SecretKind::Kek)), (0, 0));
        let nowhere = [KeyId::new(0, 9, 0), KeyId::new(1, 1, 0)];
        let asked: Vec<KeyId> = ids.iter().copied().chain(nowhere).collect();
        assert_eq!(keyset.add_keys(&asked, &mut set), 18);
        assert_eq!(set.count(SecretKind::PayloadKey), 18);
        assert_eq!(set.search().missed(), None);
    }
}
