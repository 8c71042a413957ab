//! Which questions are asked: pairs from far and near, and pairs of which one led to the other.

use super::git::Git;
use crate::random::Random;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ancestors,
    Common,
    Relation,
    Path,
    Order,
}

impl Kind {
    pub(super) const ALL: [Kind; 5] = [Kind::Ancestors, Kind::Common, Kind::Relation, Kind::Path, Kind::Order];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Kind::Ancestors => "ancestors",
            Kind::Common => "common",
            Kind::Relation => "relation",
            Kind::Path => "path",
            Kind::Order => "order",
        }
    }
}

/// One question; of those about one commit it is the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query {
    pub(super) kind: Kind,
    pub(super) first: usize,
    pub(super) second: usize,
}

/// The questions about one history, in an order that the seed decides.
pub(super) struct Sampler<'g> {
    git: &'g Git,
    random: Random,
}

impl<'g> Sampler<'g> {
    pub(super) const fn new(seed: u64, git: &'g Git) -> Sampler<'g> {
        Sampler { git, random: Random::new(seed) }
    }

    /// The next question. Long answers are asked for less often: they are what takes git time.
    pub(super) fn next(&mut self) -> Query {
        let kind = match self.random.below(20) {
            0 | 1 => Kind::Ancestors,
            2 => Kind::Order,
            3..8 => Kind::Common,
            8..14 => Kind::Relation,
            _ => Kind::Path,
        };
        let (first, second) = self.pair();
        let (first, second) = if self.random.below(4) == 0 { (second, first) } else { (first, second) };
        Query { kind, first, second }
    }

    fn pair(&mut self) -> (usize, usize) {
        let commits = self.git.commits.len();
        let second = self.random.below(commits);
        let first = match self.random.below(3) {
            0 => self.random.below(commits),
            1 => second.saturating_sub(self.random.below(64)),
            _ => self.above(second),
        };
        (first, second)
    }

    /// A commit that led to this one, by a random way of random length.
    fn above(&mut self, commit: usize) -> usize {
        let mut commit = commit;
        let doublings = self.random.below(12);
        for _ in 0..=self.random.below(1 << doublings) {
            let parents = &self.git.commits[commit].parents;
            if parents.is_empty() {
                break;
            }
            commit = parents[self.random.below(parents.len())];
        }
        commit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampler_asks_every_kind_and_gives_ancestors_and_others() {
        let git = Git::planted(&[&[], &[0], &[0], &[1, 2], &[]]);
        let mut sampler = Sampler::new(7, &git);
        let queries: Vec<Query> = (0..400).map(|_| sampler.next()).collect();
        for kind in Kind::ALL {
            assert!(queries.iter().any(|query| query.kind == kind), "{kind:?}");
        }
        for pair in [(0, 3), (3, 0), (4, 1), (2, 2)] {
            assert!(queries.iter().any(|query| (query.first, query.second) == pair), "{pair:?}");
        }
    }
}
