//! What is done to whom, and when: decided by the seed alone, before anything runs.

use std::fmt;
use std::time::Duration;

use crate::chance::Chance;

/// One round: these acts, then what they felled is brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// The acts, in order.
    pub acts: Vec<Act>,
    /// Whether the next round begins while what was felled is still coming up.
    pub impatient: bool,
    /// How long all is left in peace at the end.
    pub peace: Duration,
}

/// Something that is done to one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act {
    /// How long after the act before.
    pub after: Duration,
    /// The part, by its place in the topology.
    pub target: usize,
    /// What is done.
    pub deed: Deed,
    /// How long the part is down or stands still.
    pub down: Duration,
}

/// What can be done to a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT later.
    Freeze,
    /// SIGTERM, and a new start.
    Restart,
}

impl fmt::Display for Deed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Restart => "restart",
        })
    }
}

/// The schedule of `seed` over parts of these weights. The same seed, rounds and parts give the same schedule.
pub fn draw(seed: u64, rounds: usize, weights: &[usize]) -> Vec<Round> {
    let mut chance = Chance::new(seed);
    let targets: Vec<(usize, usize)> = weights.iter().copied().enumerate().collect();
    (0..rounds).map(|_| round(&mut chance, &targets)).collect()
}

fn round(chance: &mut Chance, targets: &[(usize, usize)]) -> Round {
    let mut acts: Vec<Act> = Vec::new();
    let count = chance.weighted(&[(1, 2), (2, 4), (3, 3), (4, 1)]).min(targets.len());
    while acts.len() < count {
        let target = chance.weighted(targets);
        let act = Act {
            after: chance.span(0, 300),
            target,
            deed: chance.weighted(&[(Deed::Kill, 8), (Deed::Freeze, 1), (Deed::Restart, 1)]),
            down: chance.span(0, 1_500),
        };
        // A part is felled once a round; the chance is used up all the same, so that every part has its turn.
        if acts.iter().all(|other| other.target != target) {
            acts.push(act);
        }
    }
    Round {
        acts,
        impatient: chance.percent(40),
        peace: chance.span(200, 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_schedule_and_another_seed_another() {
        let weights = [4, 4, 4, 2, 1, 2];
        assert_eq!(draw(7, 50, &weights), draw(7, 50, &weights));
        assert_ne!(draw(7, 50, &weights), draw(8, 50, &weights));
        // A longer run begins as the shorter one does.
        assert_eq!(draw(7, 50, &weights)[..20], draw(7, 20, &weights));
    }

    #[test]
    fn every_part_has_every_deed_done_to_it() {
        let acts: Vec<Act> = draw(1, 500, &[4, 4, 4, 2, 1, 2])
            .into_iter()
            .flat_map(|round| round.acts)
            .collect();
        for target in 0..6 {
            for deed in [Deed::Kill, Deed::Freeze, Deed::Restart] {
                assert!(
                    acts.iter().any(|act| act.target == target && act.deed == deed),
                    "{deed} of {target}"
                );
            }
        }
    }
}
