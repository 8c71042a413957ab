#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod ancestors_common;
mod chain;
mod column;
mod cut;
mod cycle;
mod error;
mod export;
mod graph;
mod grow;
mod heads;
mod index;
mod landmark;
mod marks;
mod names;
mod node;
mod order;
mod path;
mod positions;
mod relation;
mod verify;
mod walk;

pub use cut::Cut;
pub use error::{FollowError, GraphError};
pub use export::{Annotate, Drawing, Export, Line, Mark, Place};
pub use graph::{EDGES_MAX, EVENTS_MAX, Graph};
pub use node::{CauseUnfollowed, Event, Node, Unfollowed};
pub use order::Layers;
pub use path::Paths;
pub use relation::Relation;
pub use verify::Fault;
pub use walk::{Ancestors, Descendants, Limits, Reach, Reached};
