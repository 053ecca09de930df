//! The nemesis: injects faults into the cluster, by a schedule that the seed decides.

pub mod fault;
pub mod schedule;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, node};
use crate::history::History;
use fault::FaultKind;
use schedule::Round;

/// How long the cluster is as it was, before the next node is replaced.
const BETWEEN_REPLACEMENTS: Duration = Duration::from_millis(1_500);

/// How many faults of each kind were injected into each node.
pub type FaultCounts = BTreeMap<(FaultKind, &'static str), usize>;

/// A nemesis at work.
pub struct Nemesis {
    history: Arc<History>,
    /// The faults so far.
    pub counts: FaultCounts,
}

impl Nemesis {
    /// A nemesis that records its faults in `history`.
    pub fn new(history: Arc<History>) -> Self {
        Self {
            history,
            counts: FaultCounts::new(),
        }
    }

    /// How many faults the nodes of these names had.
    pub fn faults_of(&self, nodes: &[&str]) -> usize {
        let of_them = self.counts.iter().filter(|((_, node), _)| nodes.contains(node));
        of_them.map(|(_, count)| count).sum()
    }

    /// Runs a schedule. The error names a node that exited by itself, or that does not come up.
    pub async fn run(&mut self, cluster: &mut Cluster, schedule: &[Round]) -> Result<(), String> {
        for (index, round) in schedule.iter().enumerate() {
            let number = index + 1;
            let faults = round
                .faults
                .iter()
                .map(|fault| format!("{} {}", fault.kind, cluster.nodes[fault.node].name()));
            println!("  round {number}: {}", faults.collect::<Vec<_>>().join(", "));
            self.round(cluster, round)
                .await
                .map_err(|error| format!("round {number}: {error}"))?;
        }
        Ok(())
    }

    /// Replaces every program of the suite once, in turn: SIGTERM, and a new one once the old one has
    /// ended, as with `maxSurge: 0`. The next one follows when this one is ready.
    pub async fn replace_all(&mut self, cluster: &mut Cluster) -> Result<(), String> {
        for index in 0..cluster.nodes.len() {
            if !cluster.nodes[index].is_program() {
                continue;
            }
            tokio::time::sleep(BETWEEN_REPLACEMENTS).await;
            let node = &mut cluster.nodes[index];
            node.check()?;
            self.history.fault(FaultKind::Restart, node.name());
            node.stop().await;
            node.start();
            *self.counts.entry((FaultKind::Restart, node.name())).or_default() += 1;
            cluster.wait_until_ready().await?;
        }
        tokio::time::sleep(BETWEEN_REPLACEMENTS).await;
        Ok(())
    }

    /// Injects the faults of one round, and recovers the nodes.
    async fn round(&mut self, cluster: &mut Cluster, round: &Round) -> Result<(), String> {
        let (mut down, mut paused) = (Vec::new(), Vec::new());
        for fault in &round.faults {
            tokio::time::sleep(fault.delay).await;
            let node = &mut cluster.nodes[fault.node];
            node.check()?;
            node.start();
            self.history.fault(fault.kind, node.name());
            match fault.kind {
                FaultKind::Kill => node.kill(),
                FaultKind::Restart => node.stop().await,
                FaultKind::Pause => paused.push((Instant::now() + fault.duration, node.pause())),
            }
            if fault.kind != FaultKind::Pause {
                down.push((Instant::now() + fault.duration, fault.node));
            }
            *self.counts.entry((fault.kind, node.name())).or_default() += 1;
        }
        down.sort_unstable();
        paused.sort_unstable();
        for (until, processes) in paused {
            tokio::time::sleep_until(until.into()).await;
            node::resume(&processes);
        }
        for (until, node) in down {
            tokio::time::sleep_until(until.into()).await;
            cluster.nodes[node].start();
        }
        if !round.overlaps {
            for node in &mut cluster.nodes {
                node.wait_until_up().await?;
            }
        }
        tokio::time::sleep(round.quiet).await;
        Ok(())
    }
}
