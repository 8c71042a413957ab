//! Which keys the list has, which of them are destroyed, what is held, and what a shred would take.

use std::collections::BTreeSet;

use batpak_store::{
    Coordinate, Durability, EventKind, Granularity, Selector,
    keyset::{KeyScope, scope_for},
};

use super::list::{Answer, Listed, Model, id, kind};

/// What is held.
#[derive(Clone, Debug)]
pub struct Hold {
    pub selector: Selector,
    /// Position of the event that says so.
    pub position: u64,
}

/// What a shred, and whatever else takes its turn, must answer.
#[derive(Debug, PartialEq, Eq)]
pub enum ShredAnswer {
    /// Destroyed, with its intent.
    Done {
        intent: u64,
        scopes: Vec<KeyScope>,
        withheld: Vec<KeyScope>,
        keys: u64,
    },
    /// Put on record; nothing was destroyed.
    Recorded(u64),
    Nothing,
    Plaintext,
    WrongGranularity(Granularity),
    Withheld(Vec<KeyScope>),
    AlreadyHeld(u64),
    NotHeld,
    PlanChanged,
}

/// What a shred would do: equal plans are one plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub scopes: Vec<Planned>,
    pub withheld: Vec<KeyScope>,
}

/// A key scope that would be shredded: its keys, how many events are sealed under them, and the last one's position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    pub scope: KeyScope,
    pub keys: BTreeSet<u64>,
    pub events: u64,
    pub last: Option<u64>,
}

/// The granularity that a selector is of.
fn granularity(selector: &Selector) -> Granularity {
    match selector {
        Selector::Category(_) => Granularity::Category,
        Selector::Coordinate(_) => Granularity::Coordinate,
        Selector::Entity(_) => Granularity::Entity,
        Selector::Event(_) => Granularity::Event,
        Selector::Kind(_) => Granularity::Kind,
        Selector::Scope(_) => Granularity::Scope,
        other => panic!("{other:?}"),
    }
}

/// Whether an event belongs to what a selector names.
fn selects(selector: &Selector, event: &Listed) -> bool {
    match selector {
        Selector::Category(category) => event.kind.category() == *category,
        Selector::Coordinate(at) => event.at == *at,
        Selector::Entity(entity) => event.at.entity() == entity,
        Selector::Event(id) => event.id == *id,
        Selector::Kind(kind) => event.kind == *kind,
        Selector::Scope(scope) => event.at.scope() == scope,
        other => panic!("{other:?}"),
    }
}

/// The key scope that a selector is the name of.
pub fn scope_of(selector: &Selector) -> KeyScope {
    let (any, none) = (Coordinate::new("any", "any").unwrap(), id(0));
    let named = |at: &Coordinate, kind| scope_for(granularity(selector), at, kind, none);
    match selector {
        Selector::Category(category) => named(&any, EventKind::new(*category, 0).unwrap()),
        Selector::Coordinate(at) => named(at, kind(0)),
        Selector::Entity(entity) => named(&Coordinate::new(entity, "any").unwrap(), kind(0)),
        Selector::Event(id) => scope_for(Granularity::Event, &any, kind(0), *id),
        Selector::Kind(kind) => named(&any, *kind),
        Selector::Scope(scope) => named(&Coordinate::new("any", scope).unwrap(), kind(0)),
        other => panic!("{other:?}"),
    }
}

impl Plan {
    /// Whether the two differ in nothing but keys that are forgotten, in whose place there are as many later ones.
    fn is_but_for(&self, forgotten: &BTreeSet<u64>, later: &Self) -> bool {
        let replaced = |(a, b): (&Planned, &Planned)| {
            let gone: Vec<u64> = a.keys.difference(&b.keys).copied().collect();
            let came: Vec<u64> = b.keys.difference(&a.keys).copied().collect();
            let same = (&a.scope, a.events, a.last) == (&b.scope, b.events, b.last) && gone.len() == came.len();
            same && gone.iter().all(|key| forgotten.contains(key) && came.iter().all(|new| new > key))
        };
        self.withheld == later.withheld
            && self.scopes.len() == later.scopes.len()
            && self.scopes.iter().zip(&later.scopes).all(replaced)
    }
}

