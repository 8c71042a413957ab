//! What a read is asked, of the store and of the list.

use batpak_store::{Granularity, Query, Selector};
use proptest::prelude::*;

use super::list::{ENTITIES, KEYS, KINDS, Listed, Model, SCOPES, at, id, kind};

/// One query, by what it asks.
#[derive(Clone, Debug)]
pub struct Asked {
    entity: Option<usize>,
    scope: Option<usize>,
    kinds: Vec<usize>,
    tag: bool,
    from: u64,
    to: Option<u64>,
    limit: Option<u64>,
    reverse: bool,
}

impl Asked {
    pub fn query(&self) -> Query {
        let mut query = Query::all().from(self.from);
        query = self.entity.map_or(query.clone(), |entity| query.entity(ENTITIES[entity]));
        query = self.scope.map_or(query.clone(), |scope| query.scope(SCOPES[scope]));
        for at in &self.kinds {
            query = query.kind(kind(6 * *at as u8));
        }
        query = if self.tag { query.tag("even") } else { query };
        query = self.to.map_or(query.clone(), |to| query.to(to));
        query = self.limit.map_or(query.clone(), |limit| query.limit(limit));
        if self.reverse { query.reverse() } else { query }
    }

    /// The same, as a follow reads it.
    pub const fn forwards(mut self) -> Self {
        self.reverse = false;
        self
    }

    /// What the list answers, as positions.
    pub fn of(&self, model: &Model) -> Vec<u64> {
        let to = self.to.unwrap_or(u64::MAX);
        let matches = |event: &Listed| {
            self.entity.is_none_or(|entity| event.at.entity() == ENTITIES[entity])
                && self.scope.is_none_or(|scope| event.at.scope() == SCOPES[scope])
                && (self.kinds.is_empty() || self.kinds.iter().any(|at| event.kind == kind(6 * *at as u8)))
                && (!self.tag || event.tag.is_some())
        };
        let asked = |(at, event): &(u64, &Listed)| (self.from..to).contains(at) && matches(event);
        let mut found: Vec<u64> = model.listed().filter(asked).map(|(at, _)| at).collect();
        if self.reverse {
            found.reverse();
        }
        found.truncate(self.limit.map_or(usize::MAX, |limit| limit as usize));
        found
    }
}

pub fn asked() -> impl Strategy<Value = Asked> {
    let which = (
        prop::option::weighted(0.4, 0..ENTITIES.len()),
        prop::option::weighted(0.4, 0..SCOPES.len()),
        prop::collection::vec(0..KINDS.len(), 0..2),
        prop::bool::weighted(0.2),
    );
    let range =
        (0..20_u64, prop::option::weighted(0.4, 0..60_u64), prop::option::weighted(0.3, 0..6_u64), any::<bool>());
    (which, range).prop_map(|((entity, scope, kinds, tag), (from, to, limit, reverse))| Asked {
        entity,
        scope,
        kinds,
        tag,
        from,
        to,
        limit,
        reverse,
    })
}

/// A selector for what the draws can make, mostly of a granularity that does not cut through the key scopes of such a store.
pub fn selector(own: Option<Granularity>) -> impl Strategy<Value = Selector> {
    let covers = |asked: &Granularity| own.is_none_or(|own| asked.covers(own));
    let sound: Vec<Granularity> = Granularity::ALL.into_iter().filter(covers).collect();
    let by = prop_oneof![9 => prop::sample::select(sound), 1 => prop::sample::select(&Granularity::ALL[..])];
    (by, 0..KEYS).prop_map(|(by, key)| match by {
        Granularity::Category => Selector::Category(kind(key).category()),
        Granularity::Coordinate => Selector::Coordinate(at(key)),
        Granularity::Entity => Selector::Entity(at(key).entity().to_owned()),
        Granularity::Event => Selector::Event(id(key)),
        Granularity::Kind => Selector::Kind(kind(key)),
        Granularity::Scope => Selector::Scope(at(key).scope().to_owned()),
        other => panic!("{other:?}"),
    })
}
