//! What every RPC costs its database, against the table in `table.txt`: round trips to PostgreSQL,
//! counted on the wire, and statements on SQLite.
//!
//! All services run in this process, without their background work: nothing but the calls of the
//! test sends a statement. Each call is prepared and sent twice. The first one warms up
//! (connections, prepared statements, keys), the second one is counted.

mod cluster;
mod method;
mod proxy;
mod recorder;
mod scenarios;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use quartet_testkit::database;
use tokio::sync::Mutex;

use cluster::{Call, Cluster, Databases};
use recorder::Recorder;
use scenarios::Scenario;
use table::{Column, Table};

/// The recorder sees the statements of the whole process, so one test runs at a time.
static TURN: Mutex<()> = Mutex::const_new(());

#[test]
fn every_method_has_a_scenario_and_a_line_in_the_table() {
    let lines: Vec<&str> = scenarios::all().iter().map(|scenario| scenario.line).collect();
    let covered: BTreeSet<&str> = lines.iter().map(|line| method::of_line(line)).collect();
    let missing: Vec<String> = method::names()
        .filter(|name| !covered.contains(name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "add a scenario of {missing:?} to tests/statements/scenarios"
    );

    let scenarios: BTreeSet<&str> = lines.iter().copied().collect();
    assert_eq!(scenarios.len(), lines.len(), "two scenarios have the same name");
    let table = Table::read();
    let table: BTreeSet<&str> = table.lines().collect();
    let unmatched: Vec<&&str> = table.symmetric_difference(&scenarios).collect();
    assert!(
        unmatched.is_empty(),
        "only in the table, or only a scenario: {unmatched:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_takes_the_statements_of_the_table_on_sqlite() {
    let _turn = TURN.lock().await;
    let recorder = Recorder::install();
    let databases = Databases::new(async || database::sqlite().await).await;
    let cluster = Cluster::on_sqlite(&databases, recorder).await;
    check(&cluster, Column::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn every_call_takes_the_round_trips_of_the_table_on_postgres() {
    let _turn = TURN.lock().await;
    let databases = Databases::new(async || database::postgres().await).await;
    let cluster = Cluster::on_postgres(&databases).await;
    check(&cluster, Column::Postgres).await;
}

/// The call of a scenario; with an idempotency key, if its line says so.
async fn prepare(scenario: Scenario, cluster: &Cluster) -> Call {
    let call = (scenario.prepare)(cluster).await;
    match scenario.line.ends_with(", with a key") {
        true => call.with_key(cluster.name()),
        false => call,
    }
}

/// Runs every scenario and compares what it took with the table.
async fn check(cluster: &Cluster, column: Column) {
    let mut counted = BTreeMap::new();
    for scenario in scenarios::all() {
        cluster.send(&prepare(scenario, cluster).await).await;
        let call = prepare(scenario, cluster).await;
        cluster.settle().await;
        cluster.take(call.service());
        cluster.send(&call).await;
        cluster.settle().await;
        counted.insert(scenario.line, cluster.take(call.service()));
    }
    Table::read().check(column, &counted);
}
