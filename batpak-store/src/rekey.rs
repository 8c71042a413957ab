//! A new root secret without a shred: what an old copy of the keyset is worth ends here.
//!
//! Invariant: it is finished by whoever takes the shred turn next, or by the next open, whatever cuts it: the image says which of the
//! provider's two secrets is the current one.

use batpak_keyset::ExtentRewrite;

use crate::{
    Destruction, Pending, ShredError, Store, Unfinished,
    pending::{Begun, Finished},
};

impl Store {
    /// Moves the keyset under a new root secret, opens a fresh page for new keys, and destroys the old secret. With an outside provider
    /// every copy of the keyset that was taken before is worthless then, for everyone in it: take its backup again.
    ///
    /// # Errors
    /// [`ShredError`]; after [`ShredError::RekeyPending`] [`Store::resume`] finishes it, and so does the next open for writing.
    pub fn rekey(&self) -> Result<Destruction, ShredError> {
        let turn = self.shred_turn()?;
        turn.writer.pipeline.sync_all()?;
        let frontiers = turn.keys.beside(&[], ExtentRewrite::Always)?;
        let secret = turn.keys.next_secret(turn.provider, &self.provider_context());
        let secret = secret.inspect_err(|_| turn.keys.abandon(&frontiers))?;
        let begun = Begun::new(Pending::Rekey, Vec::new(), 0);
        let pending = |why| ShredError::RekeyPending(Unfinished::Publication(why));
        turn.keys
            .in_publication_turn(|durable| {
                turn.keys.stage(begun, frontiers, None, secret)?;
                turn.keys.publish_staged(turn.writer.pipeline.log_seen(), durable)
            })
            .map_err(pending)?;
        match self.finish(&turn)? {
            Some(Finished { destruction, .. }) => Ok(destruction),
            None => Err(pending(batpak_keyset::KeysetError::NothingStaged.into())),
        }
    }
}
