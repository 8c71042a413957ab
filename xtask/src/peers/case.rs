//! One measured point: a workload with its parameters, and the adapters that take part.
//!
//! Invariant: the name says the point apart from the adapter; results are found by it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// One point.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) adapters: Vec<&'static str>,
    /// The request without adapter and folder.
    pub(super) request: Map<String, Value>,
    /// The filled folder that it works on, if any.
    pub(super) folder: Option<Folder>,
    /// The first so many rounds have it.
    pub(super) rounds: u32,
}

/// A folder that is filled before a group of cases, once an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Folder {
    pub(super) events: u64,
    pub(super) entities: u64,
    pub(super) payload: u64,
    /// Whether it is left as a crash leaves it.
    pub(super) unclean: bool,
}

impl Case {
    /// Makes a point of a workload.
    pub(super) fn new(name: impl Into<String>, workload: &str, adapters: &[&'static str]) -> Case {
        let request = Map::from_iter([("workload".to_owned(), json!(workload))]);
        Case { name: name.into(), adapters: adapters.to_vec(), request, folder: None, rounds: u32::MAX }
    }

    /// Sets a parameter.
    pub(super) fn with(mut self, parameter: &str, value: impl Into<Value>) -> Case {
        self.request.insert(parameter.to_owned(), value.into());
        self
    }

    /// Lets it work on a filled folder.
    pub(super) fn on(mut self, folder: Folder) -> Case {
        let Folder { events, entities, payload, .. } = folder;
        self.folder = Some(folder);
        self.request.entry("events").or_insert(json!(events));
        self.with("entities", entities).with("payload", payload).with("first", events).with("keep", true)
    }

    /// Takes part in so many rounds at most.
    pub(super) fn at_most(mut self, rounds: u32) -> Case {
        self.rounds = rounds;
        self
    }

    /// The request for an adapter, below the folder of all data.
    pub(super) fn of(&self, adapter: &str, data: &Path, effort: &Effort, round: u32) -> Value {
        let mut request = self.request.clone();
        let dir = match self.folder {
            Some(folder) => folder.path(data, adapter),
            None => data.join(adapter),
        };
        request.insert("adapter".to_owned(), json!(adapter));
        request.insert("dir".to_owned(), json!(dir));
        if request.get("workload") == Some(&json!("shred")) {
            // No scope is shredded twice: calls for one scope keep clear of those for many, which are at most so many.
            let single = request.get("events") == Some(&json!(1));
            request.insert("first".to_owned(), json!(if single { round + 50 } else { round }));
        }
        for name in ["events", "first", "entities"] {
            if let Some(count) = request.get(name).and_then(Value::as_u64) {
                let slow = name == "events" && self.folder.is_none() && effort.is_slow(adapter, &self.request);
                let divided = if slow { count / 10 } else { count };
                request.insert(name.to_owned(), json!(effort.scaled(divided)));
            }
        }
        Value::Object(request)
    }
}

impl Folder {
    /// Where it stands.
    pub(super) fn path(&self, data: &Path, adapter: &str) -> PathBuf {
        let Folder { events, entities, payload, unclean } = self;
        let state = if *unclean { "unclean" } else { "clean" };
        data.join(format!("{adapter}-{events}-{entities}-{payload}-{state}"))
    }

    /// The point that fills it.
    pub(super) fn fill(self, adapters: &[&'static str]) -> Case {
        let Folder { events, entities, payload, unclean } = self;
        let name = format!("fill/{events}/{entities}/{payload}/{}", if unclean { "unclean" } else { "clean" });
        let case = Case::new(name, "fill", adapters).with("events", events).with("durability", "buffered");
        let case = case.with("entities", entities).with("payload", payload).with("unclean", unclean);
        Case { folder: Some(self), ..case }
    }
}

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// Counts of events are divided by this.
    pub(super) divisor: u64,
}

impl Effort {
    fn scaled(&self, count: u64) -> u64 {
        if count < 100 { count } else { (count / self.divisor).max(100) }
    }

    /// Peers that take milliseconds where others take microseconds get fewer events.
    fn is_slow(&self, adapter: &str, request: &Map<String, Value>) -> bool {
        let durability = request.get("durability").and_then(Value::as_str);
        let one_by_one = request.get("workload") == Some(&json!("append")) && !request.contains_key("batch");
        one_by_one
            && durability == Some("buffered")
            && (adapter.starts_with("published") || ["redb", "sqlite"].contains(&adapter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: Folder = Folder { events: 1000, entities: 16, payload: 256, unclean: false };

    #[test]
    fn request_names_adapter_folder_and_parameters() {
        let case = Case::new("get", "get", &["floor"]).with("threads", 2).on(FOLDER);
        let request = case.of("floor", Path::new("data"), &Effort { divisor: 1 }, 0);
        let expected = json!({
            "workload": "get", "adapter": "floor", "dir": "data/floor-1000-16-256-clean", "events": 1000,
            "entities": 16, "payload": 256, "threads": 2, "first": 1000, "keep": true,
        });
        assert_eq!(request, expected);
    }

    #[test]
    fn request_divides_counts_by_the_effort_and_for_slow_peers() {
        let case = Case::new("a", "append", &["floor", "redb"]).with("events", 20_000).with("durability", "buffered");
        let events = |adapter, divisor| case.of(adapter, Path::new("data"), &Effort { divisor }, 0)["events"].clone();
        assert_eq!(events("floor", 1), 20_000);
        assert_eq!(events("redb", 1), 2000);
        assert_eq!(events("floor", 10), 2000);
        assert_eq!(events("redb", 1000), 100);
    }
}
