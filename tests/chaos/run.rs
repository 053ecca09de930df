//! One test: a cluster under the workload and the nemesis, and then the checkers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::checker;
use crate::checker::results::Results;
use crate::cluster::Cluster;
use crate::cluster::balancer::Balancer;
use crate::history::History;
use crate::model::{Deletion, User};
use crate::nemesis::Nemesis;
use crate::nemesis::schedule::Round;
use crate::report::Report;
use crate::workload::{Worker, limit_probe};

/// Workers at once.
const WORKERS: u64 = 6;
/// How long a request in flight may take to end, or to be given up, after the workload stops.
const IN_FLIGHT_TIMEOUT: Duration = Duration::from_secs(6);

/// What happens to the nodes of a cluster.
pub enum Faults<'a> {
    /// The faults of a schedule. Operations may fail, and take effect once at the most.
    Schedule(&'a [Round]),
    /// Every program is replaced once, in turn, as an upgrade does it. No operation may fail.
    Rolling,
}

/// Injects faults into a cluster, under a workload that `seed` decides. Panics when an
/// invariant is violated, after it has saved logs and history; otherwise returns the model.
pub async fn run(cluster: &mut Cluster, seed: u64, faults: Faults<'_>) -> Vec<User> {
    let (rounds, balancer) = match &faults {
        Faults::Schedule(schedule) => (schedule.len(), None),
        Faults::Rolling => (1, Some(Balancer::start(&cluster.gateways).await)),
    };
    // Where clients connect to.
    let entries = match &balancer {
        Some(balancer) => vec![balancer.address.clone()],
        None => cluster.gateways.clone(),
    };
    println!("\nchaos {}: SEED={seed} ROUNDS={rounds}", cluster.name);
    let begun = Instant::now();
    let (history, stopped) = (Arc::new(History::new()), Arc::new(AtomicBool::new(false)));
    let workers = (1..=WORKERS).map(|number| {
        let seed = seed.wrapping_mul(31).wrapping_add(number);
        let worker = Worker::new(&entries, &cluster.receiver.url, number, seed, history.clone());
        let stopped = stopped.clone();
        tokio::spawn(worker.run(move || stopped.load(Ordering::SeqCst)))
    });
    let workers: Vec<_> = workers.collect();

    let probe = {
        let (gateways, stopped) = (entries, stopped.clone());
        tokio::spawn(async move { limit_probe::run(&gateways, || stopped.load(Ordering::SeqCst)).await })
    };

    let mut nemesis = Nemesis::new(history.clone());
    let injected = match faults {
        Faults::Schedule(schedule) => nemesis.run(cluster, schedule).await,
        Faults::Rolling => nemesis.replace_all(cluster).await,
    };
    stopped.store(true, Ordering::SeqCst);
    let mut users = Vec::new();
    for worker in workers {
        users.extend(worker.await.expect("a worker ends"));
    }
    let probed = probe.await.expect("the probe ends");
    let ready = match injected {
        Ok(()) => cluster.wait_until_ready().await,
        error => error,
    };
    let mut results = Results::default();
    let mut report = Report {
        seed,
        rounds,
        faults: nemesis.counts.clone(),
        operations: history.counts(),
        ..Default::default()
    };
    match ready {
        Err(error) => results.add_none("nodes that exited by themselves, or do not come up", &[error]),
        Ok(()) => {
            tokio::time::sleep(IN_FLIGHT_TIMEOUT).await;
            report.drained_after = checker::drain(cluster).await;
            let half_deleted = checker::half_deleted(&cluster.stores).await;
            let half_deleted = half_deleted.expect("the stores can be read");
            results.add_none("closed accounts whose users are not deleted", &half_deleted);
            report.repeated_deletions = repeat_deletions(cluster, &users).await;
            checker::drain(cluster).await;
            let caught_up = checker::catch_up(&cluster.stores, &users).await;
            caught_up.expect("the feeds can be read");
            let stats = checker::check(cluster, &users, &mut results).await;
            report.stats = stats.expect("the stores can be read");
        }
    }
    let bound = probed.bound(
        cluster.gateways.len(),
        nemesis.faults_of(&["redis", "gateway", "gateway-2", "quartet"]),
    );
    let exceeded = (probed.passed > bound).then(|| format!("{} of at most {bound} passed", probed.passed));
    results.add(
        "a limit let no more through than its slack",
        probed.passed,
        exceeded.as_slice(),
    );
    report.probed = Some((probed, bound));
    if balancer.is_some() {
        results.add_none(
            "operations that failed while every node was replaced",
            &history.failures(),
        );
    }
    results.add_none("answers that must never be given", &history.anomalies());
    report.duration = begun.elapsed();
    report.print(cluster, &results);
    if !results.valid() {
        let folder = cluster.save_logs(seed);
        let _ = std::fs::write(folder.join("history.log"), history.text());
        panic!(
            "invariants are violated: SEED={seed} ROUNDS={rounds}, logs and history in {}\n{}",
            folder.display(),
            results.text()
        );
    }
    users
}

/// Repeats the deletions of users that completed as `info`, as a client does; here as the
/// superuser, since the user's own session may have ended. Returns how many had not begun.
async fn repeat_deletions(cluster: &Cluster, users: &[User]) -> usize {
    let superuser = cluster.superuser().await;
    let mut repeated = 0;
    for user in users.iter().filter(|user| user.deletion == Deletion::Info) {
        let Some(id) = &user.id else { continue };
        let path = format!("/api/v1/users/{id}");
        let mut deleted = superuser.delete(&path).await;
        // A connection that a fault has broken fails at its next use: 503 is an invitation to
        // retry.
        for _ in 0..20 {
            if deleted.status != 503 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            deleted = superuser.delete(&path).await;
        }
        match deleted.status {
            204 => repeated += 1,
            404 => {}
            _ => panic!("the deletion of {id} cannot be finished: {}", deleted.text()),
        }
    }
    repeated
}
