//! Two copies and the extents, as vectors; carries out publications as a store does, and fails where it is told to.

use std::collections::BTreeMap;

use batpak_keyset::{
    Copy, CopyBytes, ExtentBytes, Finding, Image, Keyset, LoadError, LoadInput, Loaded, Publication, Rewrite, Step,
    candidates,
};

use crate::fixed::{STORE, root};

/// What a failed write leaves.
#[derive(Clone, Copy, Debug)]
pub enum Leaves {
    Nothing,
    Prefix(usize),
    All,
}

#[derive(Clone, Debug, Default)]
pub struct Files {
    pub a: Option<Vec<u8>>,
    pub b: Option<Vec<u8>>,
    pub extents: BTreeMap<u64, Vec<u8>>,
}

impl Files {
    pub fn copy(&mut self, copy: Copy) -> &mut Option<Vec<u8>> {
        match copy {
            Copy::A => &mut self.a,
            Copy::B => &mut self.b,
        }
    }

    fn write(&mut self, copy: Copy, image: &[u8], file_len: u64) {
        let file = self.copy(copy).get_or_insert_default();
        if file.len() < image.len() {
            file.resize(image.len(), 0);
        }
        file[..image.len()].copy_from_slice(image);
        if file.len() < file_len as usize {
            file.resize(file_len as usize, 0);
        }
    }

    /// Does all of it.
    pub fn publish(&mut self, keyset: &mut Keyset, publication: &Publication) {
        for step in publication.steps() {
            self.step(keyset, publication, step);
        }
    }

    /// Does all of it up to the sync of the first copy, which fails.
    pub fn fail_first(&mut self, keyset: &mut Keyset, publication: &Publication, leaves: Leaves) {
        self.leave(publication.first, publication, leaves);
        keyset.copy_failed(publication.first);
    }

    /// Does all of it up to the sync of the second copy, which fails.
    pub fn fail_second(&mut self, keyset: &mut Keyset, publication: &Publication, leaves: Leaves) {
        for step in publication.steps() {
            if step == Step::Write(publication.first.other()) {
                break;
            }
            self.step(keyset, publication, step);
        }
        self.leave(publication.first.other(), publication, leaves);
        keyset.copy_failed(publication.first.other());
    }

    fn leave(&mut self, copy: Copy, publication: &Publication, leaves: Leaves) {
        let image: &Image = &publication.image;
        match leaves {
            Leaves::Nothing => {}
            Leaves::Prefix(len) => self.write(copy, &image[..len.min(image.len())], 0),
            Leaves::All => self.write(copy, image, publication.file_len),
        }
    }

    fn step(&mut self, keyset: &mut Keyset, publication: &Publication, step: Step) {
        match step {
            Step::Write(copy) => self.write(copy, &publication.image, publication.file_len),
            Step::Sync(copy) if copy != publication.first => keyset.copy_good(copy, publication.epoch),
            Step::Durable => keyset.durable(publication),
            Step::WriteExtent { number } => {
                let extent = publication.extent.as_ref().unwrap();
                assert_eq!(self.extents.insert(number, extent.bytes.clone()), None, "an extent is never written again");
            }
            Step::RemoveExtent { number } => {
                self.extents.remove(&number);
                keyset.extent_removed(number);
            }
            _ => {}
        }
    }

    /// Writes the winner over both copies.
    pub fn rewrite(&mut self, keyset: &mut Keyset, rewrite: &Rewrite) {
        for step in rewrite.steps() {
            match step {
                Step::Write(copy) => self.write(copy, &rewrite.image, rewrite.file_len),
                Step::Sync(copy) => keyset.copy_good(copy, rewrite.epoch),
                other => panic!("a rewrite has no such step: {other:?}"),
            }
        }
    }

    pub fn input(&self) -> LoadInput<'_> {
        LoadInput { store: Some(STORE), a: bytes(self.a.as_deref()), b: bytes(self.b.as_deref()) }
    }

    pub fn load(&self) -> Result<Loaded, LoadError> {
        self.load_under(1)
    }

    /// Loads the copies under the root secret of this byte, and every extent.
    pub fn load_under(&self, secret: u8) -> Result<Loaded, LoadError> {
        let mut loaded = candidates(&self.input())?.open(&root(secret))?;
        let findings = self.load_extents(&mut loaded.keyset);
        loaded.findings.extend(findings);
        Ok(loaded)
    }

    pub fn load_extents(&self, keyset: &mut Keyset) -> Vec<Finding> {
        let numbers: Vec<u64> = keyset.extents().collect();
        numbers
            .into_iter()
            .flat_map(|number| {
                let found = self.extents.get(&number).map_or(ExtentBytes::Absent, |bytes| ExtentBytes::Bytes(bytes));
                keyset.load_extent(number, found)
            })
            .collect()
    }
}

fn bytes(file: Option<&[u8]>) -> CopyBytes<'_> {
    file.map_or(CopyBytes::Absent, CopyBytes::Bytes)
}