impl Model {
    fn scope(&self, event: &Listed) -> Option<KeyScope> {
        Some(scope_for(self.granularity?, &event.at, event.kind, event.id))
    }

    /// Each event takes the key of its key scope, or a fresh one, before anything else is looked at.
    pub fn take_keys(&mut self, batch: &[Listed]) -> Option<Answer> {
        if self.granularity == Some(Granularity::Event) {
            return None;
        }
        for event in batch {
            let scope = self.scope(event)?;
            if self.refused.contains(&scope) && !self.provisional.contains_key(&scope) {
                return Some(Answer::Shredded);
            }
            if self.keys_of(&scope).is_empty() {
                self.minted += 1;
                self.provisional.insert(scope, self.minted);
            }
        }
        None
    }

    /// Takes a key for an entity that has no event.
    pub fn minted_for(&mut self, entity: &str) {
        self.minted += 1;
        self.provisional.insert(scope_of(&Selector::Entity(entity.to_owned())), self.minted);
    }

    /// The key that an event is sealed under which is being placed.
    pub fn key_for(&mut self, event: &Listed) -> u64 {
        let Some(scope) = self.scope(event) else { return 0 };
        if self.granularity == Some(Granularity::Event) {
            self.minted += 1;
            return self.minted;
        }
        let keys = self.keys_of(&scope);
        assert_eq!(keys.len(), 1, "a key scope has one live key");
        self.provisional.remove(&scope);
        keys.into_iter().next().unwrap()
    }

    /// The keys of a key scope that are not destroyed.
    fn keys_of(&self, scope: &KeyScope) -> BTreeSet<u64> {
        let live = |event: &Listed| event.shredded.is_none() && self.scope(event).as_ref() == Some(scope);
        let named = self.listed().filter(|(_, event)| live(event)).map(|(_, event)| event.key);
        named.chain(self.provisional.get(scope).copied()).collect()
    }

    /// The selector's own granularity must not cut through key scopes.
    fn check(&self, selectors: &[Selector]) -> Result<Granularity, ShredAnswer> {
        let own = self.granularity.ok_or(ShredAnswer::Plaintext)?;
        match selectors.iter().map(granularity).find(|asked| !asked.covers(own)) {
            Some(asked) => Err(ShredAnswer::WrongGranularity(asked)),
            None => Ok(own),
        }
    }

    /// What these selectors name, held or not: key scopes with a key or an event, and those that are named themselves.
    fn named(&self, selectors: &[Selector], own: Granularity) -> BTreeSet<KeyScope> {
        let covers = |event: &Listed| selectors.iter().any(|selector| selects(selector, event));
        let events = self.listed().filter(|(_, event)| covers(event));
        if own == Granularity::Event {
            // An event that is shredded has nothing left to lose, and one that is not there is not refused ahead.
            return events.filter(|(_, event)| event.shredded.is_none()).filter_map(|(_, it)| self.scope(it)).collect();
        }
        let mut scopes: BTreeSet<KeyScope> = events.filter_map(|(_, event)| self.scope(event)).collect();
        scopes.extend(selectors.iter().filter(|selector| granularity(selector) == own).map(scope_of));
        let within = |scope: &&KeyScope| selectors.iter().any(|selector| scope_of(selector).contains(scope));
        scopes.extend(self.provisional.keys().filter(within).cloned());
        scopes
    }

    fn is_held(&self, scope: &KeyScope) -> bool {
        let of_scope = |event: &Listed| self.scope(event).as_ref() == Some(scope);
        self.holds.iter().any(|hold| {
            scope_of(&hold.selector).contains(scope)
                || self.listed().any(|(_, event)| of_scope(event) && selects(&hold.selector, event))
        })
    }

