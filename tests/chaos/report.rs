//! The report that a run prints.

use std::time::Duration;

use crate::checker::Stats;
use crate::checker::results::Results;
use crate::cluster::Cluster;
use crate::history::Counts;
use crate::nemesis::FaultCounts;
use crate::nemesis::fault::FaultKind;
use crate::workload::limit_probe::Probed;

/// The log line of a consumer that skips duplicates.
const DUPLICATE: &str = "copies of messages that have taken effect are passed over";

/// The figures of a run.
#[derive(Default)]
pub struct Report {
    /// The seed of the schedule and of the workload.
    pub seed: u64,
    /// The rounds of the schedule.
    pub rounds: usize,
    /// The faults.
    pub faults: FaultCounts,
    /// The operations.
    pub operations: Counts,
    /// What the checkers counted.
    pub stats: Stats,
    /// Deletions that completed as `info` and had not begun, so that they had to be repeated.
    pub repeated_deletions: usize,
    /// What the probed limit has let through, and might have at the most.
    pub probed: Option<(Probed, usize)>,
    /// How long the cluster took to become quiet.
    pub drained_after: Duration,
    /// How long the run took.
    pub duration: Duration,
}

impl Report {
    /// Prints the report, with the results of the checkers.
    pub fn print(&self, cluster: &Cluster, results: &Results) {
        println!(
            "chaos {}: SEED={} ROUNDS={}, {:.0?}",
            cluster.name, self.seed, self.rounds, self.duration
        );
        for kind in FaultKind::ALL {
            let of_kind: Vec<_> = self.faults.iter().filter(|((other, _), _)| *other == kind).collect();
            let nodes: Vec<String> = of_kind
                .iter()
                .map(|((_, node), count)| format!("{node} {count}"))
                .collect();
            let sum: usize = of_kind.iter().map(|(_, count)| **count).sum();
            println!("  {sum:6}  {kind}s ({})", nodes.join(", "));
        }
        let Counts {
            invoked,
            ok,
            info,
            failed,
        } = &self.operations;
        println!("  {invoked:6}  operations: {ok} ok (2xx), {info} info (no answer or 5xx), fail {failed:?}");
        println!(
            "  {:6}  deletions of users without an answer had not begun, and were repeated",
            self.repeated_deletions
        );
        let Stats { traffic, tasks } = &self.stats;
        let task_count: usize = tasks.tasks.values().sum();
        println!(
            "  {task_count:6}  tasks: {:?}, with {} attempts",
            tasks.tasks, tasks.attempts
        );
        let published: usize = traffic.published.values().sum();
        println!("  {published:6}  messages: {:?}", traffic.published);
        let duplicates = cluster.logs().matches(DUPLICATE).count();
        println!(
            "  {duplicates:6}  duplicates were delivered and skipped, of {} deliveries",
            traffic.deliveries
        );
        if let Some((probed, bound)) = &self.probed {
            println!(
                "  {:6}  calls passed a limit, of at most {bound}; {} were refused",
                probed.passed, probed.refused
            );
        }
        println!("  quiet {:.1?} after the last fault", self.drained_after);
        print!("{}", results.text());
    }
}
