//! How the pipeline ends, and how it is drained while it runs.
//!
//! Invariant: whoever waits returns. Closing refuses new appends, finishes those that are placed, and only then writes the footer.

use std::{sync::Arc, time::Duration};

use crate::{AppendError, pipeline::Pipeline, sync::lock};

impl Pipeline {
    /// Refuses appends from now on; false if it did already.
    pub(crate) fn begin_close(&self) -> bool {
        let mut state = lock(&self.state);
        let first = !state.closing;
        state.closing = true;
        self.ending.notify_all();
        self.behind.notify_all();
        self.progress.notify_all();
        first
    }

    /// Drains the write buffer every so often until the pipeline is closed or poisoned: the body of the store's own thread.
    ///
    /// A failed drain is known to the pipeline, which answers for it; the thread only goes on.
    pub(crate) fn drain_until_closed(&self, delay: Duration) {
        loop {
            let state = lock(&self.state);
            if state.closing || state.poison.is_some() {
                return;
            }
            let state = self.ending.wait_timeout(&self.state, state, delay);
            let queued = !state.queue.is_empty();
            drop(state);
            if queued {
                drop(self.drain());
            }
        }
    }

    /// Ends the log with a footer that states its length, unless nothing was written since the last one.
    pub(crate) fn end(&self, keyset_epoch: u64) -> Result<(), AppendError> {
        let log = self.take_log();
        let mut state = lock(&self.state);
        if let Some(why) = &state.poison {
            return Err(AppendError::Poisoned(Arc::clone(why)));
        }
        let Some(mut log) = log else { return Err(AppendError::Closed) };
        log.close(keyset_epoch).map_err(|why| {
            let why = Arc::new(why);
            self.poison(&mut state, Arc::clone(&why));
            AppendError::Poisoned(why)
        })
    }
}
