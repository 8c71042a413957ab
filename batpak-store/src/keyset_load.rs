//! Loading the keyset at open: both copies read, one chosen, its root secret asked for.
//!
//! Invariants: nothing is written before everything was read and agreed. What cannot be loaded is an error with its reason; a
//! missing or damaged keyset is never replaced by an empty one.

use std::{io, path::Path, sync::Arc};

use batpak_crypto::{Entropy, RootSecret};
use batpak_format::{KeyRun, StoreId};
use batpak_keyset::{
    Candidates, Copy, CopyBytes, CopyIdentity, ExtentBytes, ExtentRewrite, Finding, ImageHeader, Keyset, LoadError,
    LoadInput, Loaded, LogSeen, Rewrite, SecretChange, candidates,
};
use batpak_segment::{Access, Disk};
use zeroize::Zeroizing;

use crate::{
    Config, OpenError,
    defect::{Defect, seeded},
    keys::Keys,
    keyset_files::KeysetFiles,
    layout::refused,
    secret::{NewSecret, ProviderContext, ProviderError, RootSecretProvider},
    shreds::Shreds,
};

/// A reader may meet a publication half written; it looks again so often.
const READER_TRIES: u32 = 50;

/// A keyset that was loaded, with what is needed to heal it.
#[derive(Debug)]
pub(crate) struct LoadedKeys {
    pub(crate) keyset: Keyset,
    pub(crate) findings: Vec<Finding>,
    root: RootSecret,
    rewrite: Rewrite,
    files: KeysetFiles,
    identity: CopyIdentity,
}

/// Loads the keyset of a store with the secret that its provider keeps.
pub(crate) fn load(
    context: &ProviderContext<'_>,
    provider: &Arc<dyn RootSecretProvider>,
    disk: &Arc<dyn Disk>,
    access: Access,
) -> Result<LoadedKeys, OpenError> {
    let mut tries = if access == Access::Read { READER_TRIES } else { 1 };
    let loaded = loop {
        match judge(context, provider).and_then(|candidates| unlock(context, provider, &candidates)) {
            Err(OpenError::KeysetCorrupt(_)) if tries > 1 => tries -= 1,
            loaded => break loaded?,
        }
        crate::sync::sleep(std::time::Duration::from_millis(1));
    };
    with_extents(loaded, context, disk, access)
}

/// Loads, for writing, the keyset whose copies were judged under the store's lock: nobody else has changed them since.
pub(crate) fn load_judged(
    context: &ProviderContext<'_>,
    provider: &Arc<dyn RootSecretProvider>,
    disk: &Arc<dyn Disk>,
    candidates: &Candidates,
) -> Result<LoadedKeys, OpenError> {
    with_extents(unlock(context, provider, candidates)?, context, disk, Access::ReadWrite)
}

/// Reads the extents that the image names.
fn with_extents(
    (loaded, root): (Loaded, RootSecret),
    context: &ProviderContext<'_>,
    disk: &Arc<dyn Disk>,
    access: Access,
) -> Result<LoadedKeys, OpenError> {
    let Loaded { mut keyset, mut findings, rewrite, .. } = loaded;
    let files =
        KeysetFiles::open(Arc::clone(disk), context.dir, access).map_err(refused("open the keyset in", context.dir))?;
    let extents: Vec<u64> = keyset.extents().collect();
    for number in extents {
        let bytes = files.read_extent(number);
        findings.extend(keyset.load_extent(
            number,
            match &bytes {
                Ok(bytes) => ExtentBytes::Bytes(bytes),
                Err(_) => ExtentBytes::Absent,
            },
        ));
    }
    if access == Access::ReadWrite {
        // A number is never used twice, also not that of an extent whose shred came to nothing.
        let present = files.extents().map_err(refused("list the extents in", context.dir))?;
        keyset.raise_extents_above(present.into_iter().max().unwrap_or(0));
    }
    let identity = files.identity().map_err(refused("look at the keyset in", context.dir))?;
    Ok(LoadedKeys { keyset, findings, root, rewrite, files, identity })
}

/// Judges both copies, and refuses a provider of another kind than the keyset names; no secret is asked for.
pub(crate) fn judge(
    context: &ProviderContext<'_>,
    provider: &Arc<dyn RootSecretProvider>,
) -> Result<Candidates, OpenError> {
    let candidates = Copies::read(context.disk, context.dir)?.judge(context.store)?;
    let found = candidates.header().provider.kind();
    if found != provider.kind() {
        return Err(ProviderError::WrongKind { found }.into());
    }
    Ok(candidates)
}

