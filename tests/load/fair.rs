//! What one user's long queue costs another user: many exports of one, and meanwhile single exports
//! of another, each from its creation to its end.
//!
//! ```sh
//! scripts/with-servers.sh cargo run -p quartet-tests --example fair
//! ```

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::time::{Duration, Instant};

use futures::StreamExt;
use quartet_tests::{App, Person};
use serde_json::json;

/// Exports of the one user.
const JOBS: usize = 6_000;
/// Calls of that user at once.
const CALLERS: usize = 8;
/// Exports of the other user, one after the other.
const SINGLE_JOBS: usize = 20;

#[tokio::main]
async fn main() {
    println!(
        "{:<12} {:>12} {:>16} {:>12} {:>12} {:>12}",
        "topology", "accepted in", "queued meanwhile", "median", "longest", "all ended in"
    );
    measure("embedded", &App::embedded()).await;
    if quartet_testkit::rabbitmq::vhost().is_some() {
        measure("distributed", &App::distributed()).await;
    }
}

async fn measure(topology: &str, app: &App) {
    let (busy, other) = (app.register().await, app.register().await);
    for owner in [&busy, &other] {
        let todo = json!({"title": "Water the plants"});
        owner.post("/api/v1/todos", todo).await.expect(201);
    }
    let begun = Instant::now();
    futures::stream::iter(0..JOBS)
        .for_each_concurrent(CALLERS, |_| async {
            create_job(&busy).await;
        })
        .await;
    let accepted = begun.elapsed();
    let (mut latencies, mut queued) = (Vec::new(), usize::MAX);
    for _ in 0..SINGLE_JOBS {
        latencies.push(from_creation_to_end(&other).await);
        queued = queued.min(count(&busy, "QUEUED").await);
    }
    latencies.sort();
    while count(&busy, "SUCCEEDED").await < JOBS {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!(
        "{topology:<12} {accepted:>12.1?} {queued:>16} {:>12.1?} {:>12.1?} {:>12.1?}",
        latencies[SINGLE_JOBS / 2],
        latencies[SINGLE_JOBS - 1],
        begun.elapsed(),
    );
}

async fn create_job(owner: &Person) -> String {
    let task = owner
        .post("/api/v1/tasks", json!({"export_todos": {}}))
        .await
        .expect(202);
    task["id"].as_str().unwrap().to_owned()
}

async fn from_creation_to_end(owner: &Person) -> Duration {
    let begun = Instant::now();
    let id = create_job(owner).await;
    loop {
        let task = owner.get(&format!("/api/v1/tasks/{id}")).await.expect(200);
        if !task["finished_at"].is_null() {
            return begun.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// How many of the owner's tasks stand so.
async fn count(owner: &Person, status: &str) -> usize {
    let path = format!("/api/v1/tasks?status=TASK_STATUS_{status}&items_per_page=1");
    owner.get(&path).await.expect(200)["total_count"].as_u64().unwrap() as usize
}
