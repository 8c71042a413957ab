//! Landmarks: a few events that most causal pasts meet, and for every event the nearest of them on both sides.
//!
//! Now and then an event some thousands of positions back is made a landmark. Landmarks are numbered in the order in
//! which that happens. Each event is labelled with the first landmark, by number, that is the event or follows from
//! it, and with the last one that is the event or that it follows from: four bytes. Landmarks form chains, each the
//! next one's ancestor, and a chain may fork off another. An event follows from another when the last landmark before
//! it is on the chain of the first one after the other, no earlier: two look-ups and no search.
//! (Chains: H. V. Jagadish, "A compression technique to materialize transitive closure", 1990. He keeps a label a
//! chain that can be reached; here one label is kept, and what it cannot tell is searched for.)
//!
//! A landmark is taken from the past of the newest event, because much follows from such an event, while half of the
//! newest events stay without effects for ever; and only where the last landmark before it is the head of its chain,
//! so that their distance follows the time in which histories meet: hundreds of events or hundred thousands.
//! It costs one pass over the events since then, and a walk over those of its past that no landmark followed yet:
//! each event is walked over once, and passed a constant number of times.
//!
//! Invariant: labels are exact for the landmarks there are. So both rise from cause to effect, or stay the same.

use crate::graph::Graph;

/// What landmarks tell of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label {
    /// The first landmark that is the event or follows from it; [`Label::NEVER`] when there is none yet.
    pub(crate) first: u16,
    /// The last landmark that is the event or that it follows from; [`Label::NONE`] when there is none.
    pub(crate) last: u16,
}

impl Label {
    /// Stands for no landmark, before all of them.
    const NONE: u16 = 0;
    /// Stands for no landmark, after all of them.
    const NEVER: u16 = u16::MAX;
    /// The label of an event that nothing is known of.
    pub(crate) const UNKNOWN: Label = Label { first: Label::NEVER, last: Label::NONE };

    /// Whether the two labels allow that the event of `later` follows from that of `self`.
    pub(crate) fn allows(self, later: Label) -> bool {
        self.first <= later.first && self.last <= later.last
    }
}

/// Events between two looks for a landmark, at the least.
const SPACING_MIN: u32 = 512;
/// The looks in a graph of any length before the spacing grows with it.
///
/// Up to 2^21 events there are 4,096 looks, and from then on 4,096 times the logarithm of the growth: under 36,000
/// for 2^31 events, so that the numbers suffice.
const LOOKS: u32 = 4_096;
/// How far back a landmark is taken, in spacings.
const DELAY: u32 = 8;
/// How long a chain is waited for before another one forks off it, in spacings.
const PATIENCE: u32 = 128;
/// The forks followed to compare two landmarks.
const FORKS_MAX: u32 = 64;

#[derive(Debug, Clone, Copy)]
struct Landmark {
    event: u32,
    chain: u16,
}

#[derive(Debug, Clone, Copy)]
struct Chain {
    /// The landmark that this chain forks off, or [`Label::NONE`].
    parent: u16,
    /// The last landmark of the chain.
    head: u16,
}

/// The landmarks of a graph, by number from one on.
#[derive(Debug, Clone)]
pub(crate) struct Landmarks {
    landmarks: Vec<Landmark>,
    chains: Vec<Chain>,
    /// The event at which the next one is looked for.
    look_at: u32,
}

impl Landmarks {
    pub(crate) const fn new() -> Landmarks {
        Landmarks { landmarks: Vec::new(), chains: Vec::new(), look_at: 0 }
    }

    /// Whether the landmark `earlier` is `later` or an ancestor of it, as far as chains tell.
    pub(crate) fn lead(&self, earlier: u16, later: u16) -> bool {
        if earlier > later || later == Label::NONE || earlier == Label::NEVER {
            return false;
        }
        let chain = self.landmark(earlier).chain;
        let mut at = later;
        for _ in 0..FORKS_MAX {
            let other = self.landmark(at).chain;
            if other == chain {
                return true;
            }
            at = self.chains[usize::from(other)].parent;
            if at < earlier {
                return false;
            }
        }
        false
    }

