//! The questions that a causal graph answers, as they are typed.
//!
//! Invariant: a question reads the graph and nothing else, so the same line asked alone and through `ask` has one answer.

use batpak_graph::{Graph, GraphError, Limits, Node, Reach, Relation};
use batpak_store::EventId;
use clap::{ArgGroup, Args, Subcommand, value_parser};

use crate::{
    error::CliError,
    graph::{
        answer::{Answer, CutParts, Item, Verified},
        name::{EventName, find_all},
    },
};

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Question {
    /// What led to an event, nearest first
    Ancestors(FromOne),
    /// What an event led to, nearest first
    Descendants(FromOne),
    /// How one event stands to another: before, after, concurrent or same
    Relation(Two),
    /// The lowest common ancestors of two events, latest first
    Common(Two),
    /// The chain of causes from one event to a later one: a shortest one, or all
    Path(PathBetween),
    /// The events in causal order: none before one of its causes, the concurrent by position
    Order(Order),
    /// The events that caused nothing yet
    Heads,
    /// A set of events that holds all their causes: its frontier, what its reader sees last, what can come next
    Cut(CutOf),
    /// Whether the causes that the events name can be true
    Verify,
}

/// One event, and how far to go from it.
#[derive(Debug, Args)]
pub struct FromOne {
    /// The event: its id, or its key
    #[arg(value_name = "EVENT")]
    event: EventName,

    /// At most this many causes away
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    depth: Option<u32>,

    /// At most this many events
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// Two events.
#[derive(Debug, Args)]
pub struct Two {
    /// The one event: its id, or its key
    #[arg(value_name = "FIRST")]
    first: EventName,

    /// The other event
    #[arg(value_name = "SECOND")]
    second: EventName,
}

/// The two ends of a chain of causes.
#[derive(Debug, Args)]
pub struct PathBetween {
    /// Where it begins: id or key of the earlier event
    #[arg(value_name = "FROM")]
    from: EventName,

    /// Where it ends: id or key of the later event
    #[arg(value_name = "TO")]
    to: EventName,

    /// At most this many causes long
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    depth: Option<u32>,

    /// All chains, one each, instead of a shortest one; their number can be very large
    #[arg(long)]
    all: bool,

    /// At most this many chains
    #[arg(long, value_name = "N", requires = "all", default_value_t = 100)]
    limit: usize,
}

/// Which events are put in order.
#[derive(Debug, Args)]
pub struct Order {
    /// Only these events, and what led to them
    #[arg(value_name = "EVENT")]
    events: Vec<EventName>,

    /// Only the events of this correlation id
    #[arg(long, value_name = "ID", conflicts_with = "events")]
    correlation: Option<EventId>,
}

/// Which events are in the cut.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true))]
pub struct CutOf {
    /// The smallest cut that holds these events: they and all that led to them
    #[arg(value_name = "EVENT", group = "which")]
    events: Vec<EventName>,

    /// What a reader has who read up to this position, which is not included
    #[arg(long, value_name = "POSITION", group = "which")]
    at: Option<u64>,

    /// Exactly the events named; the answer is no when they lack a cause
    #[arg(long, conflicts_with = "at")]
    exact: bool,
}

impl Question {
    /// Answers.
    ///
    /// # Errors
    /// [`CliError::NameNotFound`]; an answer that is no is an [`Answer`].
    pub fn answer(&self, graph: &Graph) -> Result<Answer, CliError> {
        Ok(match self {
            Self::Ancestors(of) => reached(graph.past(of.event.find(graph)?, of.limits())),
            Self::Descendants(of) => reached(graph.future(of.event.find(graph)?, of.limits())),
            Self::Relation(two) => {
                let (first, second) = two.find(graph)?;
                Answer::of(vec![Item::Relation { first, second, relation: graph.relation(first, second) }])
            }
            Self::Common(two) => {
                let (first, second) = two.find(graph)?;
                let common = graph.common_ancestors(first, second);
                let no = common.is_empty().then_some(CliError::NoCommonAncestor);
                Answer { no, ..Answer::of_events(common) }
            }
            Self::Path(between) => between.answer(graph)?,
            Self::Order(order) => order.answer(graph)?,
            Self::Heads => Answer::of_events(graph.heads()),
            Self::Cut(of) => of.answer(graph)?,
            Self::Verify => verified(graph),
        })
    }

    /// Returns the events of a drawing of the answer: the answer's, those that were named, and those between.
    ///
    /// # Errors
    /// As [`Question::answer`].
    pub fn drawn(&self, graph: &Graph, answer: &Answer) -> Result<Vec<Node>, CliError> {
        let mut drawn = answer.nodes();
        match self {
            Self::Ancestors(of) | Self::Descendants(of) => drawn.push(of.event.find(graph)?),
            Self::Relation(two) | Self::Common(two) => {
                let (first, second) = two.find(graph)?;
                drawn.extend([first, second]);
                for common in graph.common_ancestors(first, second) {
                    drawn.extend(graph.between(common, first));
                    drawn.extend(graph.between(common, second));
                }
            }
            Self::Path(between) => drawn.extend([between.from.find(graph)?, between.to.find(graph)?]),
            Self::Verify => drawn.extend(graph.nodes()),
            Self::Order(_) | Self::Heads | Self::Cut(_) => {}
        }
        Ok(graph.order_of(drawn))
    }