/// Asks for the root secret that the winner names, and opens it.
fn unlock(
    context: &ProviderContext<'_>,
    provider: &Arc<dyn RootSecretProvider>,
    candidates: &Candidates,
) -> Result<(Loaded, RootSecret), OpenError> {
    let header = candidates.header();
    let root = provider.unlock(context, &header.provider, header.secret_id)?;
    let loaded = candidates.open(&root).map_err(|why| refuse(why, context.store))?;
    Ok((loaded, root))
}

/// The epochs that both copies claim, for a reader to see whether the keyset changed.
pub(crate) fn claimed_epochs(disk: &dyn Disk, dir: &Path) -> [Option<u64>; 2] {
    headers(disk, dir).map(|header| header.map(|header| header.epoch))
}

/// How far either copy says that the log reached, in positions; 0 when no append ever needed a publication.
pub(crate) fn log_seen(disk: &dyn Disk, dir: &Path) -> u64 {
    headers(disk, dir).into_iter().flatten().map(|header| header.log_seen.position).max().unwrap_or(0)
}

/// What both copies claim in clear, unchecked.
pub(crate) fn headers(disk: &dyn Disk, dir: &Path) -> [Option<ImageHeader>; 2] {
    Copy::BOTH.map(|copy| {
        let file = disk.open(&dir.join(copy.file_name()), Access::Read).ok()?;
        let mut start = Zeroizing::new(vec![0; batpak_keyset::IMAGE_PAD]);
        file.read_full_at(&mut start, 0).ok()?;
        ImageHeader::decode(&start).ok()
    })
}

/// Both copies as the disk has them.
pub(crate) struct Copies {
    a: Read,
    b: Read,
}

impl Copies {
    pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Self, OpenError> {
        Ok(Self { a: read_copy(disk, dir, Copy::A)?, b: read_copy(disk, dir, Copy::B)? })
    }

    /// Judges both; no secret is asked for.
    pub(crate) fn judge(&self, store: StoreId) -> Result<Candidates, OpenError> {
        let input = LoadInput { store: Some(store), a: self.a.as_input(), b: self.b.as_input() };
        candidates(&input).map_err(|why| refuse(why, store))
    }

    /// The bytes of one copy; none when it could not be read.
    pub(crate) fn into_bytes(self, copy: Copy) -> Zeroizing<Vec<u8>> {
        match (copy, self.a, self.b) {
            (Copy::A, Read::Bytes(bytes), _) | (Copy::B, _, Read::Bytes(bytes)) => bytes,
            _ => Zeroizing::default(),
        }
    }
}

enum Read {
    Absent,
    Unreadable,
    Bytes(Zeroizing<Vec<u8>>),
}

impl Read {
    fn as_input(&self) -> CopyBytes<'_> {
        match self {
            Self::Absent => CopyBytes::Absent,
            Self::Unreadable => CopyBytes::Unreadable,
            Self::Bytes(bytes) => CopyBytes::Bytes(bytes),
        }
    }
}

fn read_copy(disk: &dyn Disk, dir: &Path, copy: Copy) -> Result<Read, OpenError> {
    let path = dir.join(copy.file_name());
    let file = match disk.open(&path, Access::Read) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Read::Absent),
        opened => opened.map_err(refused("open", &path))?,
    };
    let Ok(len) = file.len() else { return Ok(Read::Unreadable) };
    let Ok(len) = usize::try_from(len) else { return Ok(Read::Unreadable) };
    let mut bytes = Zeroizing::new(vec![0; len]);
    Ok(match file.read_full_at(&mut bytes, 0) {
        Ok(_) => Read::Bytes(bytes),
        Err(_) => Read::Unreadable,
    })
}

fn refuse(why: LoadError, store: StoreId) -> OpenError {
    match why {
        LoadError::KeysetMissing => OpenError::KeysetMissing,
        LoadError::RootSecretWrong => ProviderError::Wrong.into(),
        LoadError::ForeignKeyset { found, .. } => OpenError::ForeignKeyset { expected: store, found },
        why => OpenError::KeysetCorrupt(why),
    }
}

impl LoadedKeys {
    /// Whether both copies hold the same whole image, in the files that it was made for.
    pub(crate) fn is_clean(&self) -> bool {
        self.findings.is_empty() && !self.was_copied()
    }