    /// Heap bytes held.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.landmarks.capacity() * size_of::<Landmark>() + self.chains.capacity() * size_of::<Chain>()
    }

    fn landmark(&self, number: u16) -> Landmark {
        self.landmarks[usize::from(number) - 1]
    }

    /// Makes `event` the next landmark, where `parent` is the last one before it, and gives it a number; or says
    /// that it is better to wait.
    fn enter(&mut self, event: u32, parent: u16, patience: u32) -> Option<u16> {
        let number = u16::try_from(self.landmarks.len() + 1).ok().filter(|&number| number != Label::NEVER)?;
        let found = (parent != Label::NONE).then(|| self.landmark(parent));
        let chain = match found {
            Some(last) if last.event == event => return None,
            Some(last) if self.chains[usize::from(last.chain)].head == parent => last.chain,
            Some(last)
                if event.saturating_sub(self.landmark(self.chains[usize::from(last.chain)].head).event) < patience =>
            {
                return None;
            }
            _ => {
                self.chains.push(Chain { parent, head: number });
                self.chains.len() as u16 - 1
            }
        };
        self.chains[usize::from(chain)].head = number;
        self.landmarks.push(Landmark { event, chain });
        Some(number)
    }
}

impl Graph {
    /// The label of a new event, whose causes are entered.
    pub(crate) fn label_for(&self, event: u32) -> Label {
        let last = self.causes_of(event).iter().map(|&cause| self.label(cause).last).max();
        Label { last: last.unwrap_or(Label::NONE), ..Label::UNKNOWN }
    }

    /// Makes a landmark when it is time. `newest` and all before it are labelled.
    pub(crate) fn look_for_landmark(&mut self, newest: u32) {
        if newest < self.landmarks.look_at {
            return;
        }
        let spacing = SPACING_MIN.max(newest / LOOKS);
        self.landmarks.look_at = newest + spacing;
        let Some(floor) = newest.checked_sub(DELAY * spacing) else { return };
        let event = self.main_chain_down_to(newest, floor, |_| {});
        if event == newest {
            return;
        }
        let parent = self.label(event).last;
        if let Some(number) = self.landmarks.enter(event, parent, PATIENCE * spacing) {
            self.label_future(event, newest, number);
            self.label_past(event, number);
        }
    }

    /// Tells the events after the new landmark of it. All others have smaller numbers.
    fn label_future(&mut self, landmark: u32, newest: u32, number: u16) {
        self.rows.at_mut(landmark).label.last = number;
        for event in landmark + 1..=newest {
            if self.causes_of(event).iter().any(|&cause| self.label(cause).last == number) {
                self.rows.at_mut(event).label.last = number;
            }
        }
    }

