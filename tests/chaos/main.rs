//! Chaos tests in the manner of Jepsen: a cluster runs under a steady workload while a seeded
//! nemesis kills, pauses and restarts its nodes; afterwards checkers verify that what was
//! acknowledged is there, and that every event took effect once.
//!
//! `make chaos SEED=… ROUNDS=…` repeats a schedule; without them, a short one runs as a test.
//! In reading order:
//!
//! - [`cluster`]: the nodes, in the two topologies;
//! - [`nemesis`]: the faults, and the schedule that the seed decides;
//! - [`workload`]: the operations, and the clients that invoke them;
//! - [`history`]: every operation, with its completion;
//! - [`model`]: the state that the acknowledged operations must have led to;
//! - [`stores`] and [`effect_log`]: what the databases hold, and a log of every effect in them;
//! - [`checker`]: the invariants;
//! - [`run`]: one test from start to verdict, and its [`report`];
//! - [`mutation`]: a mutation test of the checkers, which proves that each of them can fail.

mod checker;
mod cluster;
mod effect_log;
mod history;
mod model;
mod mutation;
mod nemesis;
mod report;
mod rng;
mod run;
mod stores;
mod workload;

use cluster::Cluster;
use run::Faults;

/// A number from the environment of this run.
fn env_number(name: &str, default: u64) -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "a parameter of a test run is no setting of the product"
    )]
    let value = std::env::var(name).ok().filter(|text| !text.is_empty());
    value.map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text}: expected a number"))
    })
}

async fn test(mut cluster: Cluster, default_rounds: u64) {
    let rounds = usize::try_from(env_number("CHAOS_ROUNDS", default_rounds)).expect("a number of rounds");
    let seed = env_number("CHAOS_SEED", 1);
    let schedule = nemesis::schedule::generate(seed, rounds, &cluster.fault_weights);
    run::run(&mut cluster, seed, Faults::Schedule(&schedule)).await;
}

mod embedded {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn acknowledged_operations_survive_faults_of_the_one_process() {
        super::test(super::Cluster::embedded().await, 4).await;
    }
}

mod distributed {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL and RabbitMQ: make test"]
    async fn acknowledged_operations_survive_faults_of_every_process_and_server() {
        super::test(super::Cluster::distributed().await, 4).await;
    }
}

mod rolling {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL and RabbitMQ: make test"]
    async fn replacing_every_program_in_turn_fails_nothing() {
        let mut cluster = super::Cluster::distributed_with_balancer().await;
        super::run::run(&mut cluster, super::env_number("CHAOS_SEED", 1), super::Faults::Rolling).await;
    }
}
