//! What an append must meet beside what every one must: an expected revision, a condition, gates.

use batpak_store::{AppendCondition, Denial, Expect, GateSet, NewEvent, Payload, QueryItem};
use proptest::prelude::*;

use super::list::{Answer, Draw, ENTITIES, KINDS, Listed, Model, SCOPES, kind};

/// The rules of one event.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    expect: Option<Expect>,
    /// Events that must not stand behind a position.
    condition: Option<(Vec<Item>, Option<u64>)>,
    gates: Vec<Gate>,
}

/// What a condition names.
#[derive(Clone, Debug)]
struct Item {
    entity: Option<usize>,
    scope: Option<usize>,
    kind: Option<usize>,
    tag: bool,
}

/// Looks at the log that the event would join.
#[derive(Clone, Copy, Debug)]
enum Gate {
    /// No entity has more than four events.
    AtMostFour,
    /// No event says what the last one of its entity says, as far as that can be read.
    UnlikeTheLast,
}

impl Item {
    fn query(&self) -> QueryItem {
        let mut item = QueryItem::any();
        item = self.entity.map_or(item.clone(), |entity| item.entity(ENTITIES[entity]));
        item = self.scope.map_or(item.clone(), |scope| item.scope(SCOPES[scope]));
        item = self.kind.map_or(item.clone(), |at| item.kind(kind(6 * at as u8)));
        if self.tag { item.tag("even") } else { item }
    }

    fn takes(&self, event: &Listed) -> bool {
        self.entity.is_none_or(|entity| event.at.entity() == ENTITIES[entity])
            && self.scope.is_none_or(|scope| event.at.scope() == SCOPES[scope])
            && self.kind.is_none_or(|at| event.kind == kind(6 * at as u8))
            && (!self.tag || event.tag.is_some())
    }
}

impl Gate {
    const fn name(self) -> &'static str {
        match self {
            Self::AtMostFour => "at-most-four",
            Self::UnlikeTheLast => "unlike-the-last",
        }
    }

    fn onto(self, gates: GateSet) -> GateSet {
        match self {
            Self::AtMostFour => {
                gates.closure(self.name(), |proposal, view| match view.revision(proposal.coordinate().entity()) {
                    Some(3..) => Err(Denial::new("FULL", "")),
                    _ => Ok(()),
                })
            }
            Self::UnlikeTheLast => gates.closure(self.name(), |proposal, view| {
                let Some(last) = view.head(proposal.coordinate().entity()) else { return Ok(()) };
                match view.open(last) {
                    Ok(Some(Payload::Open(bytes))) if bytes == proposal.payload() => Err(Denial::new("SAME", "")),
                    Ok(Some(Payload::Open(_) | Payload::Shredded(_))) => Ok(()),
                    other => Err(Denial::new("UNREADABLE", format!("{other:?}"))),
                }
            }),
        }
    }

    /// The code of its denial of an event whose entity's last event is this one.
    fn denies(self, event: &Listed, last: Option<&Listed>) -> Option<&'static str> {
        let last = last?;
        match self {
            Self::AtMostFour => (last.revision >= 3).then_some("FULL"),
            Self::UnlikeTheLast => (last.shredded.is_none() && last.payload == event.payload).then_some("SAME"),
        }
    }
}

impl Rules {
    pub fn onto<'a>(&self, mut event: NewEvent<'a>) -> NewEvent<'a> {
        event = self.expect.map_or(event.clone(), |expect| event.expect(expect));
        let Some((items, after)) = &self.condition else { return event };
        let mut items = items.iter().map(Item::query);
        let mut condition = AppendCondition::fail_if(items.next().unwrap());
        condition = items.fold(condition, AppendCondition::or);
        event.condition(after.map_or(condition.clone(), |after| condition.after(after)))
    }

    /// The same event, if its entity has none.
    pub fn no_stream(draw: Draw) -> Draw {
        Draw { rules: Self { expect: Some(Expect::NoStream), ..Self::default() }, ..draw }
    }

    pub fn gate_set(&self) -> GateSet {
        self.gates.iter().fold(GateSet::new(), |gates, gate| gate.onto(gates))
    }
}

impl Model {
    /// The names of the gates that permit, or what refuses.
    pub fn decide(&self, draws: &[Draw]) -> Result<Option<Vec<String>>, Answer> {
        let mut batch: Vec<Listed> = Vec::new();
        for (at, draw) in draws.iter().enumerate() {
            let mut event = draw.listed();
            let actual = self.last(&batch, &event).map(|last| last.revision);
            let expected = draw.rules.expect.unwrap_or_default();
            let met = match expected {
                Expect::NoStream => actual.is_none(),
                Expect::Exists => actual.is_some(),
                Expect::Exactly(revision) => actual == Some(revision),
                _ => true,
            };
            if !met {
                return Err(Answer::Unexpected { event: at, expected, actual });
            }
            if let Some((items, after)) = &draw.rules.condition {
                let behind = |position: u64| after.is_none_or(|after| position > after);
                let named = |event: &Listed| items.iter().any(|item| item.takes(event));
                let newest = self.listed().filter(|(position, event)| behind(*position) && named(event)).last();
                if let Some((position, _)) = newest {
                    return Err(Answer::Condition(position));
                }
            }
            event.revision = actual.map_or(0, |revision| revision + 1);
            batch.push(event);
        }
        self.ask_gates(draws, &batch)
    }

    fn ask_gates(&self, draws: &[Draw], batch: &[Listed]) -> Result<Option<Vec<String>>, Answer> {
        let mut permitted: Vec<String> = Vec::new();
        for (at, (draw, event)) in draws.iter().zip(batch).enumerate() {
            let last = self.last(&batch[..at], event);
            for gate in &draw.rules.gates {
                let name = gate.name().to_owned();
                if let Some(code) = gate.denies(event, last) {
                    return Err(Answer::Denied { event: at, gate: name, code: code.into(), recorded: None });
                }
                if !permitted.contains(&name) {
                    permitted.push(name);
                }
            }
        }
        Ok((!permitted.is_empty()).then_some(permitted))
    }

    /// The last event of the same entity, earlier ones of the batch counted.
    fn last<'a>(&'a self, earlier: &'a [Listed], event: &Listed) -> Option<&'a Listed> {
        let same = |it: &&Listed| it.at.entity() == event.at.entity();
        earlier.iter().rev().find(same).or_else(|| self.events.iter().rev().flatten().find(same))
    }
}

/// Mostly none: every refusal is an event less that something else could befall.
pub fn rules() -> impl Strategy<Value = Rules> {
    let expect = prop_oneof![
        1 => Just(Expect::NoStream),
        2 => Just(Expect::Exists),
        3 => (0..6_u64).prop_map(Expect::Exactly),
    ];
    let item = (
        prop::option::weighted(0.6, 0..ENTITIES.len()),
        prop::option::weighted(0.5, 0..SCOPES.len()),
        prop::option::weighted(0.4, 0..KINDS.len()),
        prop::bool::weighted(0.3),
    );
    let item = item.prop_map(|(entity, scope, kind, tag)| Item { entity, scope, kind, tag });
    let condition = (prop::collection::vec(item, 1..3), prop::option::weighted(0.8, 0..40_u64));
    let gate = prop_oneof![Just(Gate::AtMostFour), Just(Gate::UnlikeTheLast)];
    let all = (
        prop::option::weighted(0.12, expect),
        prop::option::weighted(0.12, condition),
        prop_oneof![7 => Just(Vec::new()), 1 => prop::collection::vec(gate, 1..3)],
    );
    all.prop_map(|(expect, condition, gates)| Rules { expect, condition, gates })
}
