//! A history that a seed decides: branches, merges, octopus and criss-cross merges, and roots of their own.

use std::fmt::Write;

use crate::random::Random;

/// Branches that grow at a time.
const BRANCHES: usize = 12;
/// As many causes as an event has.
const PARENTS_MAX: usize = 64;

/// Returns a stream for `git fast-import`. No ref but the last commits', which are all kept.
pub(super) fn generated(seed: u64, commits: usize) -> String {
    let parents = parents(seed, commits);
    let mut stream = String::new();
    let mut is_parent = vec![false; parents.len()];
    for (number, parents) in parents.iter().enumerate() {
        // Without `from` a commit goes on where its branch is, so each root has a branch of its own.
        let branch = if parents.is_empty() { format!("root-{number}") } else { "main".to_owned() };
        let author = number % 17;
        let who = format!("A{author} <a{author}@example.org> {} +0000", 1_600_000_000 + 60 * number);
        let _ = write!(stream, "commit refs/heads/{branch}\nmark :{}\ncommitter {who}\n", number + 1);
        let message = format!("change {number}\n");
        let _ = writeln!(stream, "data {}\n{message}", message.len());
        for (at, parent) in parents.iter().enumerate() {
            let word = if at == 0 { "from" } else { "merge" };
            let _ = writeln!(stream, "{word} :{}", parent + 1);
            is_parent[*parent] = true;
        }
        stream.push('\n');
    }
    for number in (0..parents.len()).filter(|&number| !is_parent[number]) {
        let _ = write!(stream, "reset refs/heads/tip-{number}\nfrom :{}\n\n", number + 1);
    }
    stream
}

/// The parents of each commit, by number.
fn parents(seed: u64, commits: usize) -> Vec<Vec<usize>> {
    let mut random = Random::new(seed);
    let mut all: Vec<Vec<usize>> = vec![Vec::new()];
    let mut tips: Vec<usize> = vec![0];
    while all.len() < commits {
        let at = random.below(tips.len());
        let tip = tips[at];
        match random.below(100) {
            // A branch, from a tip or from some way back.
            0..15 if tips.len() < BRANCHES => {
                let back = tip.saturating_sub(random.below(40));
                tips.push(push(&mut all, vec![back]));
            }
            15..17 if tips.len() < BRANCHES => tips.push(push(&mut all, Vec::new())),
            // Two commits that merge the same two tips, each on its own side.
            17..25 if tips.len() > 1 => {
                let other = (at + 1 + random.below(tips.len() - 1)) % tips.len();
                let mine = push(&mut all, vec![tip, tips[other]]);
                tips[other] = push(&mut all, vec![tips[other], tip]);
                tips[at] = mine;
            }
            25..35 if tips.len() > 1 => {
                let other = (at + 1 + random.below(tips.len() - 1)) % tips.len();
                tips[at] = push(&mut all, vec![tip, tips[other]]);
                tips.swap_remove(other);
            }
            // An octopus of tips, or of any late commits, of which one may have led to another.
            35..38 => {
                let arms = 2 + random.below(tips.len());
                tips[at] = octopus(&mut all, tip, (0..arms).map(|arm| tips[arm % tips.len()]));
            }
            38..40 => {
                let arms = 2 + random.below(PARENTS_MAX - 2);
                let late = all.len();
                let parents: Vec<usize> = (0..arms).map(|_| late - 1 - random.below(late.min(200))).collect();
                tips[at] = octopus(&mut all, tip, parents.into_iter());
            }
            // A branch that is left as it is.
            40 if tips.len() > 1 => drop(tips.swap_remove(at)),
            _ => tips[at] = push(&mut all, vec![tip]),
        }
    }
    all
}

fn push(all: &mut Vec<Vec<usize>>, parents: Vec<usize>) -> usize {
    all.push(parents);
    all.len() - 1
}

fn octopus(all: &mut Vec<Vec<usize>>, tip: usize, arms: impl Iterator<Item = usize>) -> usize {
    let mut parents = vec![tip];
    for arm in arms {
        if !parents.contains(&arm) {
            parents.push(arm);
        }
    }
    push(all, parents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_history_has_every_kind_of_merge_and_is_the_same_again() {
        let history = parents(7, 2_000);
        assert_eq!(history, parents(7, 2_000));
        assert!(history.iter().enumerate().all(|(number, parents)| parents.iter().all(|&parent| parent < number)));
        assert!(history.iter().all(|parents| parents.len() <= PARENTS_MAX));
        assert!(history.iter().filter(|parents| parents.is_empty()).count() > 5);
        assert!(history.iter().filter(|parents| parents.len() == 2).count() > 100);
        assert!(history.iter().filter(|parents| parents.len() > 8).count() > 5);
        let is_crossed =
            |pair: &&[Vec<usize>]| pair[0].len() == 2 && pair[0][0] == pair[1][1] && pair[0][1] == pair[1][0];
        let crossed = history.windows(2).filter(|pair| pair[1].len() == 2).filter(is_crossed).count();
        assert!(crossed > 50, "{crossed}");
    }

    #[test]
    fn generated_stream_names_each_commit_and_keeps_every_tip() {
        let stream = generated(7, 500);
        let history = parents(7, 500);
        assert_eq!(stream.matches("commit refs/heads/").count(), history.len());
        let is_parent = |number: &usize| history.iter().any(|parents| parents.contains(number));
        let tips = (0..history.len()).filter(|number| !is_parent(number)).count();
        assert_eq!(stream.matches("reset refs/heads/tip-").count(), tips);
    }
}
