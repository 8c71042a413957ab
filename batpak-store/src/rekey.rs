//! A new root secret without a shred: what an old copy of the keyset is worth ends here.
//!
//! Invariant: it is finished by the next open whatever cuts it: the image says which of the provider's two secrets is the current one.

use batpak_format::{Record, Rekeyed};
use batpak_keyset::ExtentRewrite;

use crate::{Destruction, Durability, ShredError, Store, Unfinished, sync::lock};

impl Store {
    /// Moves the keyset under a new root secret, opens a fresh page for new keys, and destroys the old secret. With an outside provider
    /// every copy of the keyset that was taken before is worthless then, for everyone in it: take its backup again.
    ///
    /// # Errors
    /// [`ShredError`]; after [`ShredError::RekeyPending`] the next open for writing finishes it.
    pub fn rekey(&self) -> Result<Destruction, ShredError> {
        let writer = self.writer()?;
        let (Some(keys), Some(provider)) = (writer.keys.as_deref(), self.config.encryption.provider()) else {
            return Err(ShredError::Plaintext);
        };
        let _turn = lock(&writer.shred_turn);
        writer.pipeline.sync_all()?;
        let frontiers = keys.beside(&[], ExtentRewrite::Always)?;
        let secret = keys.next_secret(&**provider, &self.provider_context());
        let secret = secret.inspect_err(|_| keys.abandon(&frontiers))?;
        let (id, seen) = (secret.id, writer.pipeline.log_seen());
        keys.in_publication_turn(|durable| keys.publish_frontiers(frontiers, None, secret, seen, durable))
            .and_then(|()| keys.adopt(&[]))
            .map_err(|why| ShredError::RekeyPending(Unfinished::Publication(why)))?;
        keys.retire_page();
        let destruction = provider
            .settle(&self.provider_context(), id, writer.clock.now())
            .map_err(|why| ShredError::RekeyPending(Unfinished::Provider(why)))?;
        let record = Record::Rekeyed(Rekeyed { epoch: keys.epoch(), secret_id: *id.as_bytes() });
        self.append_system(&record, Durability::Synced)
            .map_err(|why| ShredError::RekeyPending(Unfinished::Completion(why)))?;
        Ok(destruction)
    }
}