    /// Returns what a drawing of the answer is called.
    pub fn title(&self) -> String {
        match self {
            Self::Ancestors(of) => format!("What led to {}", of.event.as_str()),
            Self::Descendants(of) => format!("What {} led to", of.event.as_str()),
            Self::Relation(two) | Self::Common(two) => format!("{} and {}", two.first.as_str(), two.second.as_str()),
            Self::Path(between) => format!("From {} to {}", between.from.as_str(), between.to.as_str()),
            Self::Order(order) => order.title(),
            Self::Verify => "What led to what".to_owned(),
            Self::Heads => "What led to nothing yet".to_owned(),
            Self::Cut(of) => of.title(),
        }
    }
}

impl FromOne {
    fn limits(&self) -> Limits {
        Limits { depth_max: self.depth.unwrap_or(u32::MAX), events_max: self.limit.unwrap_or(usize::MAX) }
    }
}

impl Two {
    fn find(&self, graph: &Graph) -> Result<(Node, Node), CliError> {
        Ok((self.first.find(graph)?, self.second.find(graph)?))
    }
}

impl PathBetween {
    fn answer(&self, graph: &Graph) -> Result<Answer, CliError> {
        let (from, to) = (self.from.find(graph)?, self.to.find(graph)?);
        let causes_max = self.depth.unwrap_or(u32::MAX);
        let mut paths: Vec<_> = if self.all {
            graph.paths(from, to, causes_max).take(self.limit.saturating_add(1)).collect()
        } else {
            let shortest = graph.path_shortest(from, to);
            shortest.into_iter().filter(|path| path.len() - 1 <= causes_max as usize).collect()
        };
        let is_limited = self.all && paths.len() > self.limit;
        if is_limited {
            paths.truncate(self.limit);
        }
        let no = (paths.is_empty() && !is_limited).then(|| CliError::NoPath {
            from: self.from.as_str().to_owned(),
            to: self.to.as_str().to_owned(),
            turned: graph.relation(from, to) == Relation::After,
        });
        Ok(Answer { no, is_limited, ..Answer::of(paths.into_iter().map(Item::Path).collect()) })
    }
}

impl Order {
    fn answer(&self, graph: &Graph) -> Result<Answer, CliError> {
        Ok(match &self.correlation {
            Some(id) => Answer::of_events(graph.correlated(id)),
            None if self.events.is_empty() => Answer::of_events(graph.order()),
            None => Answer::of_events(graph.cut_of(&find_all(&self.events, graph)?).nodes()),
        })
    }

    fn title(&self) -> String {
        match &self.correlation {
            Some(id) => format!("What belongs to {id}"),
            None if self.events.is_empty() => "What led to what".to_owned(),
            None => format!("What led to {}", joined(&self.events)),
        }
    }
}

impl CutOf {
    fn answer(&self, graph: &Graph) -> Result<Answer, CliError> {
        let nodes = find_all(&self.events, graph)?;
        let cut = match self.at {
            Some(position) => Ok(graph.cut_at(position)),
            None if self.exact => graph.cut_from(nodes),
            None => Ok(graph.cut_of(&nodes)),
        };
        match cut {
            Ok(cut) => Ok(Answer::of(vec![Item::Cut(CutParts::of(&cut))])),
            Err(source @ GraphError::CutNotClosed { .. }) => {
                Ok(Answer { no: Some(CliError::CutNotClosed(source)), ..Answer::of(Vec::new()) })
            }
            Err(source) => Err(CliError::Graph(source)),
        }
    }

    fn title(&self) -> String {
        match self.at {
            Some(position) => format!("What stands before position {position}"),
            None => format!("The cut of {}", joined(&self.events)),
        }
    }
}

fn joined(names: &[EventName]) -> String {
    names.iter().map(EventName::as_str).collect::<Vec<_>>().join(", ")
}

fn reached(mut reach: Reach<'_>) -> Answer {
    let items = reach.by_ref().map(|found| Item::Event { node: found.node, depth: Some(found.depth) }).collect();
    Answer { is_limited: reach.is_limited(), ..Answer::of(items) }
}

fn verified(graph: &Graph) -> Answer {
    let verified = Verified::of(graph);
    let no = (verified.faults_total > 0).then_some(CliError::CausesFaulty { faults: verified.faults_total });
    Answer { no, ..Answer::of(vec![Item::Verified(verified)]) }
}
