//! The checkers: what must hold once every node runs again and nothing is in flight.

mod accounts;
mod feed;
mod mails;
mod messages;
pub mod results;
mod tasks;
mod todos;
mod webhooks;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::model::User;
use results::Results;

pub use accounts::half_deleted;
pub use feed::catch_up;
pub use messages::Traffic;
pub use tasks::TaskStats;

/// How long everything may take to arrive once all nodes are up: the retries of a message back off
/// to minutes.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(240);

/// Statistics of a run, for its report.
#[derive(Default)]
pub struct Stats {
    /// Messages that were published and handled.
    pub traffic: Traffic,
    /// Tasks and attempts.
    pub tasks: TaskStats,
}

/// Waits until nothing is in flight, or until the timeout; returns how long it took.
pub async fn drain(cluster: &Cluster) -> Duration {
    let begun = Instant::now();
    while begun.elapsed() < DRAIN_TIMEOUT && !is_quiet(cluster).await.unwrap_or(false) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    begun.elapsed()
}

/// Whether every message was sent and handled, every task has finished, and every mail is sent.
async fn is_quiet(cluster: &Cluster) -> Result<bool, sqlx::Error> {
    Ok(messages::all_handled(cluster).await? && tasks::unfinished(&cluster.stores).await?.is_empty())
}

/// Runs every checker.
pub async fn check(cluster: &Cluster, users: &[User], results: &mut Results) -> Result<Stats, sqlx::Error> {
    accounts::check(cluster, users, results).await?;
    todos::check(cluster, users, results).await?;
    feed::check(cluster, users, results).await?;
    let tasks = tasks::check(cluster, users, results).await?;
    webhooks::wait(&cluster.receiver, users).await;
    webhooks::check(&cluster.receiver, users, results);
    mails::check(cluster, results).await?;
    let traffic = messages::check(cluster, results).await?;
    Ok(Stats { traffic, tasks })
}

/// How often each id occurs.
fn count(ids: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for id in ids {
        *counts.entry(id).or_default() += 1;
    }
    counts
}

/// The count of one id; 0 if it does not occur.
fn count_of(counts: &BTreeMap<String, usize>, id: &str) -> usize {
    counts.get(id).copied().unwrap_or_default()
}
