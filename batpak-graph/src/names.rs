//! Entities, scopes and correlations, each stored once and named by a number.
//!
//! Invariant: numbers are dense and given in order of first appearance, so drawings do not depend on hashing.

use batpak_format::EventId;

use crate::column::Column;
use crate::index::{Hashing, Index};

/// Strings stored once each, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    text: String,
    /// Where each name ends in `text`.
    ends: Column<usize>,
    index: Index,
}

impl Names {
    pub(crate) const fn new() -> Names {
        Names { text: String::new(), ends: Column::new(), index: Index::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn name(&self, number: u32) -> &str {
        name_in(&self.text, &self.ends, number)
    }

    pub(crate) fn number(&mut self, name: &str, hashing: &Hashing) -> u32 {
        let hash = hashing.name(name);
        if let Some(number) = self.index.find(hash, |number| self.name(number) == name) {
            return number;
        }
        let number = self.ends.len() as u32;
        self.text.push_str(name);
        self.ends.push(self.text.len());
        let (text, ends) = (&self.text, &self.ends);
        self.index.insert(hash, number, |number| hashing.name(name_in(text, ends, number)));
        number
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.text.capacity() + self.ends.memory_bytes() + self.index.memory_bytes()
    }
}

fn name_in<'a>(text: &'a str, ends: &Column<usize>, number: u32) -> &'a str {
    let start = if number == 0 { 0 } else { ends.at(number - 1) };
    &text[start..ends.at(number)]
}

/// Pairs of entity and scope.
#[derive(Debug, Clone)]
pub(crate) struct Coordinates {
    entities: Names,
    scopes: Names,
    pairs: Column<(u32, u32)>,
    index: Index,
}

impl Coordinates {
    pub(crate) const fn new() -> Coordinates {
        Coordinates { entities: Names::new(), scopes: Names::new(), pairs: Column::new(), index: Index::new() }
    }

    pub(crate) fn entities_len(&self) -> usize {
        self.entities.len()
    }

    pub(crate) fn entity_number(&self, coordinate: u32) -> u32 {
        self.pairs.at(coordinate).0
    }

    pub(crate) fn entity(&self, coordinate: u32) -> &str {
        self.entities.name(self.pairs.at(coordinate).0)
    }

    pub(crate) fn scope(&self, coordinate: u32) -> &str {
        self.scopes.name(self.pairs.at(coordinate).1)
    }

    pub(crate) fn number(&mut self, entity: &str, scope: &str, hashing: &Hashing) -> u32 {
        let hash = hashing.names(entity, scope);
        let is = |number| self.entity(number) == entity && self.scope(number) == scope;
        if let Some(number) = self.index.find(hash, is) {
            return number;
        }
        let number = self.pairs.len() as u32;
        let pair = (self.entities.number(entity, hashing), self.scopes.number(scope, hashing));
        self.pairs.push(pair);
        let (entities, scopes, pairs) = (&self.entities, &self.scopes, &self.pairs);
        self.index.insert(hash, number, |number| {
            let (entity, scope) = pairs.at(number);
            hashing.names(entities.name(entity), scopes.name(scope))
        });
        number
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let names = self.entities.memory_bytes() + self.scopes.memory_bytes();
        names + self.pairs.memory_bytes() + self.index.memory_bytes()
    }
}

/// Correlation ids, each with the last event that carries it.
#[derive(Debug, Clone)]
pub(crate) struct Correlations {
    rows: Column<Correlation>,
    index: Index,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Correlation {
    pub(crate) id: EventId,
    /// The last event of the correlation; that one leads on to the first, as a ring.
    pub(crate) last: u32,
}

impl Correlations {
    pub(crate) const fn new() -> Correlations {
        Correlations { rows: Column::new(), index: Index::new() }
    }

    pub(crate) fn row(&self, number: u32) -> Correlation {
        self.rows.at(number)
    }

    pub(crate) fn find(&self, id: &EventId, hashing: &Hashing) -> Option<u32> {
        self.index.find(hashing.id(id.as_bytes()), |number| self.rows.at(number).id == *id)
    }

    /// The number of `id`, and the last event before `event` that carries it.
    pub(crate) fn enter(&mut self, id: EventId, event: u32, hashing: &Hashing) -> (u32, Option<u32>) {
        if let Some(number) = self.find(&id, hashing) {
            let last = std::mem::replace(&mut self.rows.at_mut(number).last, event);
            return (number, Some(last));
        }
        let number = self.rows.len() as u32;
        self.rows.push(Correlation { id, last: event });
        let rows = &self.rows;
        self.index.insert(hashing.id(id.as_bytes()), number, |number| hashing.id(rows.at(number).id.as_bytes()));
        (number, None)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.rows.memory_bytes() + self.index.memory_bytes()
    }
}
