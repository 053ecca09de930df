//! The schedule of faults: the seed alone decides it, before anything runs.

use std::time::Duration;

use super::fault::FaultKind;
use crate::rng::Rng;

/// One round: some faults, then the recovery of the nodes that they hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// The faults, in order.
    pub faults: Vec<Fault>,
    /// Whether the next round begins while nodes of this one are still coming up.
    pub overlaps: bool,
    /// How long the nemesis is quiet at the end.
    pub quiet: Duration,
}

/// A fault of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// How long after the fault before.
    pub delay: Duration,
    /// Index of the node in the cluster.
    pub node: usize,
    /// What happens to it.
    pub kind: FaultKind,
    /// How long the node is down or paused.
    pub duration: Duration,
}

/// The schedule of `seed` over nodes of these weights. The same seed, rounds and nodes give the
/// same schedule.
pub fn generate(seed: u64, rounds: usize, weights: &[usize]) -> Vec<Round> {
    let mut rng = Rng::new(seed);
    let nodes: Vec<(usize, usize)> = weights.iter().copied().enumerate().collect();
    (0..rounds).map(|_| round(&mut rng, &nodes)).collect()
}

fn round(rng: &mut Rng, nodes: &[(usize, usize)]) -> Round {
    let mut faults: Vec<Fault> = Vec::new();
    let count = rng.weighted(&[(1, 2), (2, 4), (3, 3), (4, 1)]).min(nodes.len());
    while faults.len() < count {
        let node = rng.weighted(nodes);
        let fault = Fault {
            delay: rng.duration(0, 300),
            node,
            kind: rng.weighted(&[(FaultKind::Kill, 8), (FaultKind::Pause, 1), (FaultKind::Restart, 1)]),
            duration: rng.duration(0, 1_500),
        };
        // A node has at most one fault a round. The draws are used up all the same, so that every
        // node has its turn.
        if faults.iter().all(|other| other.node != node) {
            faults.push(fault);
        }
    }
    Round {
        faults,
        overlaps: rng.percent(40),
        quiet: rng.duration(200, 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEIGHTS: [usize; 6] = [4, 4, 4, 2, 1, 2];

    #[test]
    fn a_seed_gives_one_schedule_and_another_seed_another() {
        assert_eq!(generate(7, 50, &WEIGHTS), generate(7, 50, &WEIGHTS));
        assert_ne!(generate(7, 50, &WEIGHTS), generate(8, 50, &WEIGHTS));
        // A longer run begins as the shorter one does.
        assert_eq!(generate(7, 50, &WEIGHTS)[..20], generate(7, 20, &WEIGHTS));
    }

    #[test]
    fn every_kind_of_fault_happens_to_every_node() {
        let faults: Vec<Fault> = generate(1, 500, &WEIGHTS)
            .into_iter()
            .flat_map(|round| round.faults)
            .collect();
        for node in 0..WEIGHTS.len() {
            for kind in FaultKind::ALL {
                assert!(
                    faults.iter().any(|fault| fault.node == node && fault.kind == kind),
                    "{kind} of {node}"
                );
            }
        }
    }
}
