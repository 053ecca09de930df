//! Chaos: the suite under a steady load while a seeded schedule kills, freezes and restarts its parts; afterwards, what was acknowledged must be there,
//! and every event must have taken effect once.
//!
//! `make chaos SEED=… ROUNDS=…` plays a schedule again; without them, a short one is played as a test. In reading order: [`schedule`] (what is done
//! to whom), [`part`] and [`server`] (how), [`stage`] (the two topologies), [`client`], [`ledger`] and [`follower`] (the load, what it was answered, and who listens),
//! [`books`] and [`audit`] (the stores and the witnesses in them), [`checks`], and [`run`], which is all of it;
//! [`sabotage`] shows that the checks see what they look for.

mod audit;
mod books;
mod chance;
mod checks;
mod client;
mod findings;
mod follower;
mod ledger;
mod part;
mod report;
mod run;
mod sabotage;
mod schedule;
mod server;
mod stage;
mod tally;

use stage::Stage;

/// A number that the environment sets, for this run alone.
fn told(name: &str, otherwise: u64) -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "a choice of who runs the test is no setting of the product"
    )]
    let told = std::env::var(name).ok().filter(|text| !text.is_empty());
    told.map_or(otherwise, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text}: expected a number"))
    })
}

async fn play(mut stage: Stage, rounds: u64) {
    let rounds = usize::try_from(told("CHAOS_ROUNDS", rounds)).expect("a number of rounds");
    let seed = told("CHAOS_SEED", 1);
    let schedule = schedule::draw(seed, rounds, &stage.weights);
    run::run(&mut stage, seed, &schedule).await;
}

mod embedded {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_acknowledged_survives_the_falls_of_the_one_process() {
        super::play(super::Stage::embedded().await, 4).await;
    }
}

mod distributed {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL and RabbitMQ: make test"]
    async fn what_was_acknowledged_survives_the_falls_of_every_process_and_server() {
        super::play(super::Stage::distributed().await, 4).await;
    }
}