    /// Whether the files are not those that the image was written to.
    pub(crate) fn was_copied(&self) -> bool {
        self.keyset.identity() != self.identity && !seeded(Defect::CopyTakenForOriginal)
    }

    /// Writes the winning image over its own file again, and syncs it; a copy that is not there is made, still empty.
    pub(crate) fn rewrite_winner(&mut self) -> io::Result<()> {
        self.files.make_missing()?;
        self.identity = self.files.identity()?;
        self.rewrite_copy(self.rewrite.winner)
    }

    /// Writes the winning image over both copies again, its own first, each synced before the next.
    pub(crate) fn rewrite(&mut self) -> io::Result<()> {
        self.rewrite_winner()?;
        self.rewrite_copy(self.rewrite.winner.other())
    }

    fn rewrite_copy(&mut self, copy: Copy) -> io::Result<()> {
        self.files.write(copy, &self.rewrite.image, self.rewrite.file_len)?;
        self.files.file(copy).sync_data()?;
        self.keyset.copy_good(copy, self.rewrite.epoch);
        Ok(())
    }

    /// Removes the extents that the keyset does not name. Both copies hold its image by now: an older one might name them.
    pub(crate) fn sweep_extents(&self) -> io::Result<()> {
        let named: Vec<u64> = self.keyset.extents().collect();
        let mut unnamed = self.files.extents()?.into_iter().filter(|number| !named.contains(number));
        unnamed.try_for_each(|number| self.files.remove_extent(number))
    }

    /// Counts every page there is as used up, and makes that durable, with which file this is: no later open mints from them
    /// either, whether or not this one mints at all.
    pub(crate) fn renew_page(&mut self, seen: LogSeen, entropy: &dyn Entropy, dir: &Path) -> Result<(), OpenError> {
        let highest = self.keyset.pages().map(|page| page.first + (page.count - 1)).max();
        self.keyset.raise_pages_above(highest.unwrap_or(0));
        self.keyset.set_identity(self.identity);
        let mut publication = self.keyset.publication(&self.root, seen, entropy)?;
        publication.file_len = publication.file_len.max(self.rewrite.file_len);
        self.files.publish(&mut self.keyset, &publication).map_err(refused("write the keyset in", dir))
    }

    /// Destroys what intents behind the image name, and moves to a new root secret, durably in both copies.
    pub(crate) fn apply(
        &mut self,
        shreds: &Shreds,
        secret: NewSecret,
        seen: LogSeen,
        context: &ProviderContext<'_>,
    ) -> Result<(), OpenError> {
        let runs = merged(shreds.runs_after(self.keyset.applied()));
        let mut frontiers = self.keyset.beside(&runs, ExtentRewrite::WithNext, context.entropy)?;
        if let Some(extent) = frontiers.extent() {
            for step in extent.steps() {
                self.files.carry_out_extent(step, extent).map_err(refused("write an extent in", context.dir))?;
            }
            frontiers.extent_written();
        }
        let change = SecretChange::Move { secret_id: secret.id, provider: secret.record };
        self.keyset.adopt(frontiers, shreds.last(), change)?;
        self.root = secret.root;
        let publication = self.keyset.publication(&self.root, seen, context.entropy)?;
        self.files.publish(&mut self.keyset, &publication).map_err(refused("write the keyset in", context.dir))
    }

    /// How many keys that intents behind a position name the keyset cannot tell to be gone.
    pub(crate) fn unreached(
        &self,
        shreds: &Shreds,
        after: Option<u64>,
        entropy: &dyn Entropy,
    ) -> Result<u64, OpenError> {
        let frontiers = self.keyset.beside(&merged(shreds.runs_after(after)), ExtentRewrite::WithNext, entropy)?;
        Ok(frontiers.unreachable() + frontiers.destroyed())
    }

    pub(crate) fn into_keys(self, shreds: Shreds, config: &Config) -> Keys {
        Keys::new(self.keyset, self.root, self.files, shreds, Arc::clone(&config.entropy))
    }

    /// Gives the parts to a reader that has its files open already.
    pub(crate) fn into_parts(self) -> (Keyset, RootSecret) {
        (self.keyset, self.root)
    }
}

/// Runs of several intents as one sorted list without overlaps.
fn merged(mut runs: Vec<KeyRun>) -> Vec<KeyRun> {
    runs.sort_unstable();
    runs.dedup();
    runs
}
