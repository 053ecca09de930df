//! A mutation test of the checkers: each mutation of a store by hand must be detected, as a
//! violation of the invariant that it is about.

mod mutations;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::checker;
use crate::checker::results::Results;
use crate::cluster::Cluster;
use crate::model::{Task, TaskKind, TodoState, User};
use crate::nemesis::fault::FaultKind;
use crate::nemesis::schedule::{Fault, Round};
use crate::run::{self, Faults};
use mutations::MUTATIONS;
use quartet_tests::subscriber::hex_id;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checkers_detect_every_mutation() {
    let mut cluster = Cluster::embedded_uncached().await;
    // Long enough for the workload to write some of everything. Nothing is killed, so that nothing
    // waits for a lease to run out.
    let users = run::run(&mut cluster, 5, Faults::Schedule(&[(); 8].map(|()| restart()))).await;
    let mut targets = Targets::of(&users);
    let mut results = Results::default();
    for mutation in MUTATIONS {
        let sql = targets.fill_in(mutation.sql);
        let written = cluster.stores.execute(mutation.service, &sql).await.expect(&sql);
        assert!(written > 0, "{sql}: no row to mutate");
        let before = results.violations(mutation.violates);
        results = Results::default();
        let checked = checker::check(&cluster, &users, &mut results).await;
        checked.expect("the stores can be read");
        let after = results.violations(mutation.violates);
        assert!(after > before, "{sql}: not detected\n{}", results.text());
    }
}

/// A round that restarts the one process.
fn restart() -> Round {
    let fault = Fault {
        delay: Duration::from_millis(500),
        node: 0,
        kind: FaultKind::Restart,
        duration: Duration::ZERO,
    };
    Round {
        faults: vec![fault],
        overlaps: false,
        quiet: Duration::from_secs(1),
    }
}

/// Rows of the workload that mutations can target, by placeholder, as literals of SQLite.
struct Targets(BTreeMap<&'static str, Vec<String>>);

impl Targets {
    fn of(users: &[User]) -> Self {
        let active = || users.iter().filter(|user| user.is_active());
        let has_received_changes = |user: &&User| {
            let received = user.subscriber.as_ref().map(|subscriber| subscriber.received());
            received.is_some_and(|events| events.iter().any(|event| !event.todo.is_empty()))
        };
        // A user whose feed is mutated gets no other mutation.
        let subscribed = active().find(has_received_changes).and_then(|user| user.id.as_deref());
        let others = active().filter(|user| user.id.as_deref() != subscribed);
        let todos = others
            .flat_map(|user| &user.todos)
            .filter(|todo| matches!(todo.state, TodoState::Known(_)))
            .filter_map(|todo| todo.state.id().map(literal));
        let not_cancelled = |task: &&Task| !task.cancelled;
        let tasks = || active().flat_map(|user| &user.tasks).filter(not_cancelled);
        let exports = tasks()
            .filter(|task| task.kind == TaskKind::Export)
            .filter_map(|task| task.id.as_deref().map(literal));
        let imported = tasks()
            .filter(|task| task.id.is_some())
            .filter_map(|task| match &task.kind {
                TaskKind::Import(titles) => Some(format!("'{}'", titles[0])),
                TaskKind::Export => None,
            });
        let targets = [
            ("{todo}", todos.collect()),
            ("{export}", exports.collect()),
            ("{imported}", imported.collect()),
            ("{subscribed}", subscribed.map(literal).into_iter().collect::<Vec<_>>()),
        ];
        Self(targets.into())
    }

    /// A statement with targets in place of its placeholders.
    fn fill_in(&mut self, sql: &str) -> String {
        let mut filled = sql.to_owned();
        for (placeholder, targets) in &mut self.0 {
            if filled.contains(placeholder) {
                let target = targets
                    .pop()
                    .unwrap_or_else(|| panic!("the workload has left too few rows for {sql}"));
                filled = filled.replace(placeholder, &target);
            }
        }
        filled
    }
}

/// An id as a literal of SQLite.
fn literal(id: &str) -> String {
    format!("x'{}'", hex_id(id))
}
