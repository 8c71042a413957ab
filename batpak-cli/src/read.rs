//! `batpak read`: prints events in order.
//!
//! Invariant: it takes no lock and changes nothing, so it works beside a writer.

use std::{ops::ControlFlow, path::PathBuf, time::Duration};

use batpak_store::{EventKind, Query, Store, Timestamp};
use clap::Args;

use crate::{error::CliError, event::EventLine, open::Keys, output::Output, time};

/// How long a follow waits at a time; what was printed is handed on before each wait.
const FOLLOW_WAIT: Duration = Duration::from_millis(500);

/// Print events in the order of the store
#[derive(Debug, Args)]
pub struct Read {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,

    /// Only events of this entity
    #[arg(long)]
    entity: Option<String>,

    /// Only events of this scope
    #[arg(long)]
    scope: Option<String>,

    /// Only events of this kind; given several times, any of them
    #[arg(long, value_name = "CAT:TYPE")]
    kind: Vec<EventKind>,

    /// Only events with this tag; given several times, all of them
    #[arg(long)]
    tag: Vec<String>,

    /// Only events at this position or after it
    #[arg(long, value_name = "N")]
    from: Option<u64>,

    /// Only events before this position
    #[arg(long, value_name = "N")]
    to: Option<u64>,

    /// Only events of this time (RFC 3339 or microseconds) or later
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    since: Option<Timestamp>,

    /// Only events before this time
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    until: Option<Timestamp>,

    /// At most this many events
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// The newest first
    #[arg(long)]
    reverse: bool,

    /// Read on as the log grows, until interrupted
    #[arg(long, conflicts_with_all = ["reverse", "to"])]
    follow: bool,

    /// The store's own events too
    #[arg(long)]
    system: bool,
}

impl Read {
    /// Prints the events.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let store = keys.open_read_only(&self.dir)?;
        if self.follow {
            return self.follow(&store, output);
        }
        let mut query = self.query();
        if let Some(limit) = self.limit {
            query = query.limit(limit);
        }
        let shown =
            store.replay(&query, |event| match output.show(&EventLine::lent(&event, &event.header().to_owned())) {
                Ok(()) => ControlFlow::Continue(()),
                Err(refused) => ControlFlow::Break(refused),
            })?;
        shown.break_value().map_or(Ok(()), Err)
    }

    /// Prints events until the limit, or for ever.
    fn follow(&self, store: &Store, output: &mut Output) -> Result<(), CliError> {
        let query = self.query();
        let mut follow = store.follow(&query);
        let mut left = self.limit.unwrap_or(u64::MAX);
        while left > 0 {
            match follow.next_timeout(Duration::ZERO)? {
                Some(event) => {
                    output.show(&EventLine::of(&event))?;
                    left -= 1;
                }
                None => {
                    output.flush()?;
                    if let Some(event) = follow.next_timeout(FOLLOW_WAIT)? {
                        output.show(&EventLine::of(&event))?;
                        left -= 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns what was asked for, the limit aside.
    fn query(&self) -> Query {
        let mut query = Query::all().include_system(self.system);
        if let Some(entity) = &self.entity {
            query = query.entity(entity);
        }
        if let Some(scope) = &self.scope {
            query = query.scope(scope);
        }
        for kind in &self.kind {
            query = query.kind(*kind);
        }
        for tag in &self.tag {
            query = query.tag(tag);
        }
        if let Some(from) = self.from {
            query = query.from(from);
        }
        if let Some(to) = self.to {
            query = query.to(to);
        }
        if let Some(since) = self.since {
            query = query.since(since);
        }
        if let Some(until) = self.until {
            query = query.until(until);
        }
        if self.reverse {
            query = query.reverse();
        }
        query
    }
}
