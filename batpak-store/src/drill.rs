//! The drill: a backup restored for a trial, opened and verified.
//!
//! Invariant: neither the backup nor the living store is changed, and no provider is asked for more than to unlock. The keyset that
//! was restored is overwritten afterwards; the rest of the trial directory is the caller's to remove.

use std::path::Path;

use batpak_keyset::Copy;

use crate::{
    BackupError, BackupFolders, Config, Encryption, OpenError, RestoreReport, Store, VerifyOptions, VerifyReport,
    backup::{error::refused, folder::wipe},
};

/// What a drill found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Drill {
    /// What was restored.
    pub restored: RestoreReport,
    /// The verification without keys, or why the store did not open even so.
    pub without_keys: Result<VerifyReport, Box<OpenError>>,
    /// The verification with keys, or why the store did not open; none without a provider or a keyset.
    pub with_keys: Option<Result<VerifyReport, Box<OpenError>>>,
    /// The keyset is older than the log, so that what it does not know reads as lost.
    pub keyset_rolled_back: bool,
}

impl Drill {
    /// Whether everything that was looked at holds: each frame, hash and chain, and with keys that each payload opens or is shredded
    /// on record.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let sound = |opened: &Result<VerifyReport, Box<OpenError>>| opened.as_ref().is_ok_and(VerifyReport::is_sound);
        sound(&self.without_keys) && self.with_keys.as_ref().is_none_or(sound) && !self.keyset_rolled_back
    }
}

impl Store {
    /// Restores a backup into an empty or new directory, opens it read-only and verifies it: without keys and, when `config` has a
    /// provider and the backup a keyset, with them. `progress` is told bytes of the restoring first, then events of each
    /// verification, with how many there are.
    ///
    /// The root secret is the living store's: what the drill shows holds for as long as no shred and no rekey moves it.
    ///
    /// # Errors
    /// [`BackupError`] when the backup cannot be restored; what is wrong with the restored store is in the [`Drill`].
    pub fn drill(
        from: &BackupFolders,
        trial: impl AsRef<Path>,
        config: &Config,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Drill, BackupError> {
        let trial = trial.as_ref();
        let restored = Self::restore(from, trial, &*config.disk, progress)?;
        let mut config = config.clone();
        config.without_keys = false;
        let closed = Config { encryption: Encryption::none(), without_keys: true, ..config.clone() };
        let without_keys = Self::open_read_only(trial, closed);
        let without_keys = verified(without_keys, VerifyOptions::without_keys(), progress)?.map(|(report, _)| report);
        let has_keys = config.encryption.provider().is_some() && restored.epoch.is_some();
        let with_keys = has_keys.then(|| Self::open_read_only(trial, config.clone()));
        let with_keys = with_keys.map(|opened| verified(opened, VerifyOptions::full(), progress)).transpose()?;
        if restored.epoch.is_some() {
            for copy in Copy::BOTH.map(|copy| trial.join(copy.file_name())) {
                wipe(&*config.disk, &copy).map_err(refused("remove", &copy))?;
            }
        }
        let keyset_rolled_back = matches!(&with_keys, Some(Ok((_, true))));
        let with_keys = with_keys.map(|opened| opened.map(|(report, _)| report));
        Ok(Drill { restored, without_keys, with_keys, keyset_rolled_back })
    }
}

/// Verifies a store that opened; also says whether its keyset is older than its log.
fn verified(
    opened: Result<Store, OpenError>,
    options: VerifyOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Result<(VerifyReport, bool), Box<OpenError>>, BackupError> {
    let store = match opened {
        Ok(store) => store,
        Err(why) => return Ok(Err(Box::new(why))),
    };
    let total = store.stats().events;
    let report = store.verify(options, &mut |done| progress(done, total))?;
    Ok(Ok((report, store.open_report().keyset_rolled_back)))
}
