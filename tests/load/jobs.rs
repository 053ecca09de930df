//! How fast jobs go, end to end: how many a second from the first call to the last ending, and how long one takes on a quiet suite.
//!
//! ```sh
//! scripts/with-servers.sh cargo run --release -p quartet-tests --example jobs
//! ```
//!
//! Each job is the export of a user who has one todo: the call, two transactions and two messages of the jobs service, a call of the todos service, and a file.

#![expect(clippy::unwrap_used, reason = "a measurement may panic")]

use std::time::{Duration, Instant};

use futures::StreamExt;
use quartet_tests::{App, Person};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Jobs of the measurement of throughput.
const JOBS: usize = 2_000;
/// Calls at once.
const CALLERS: usize = 32;
/// Jobs of the measurement of delay.
const QUIET: usize = 200;

#[tokio::main]
async fn main() {
    println!(
        "{:<12} {:>9} {:>12} {:>10} {:>10}",
        "topology", "jobs/s", "accepted/s", "median", "p99"
    );
    measure("embedded", &App::embedded()).await;
    if quartet_testkit::rabbitmq::vhost().is_some() {
        measure("distributed", &App::distributed()).await;
    }
}

async fn measure(topology: &str, app: &App) {
    let anna = app.register().await;
    anna.post("/api/v1/todos", json!({"title": "Water the plants"}))
        .await
        .expect(201);
    let mut delays = delays(&anna).await;
    delays.sort();

    let busy = app.register().await;
    busy.post("/api/v1/todos", json!({"title": "Water the plants"}))
        .await
        .expect(201);
    let begun = Instant::now();
    futures::stream::iter(0..JOBS)
        .for_each_concurrent(CALLERS, |_| async {
            make(&busy).await;
        })
        .await;
    let accepted = begun.elapsed();
    while succeeded(&busy).await < JOBS {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ended = begun.elapsed();
    println!(
        "{topology:<12} {:>9.0} {:>12.0} {:>10.1?} {:>10.1?}",
        JOBS as f64 / ended.as_secs_f64(),
        JOBS as f64 / accepted.as_secs_f64(),
        delays[QUIET / 2],
        delays[QUIET * 99 / 100],
    );
}

async fn make(owner: &Person) -> String {
    let task = owner
        .post("/api/v1/tasks", json!({"export_todos": {}}))
        .await
        .expect(202);
    task["id"].as_str().unwrap().to_owned()
}

/// How many of the owner's tasks have succeeded.
async fn succeeded(owner: &Person) -> usize {
    let path = "/api/v1/tasks?status=TASK_STATUS_SUCCEEDED&items_per_page=1";
    owner.get(path).await.expect(200)["total_count"].as_u64().unwrap() as usize
}

/// From the creation of a job to its end, one after the other.
async fn delays(owner: &Person) -> Vec<Duration> {
    let mut delays = Vec::with_capacity(QUIET);
    for _ in 0..QUIET {
        let id = make(owner).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        loop {
            let task = owner.get(&format!("/api/v1/tasks/{id}")).await.expect(200);
            if let Some(finished) = moment(&task["finished_at"]) {
                let created = moment(&task["created_at"]).unwrap();
                delays.push((finished - created).try_into().unwrap());
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    delays
}

fn moment(value: &Value) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok()
}