    pub fn plan(&self, selectors: &[Selector]) -> Result<Plan, ShredAnswer> {
        let own = self.check(selectors)?;
        let (withheld, mut scopes): (Vec<_>, Vec<_>) =
            self.named(selectors, own).into_iter().partition(|scope| self.is_held(scope));
        // What is shredded already has nothing left to lose, unless it is named itself.
        let asked = |scope: &KeyScope| selectors.iter().any(|selector| scope_of(selector) == *scope);
        scopes.retain(|scope| !self.keys_of(scope).is_empty() || !self.refused.contains(scope) || asked(scope));
        let planned = |scope: KeyScope| {
            let keys = self.keys_of(&scope);
            let under =
                |(_, event): &(u64, &Listed)| keys.contains(&event.key) && self.scope(event) == Some(scope.clone());
            let (events, last) = (self.listed().filter(under).count(), self.listed().filter(under).last());
            let last = last.map(|(position, _)| position);
            Planned { keys: keys.clone(), events: events as u64, last, scope }
        };
        Ok(Plan { scopes: scopes.into_iter().map(planned).collect(), withheld })
    }

    pub fn shred(&mut self, selectors: &[Selector]) -> ShredAnswer {
        match self.check(selectors) {
            Ok(_) => self.carry_out(selectors, None),
            Err(why) => why,
        }
    }

    /// Shreds if what would be destroyed is still the plan.
    ///
    /// Whether the id of a key that is forgotten stands for another one now is not foretold: `ids_are_same` says it.
    pub fn apply(&mut self, selectors: &[Selector], planned: &Plan, ids_are_same: bool) -> ShredAnswer {
        let now = self.plan(selectors);
        let another = now.ok().filter(|now| ids_are_same && planned.is_but_for(&self.forgotten, now));
        self.carry_out(selectors, Some(another.as_ref().unwrap_or(planned)))
    }

    fn carry_out(&mut self, selectors: &[Selector], planned: Option<&Plan>) -> ShredAnswer {
        // All that is placed is synced first, whatever comes of it.
        self.reached(self.events.len(), Durability::Synced);
        let plan = match self.plan(selectors) {
            Ok(plan) => plan,
            Err(why) => return why,
        };
        if planned.is_some_and(|planned| *planned != plan) {
            return ShredAnswer::PlanChanged;
        }
        let Plan { scopes, withheld } = plan;
        match (scopes.is_empty(), withheld.is_empty()) {
            (true, true) => return ShredAnswer::Nothing,
            (true, false) => return ShredAnswer::Withheld(withheld),
            (false, _) => {}
        }
        let intent = self.events.len() as u64;
        let keys: BTreeSet<u64> = scopes.iter().flat_map(|planned| planned.keys.iter().copied()).collect();
        for event in self.events.iter_mut().flatten().filter(|event| keys.contains(&event.key)) {
            event.shredded = Some(intent);
        }
        let scopes: Vec<KeyScope> = scopes.into_iter().map(|planned| planned.scope).collect();
        self.provisional.retain(|scope, _| !scopes.contains(scope));
        self.refused.extend(scopes.iter().cloned());
        self.shreds += 1;
        self.system(2);
        ShredAnswer::Done { intent, scopes, withheld, keys: keys.len() as u64 }
    }

    /// Says whether the selector names a key scope of the store, and lets it take new keys.
    pub fn readmit(&mut self, selector: &Selector) -> ShredAnswer {
        match self.granularity {
            None => ShredAnswer::Plaintext,
            Some(own) if granularity(selector) != own => ShredAnswer::WrongGranularity(granularity(selector)),
            Some(_) => {
                self.refused.remove(&scope_of(selector));
                self.recorded()
            }
        }
    }

    fn recorded(&mut self) -> ShredAnswer {
        self.system(1);
        ShredAnswer::Recorded(self.events.len() as u64 - 1)
    }

    pub fn hold(&mut self, selector: &Selector) -> ShredAnswer {
        if let Err(why) = self.check(std::slice::from_ref(selector)) {
            return why;
        }
        if let Some(hold) = self.holds.iter().find(|hold| hold.selector == *selector) {
            return ShredAnswer::AlreadyHeld(hold.position);
        }
        self.holds.push(Hold { selector: selector.clone(), position: self.events.len() as u64 });
        self.recorded()
    }

    pub fn release(&mut self, selector: &Selector) -> ShredAnswer {
        if let Err(why) = self.check(std::slice::from_ref(selector)) {
            return why;
        }
        match self.holds.iter().position(|hold| hold.selector == *selector) {
            None => ShredAnswer::NotHeld,
            Some(at) => {
                self.holds.remove(at);
                self.recorded()
            }
        }
    }
}