    /// Tells the events before the new landmark of it. Where one is told of another, so is its whole past.
    fn label_past(&mut self, landmark: u32, number: u16) {
        let mut untold = vec![landmark];
        while let Some(event) = untold.pop() {
            if self.label(event).first == Label::NEVER {
                self.rows.at_mut(event).label.first = number;
                untold.extend_from_slice(self.causes_of(event));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use batpak_format::{Cause, Causes, EventEdges, EventId, EventKind};

    use super::Label;
    use crate::graph::Graph;

    fn push(graph: &mut Graph, causes: &[u32]) {
        let id = |number: u32| EventId::from_bytes(u128::from(number).to_be_bytes());
        let number = graph.len() as u32;
        let causes = causes.iter().map(|&cause| Cause { id: id(cause), external: false }).collect();
        let causes = Causes::new(causes).unwrap();
        let (position, kind) = (u64::from(number), EventKind::from_u16(0x1001));
        let (entity, scope) = ("entity", "scope");
        let edges = EventEdges { position, id: id(number), kind, entity, scope, correlation: None, causes: &causes };
        graph.push(&edges).unwrap();
    }

    /// Histories side by side that never meet; in each, two causes among the `window` events before, or none.
    fn grow(graph: &mut Graph, len: u32, histories: u32, window: u32, seed: &mut u64) {
        let mut below = |end: u32| {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (((*seed >> 32) * u64::from(end)) >> 32) as u32
        };
        for event in graph.len() as u32..len {
            let own = event / histories;
            let mut causes: Vec<u32> = Vec::new();
            for _ in 0..2.min(own) {
                causes.push(event - histories * (1 + below(own.min(window))));
            }
            causes.dedup();
            causes.truncate(if below(97) == 0 { 0 } else { 2 });
            push(graph, &causes);
        }
    }

    /// The labels as the definition has them, by one pass up and one down.
    fn expected(graph: &Graph) -> Vec<Label> {
        let len = graph.len() as u32;
        let mut labels = vec![Label::UNKNOWN; len as usize];
        for (number, landmark) in (1..).zip(&graph.landmarks.landmarks) {
            labels[landmark.event as usize] = Label { first: number, last: number };
        }
        for event in 0..len {
            for &cause in graph.causes_of(event) {
                labels[event as usize].last = labels[event as usize].last.max(labels[cause as usize].last);
            }
        }
        for event in (0..len).rev() {
            for &cause in graph.causes_of(event) {
                labels[cause as usize].first = labels[cause as usize].first.min(labels[event as usize].first);
            }
        }
        labels
    }

    fn assert_exact(graph: &Graph) {
        let labels: Vec<Label> = (0..graph.len() as u32).map(|event| graph.label(event)).collect();
        assert!(labels == expected(graph));
    }

    #[test]
    fn labels_are_exact_at_every_length() {
        for (histories, window, seed) in [(1, 3, 1), (1, 500, 2), (1, 30_000, 3), (7, 40, 4), (300, 10, 5)] {
            let (mut graph, mut random) = (Graph::new(), seed);
            for len in [1, 4_097, 4_500, 9_000, 25_000] {
                grow(&mut graph, len, histories, window, &mut random);
                assert_exact(&graph);
            }
            assert!(!graph.landmarks.landmarks.is_empty(), "{histories} {window}");
        }
    }

    #[test]
    fn chains_lead_where_causes_do() {
        for (histories, window, seed) in [(1, 9, 1), (1, 500, 2), (7, 40, 4)] {
            let (mut graph, mut random) = (Graph::new(), seed);
            grow(&mut graph, 25_000, histories, window, &mut random);
            let landmarks = &graph.landmarks;
            let numbers = 1..=landmarks.landmarks.len() as u16;
            let mut led = 0;
            for (a, b) in numbers.clone().flat_map(|a| numbers.clone().map(move |b| (a, b))) {
                let (earlier, later) = (landmarks.landmark(a).event, landmarks.landmark(b).event);
                if a != b && landmarks.lead(a, b) {
                    led += 1;
                    let past = graph.ancestors(crate::Node(later));
                    assert!(past.take_while(|node| node.0 >= earlier).any(|node| node.0 == earlier));
                }
            }
            assert!(led > 20, "{led}");
        }
    }

    #[test]
    fn another_chain_forks_off_where_one_ends() {
        let mut graph = Graph::new();
        // Everything follows from event 0; one history runs to the middle and another one from there on.
        push(&mut graph, &[]);
        for event in 1..120_000_u32 {
            push(&mut graph, &[if event == 20_000 { 10_000 } else { event - 1 }]);
        }
        assert_exact(&graph);
        let landmarks = &graph.landmarks;
        assert_eq!(landmarks.chains.len(), 2);
        let fork = landmarks.chains[1].parent;
        assert!(landmarks.landmark(fork).event <= 10_000);
        let last = landmarks.landmarks.len() as u16;
        assert!(landmarks.lead(fork, last) && landmarks.lead(1, last));
        assert!(!landmarks.lead(landmarks.chains[0].head, last));
        assert!(!landmarks.lead(Label::NEVER, last) && !landmarks.lead(1, Label::NONE));
    }
}
