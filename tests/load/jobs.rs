//! Speed of jobs, end to end: throughput from the first call to the last end, and latency on an
//! idle suite.
//!
//! ```sh
//! scripts/with-servers.sh cargo run --release -p quartet-tests --example jobs
//! ```
//!
//! Each job is the export of a user with one todo: the call, two transactions and two messages of
//! the jobs service, a call of the todos service, and a file.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::time::{Duration, Instant};

use futures::StreamExt;
use quartet_tests::{App, Person};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Jobs of the throughput measurement.
const JOBS: usize = 2_000;
/// Calls at once.
const CALLERS: usize = 32;
/// Jobs of the latency measurement.
const IDLE_JOBS: usize = 200;

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
    let mut latencies = latencies(&anna).await;
    latencies.sort();

    let busy = app.register().await;
    busy.post("/api/v1/todos", json!({"title": "Water the plants"}))
        .await
        .expect(201);
    let begun = Instant::now();
    futures::stream::iter(0..JOBS)
        .for_each_concurrent(CALLERS, |_| async {
            create_job(&busy).await;
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
        latencies[IDLE_JOBS / 2],
        latencies[IDLE_JOBS * 99 / 100],
    );
}

async fn create_job(owner: &Person) -> String {
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

/// The time from the creation of a job to its end, one job after the other.
async fn latencies(owner: &Person) -> Vec<Duration> {
    let mut latencies = Vec::with_capacity(IDLE_JOBS);
    for _ in 0..IDLE_JOBS {
        let id = create_job(owner).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        loop {
            let task = owner.get(&format!("/api/v1/tasks/{id}")).await.expect(200);
            if let Some(finished) = timestamp(&task["finished_at"]) {
                let created = timestamp(&task["created_at"]).unwrap();
                latencies.push((finished - created).try_into().unwrap());
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    latencies
}

fn timestamp(value: &Value) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok()
}
